"""Kernel values in C++, many elements side by side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from attnc.codegen.cpp_names import ELEMENT
from attnc.codegen.cpp_values import ATOM, BINARY, INFIX, ROUND, Values, nested
from attnc.ir import kernel as k
from attnc.ir.operators import COMPARISONS


@dataclass
class Lanes(Values):
    """Prints values; inside `lanes`, what changes along the parallel index is `wide`."""

    wide: bool = False

    @contextmanager
    def lanes(self) -> Iterator[None]:
        """Values are printed as lanes."""
        self.wide = True
        yield
        self.wide = False

    def _text(self, value: k.Value) -> tuple[str, int]:
        if not self.wide or not self.varies(value):
            return super()._text(value)
        match value:
            case k.Coord(index):
                return f"positions<wide<int32_t>>({index}_first + {index}_)", ATOM
            case k.Inside(index):
                return f"positions<wide<int32_t>>({index}_) < {index}_count", 9
            case k.Use(name):
                return f"x_{name}", ATOM
            case k.Map():
                return self._lanes(value)
        raise AssertionError(f"{type(value).__name__} inside an expression")

    def _lanes(self, value: k.Map) -> tuple[str, int]:
        """The text of a map of which some operand is lanes; scalars among the others stand for equal lanes."""
        op, args, kind = value.op, value.args, ELEMENT[self.type_of(value).dtype]
        own = f"wide<{kind}>"
        if op == "select":
            return f"select_<{own}>({self.text(args[0])}, {self._as(args[1], kind)}, {self._as(args[2], kind)})", ATOM
        if op.startswith("cast:"):
            return self._as(args[0], kind), ATOM
        if op == "neg":
            return f"-{self._as(args[0], kind, 15)}", 15
        if op == "not":  # the compiler asks for parentheses beside `&`
            return f"!{self._as(args[0], kind, 15)}", 12
        if op == "rsqrt":
            return f"1 / sqrt_({self._as(args[0], kind)})", 12
        if op in ROUND:
            return f"cast_<{own}>({ROUND[op]}({self.text(args[0])}))", ATOM
        if (joined := self._fused(op, args)) is not None:
            return joined
        if op == "div" or op in INFIX:
            return self._infix(op, args, kind)
        if op == "uniform":
            places = (self.all_lanes(arg, "int64_t") for arg in args[1:])
            return f"uniform_({', '.join((self.text(args[0]), *places))})", ATOM
        template = f"<{own}>" if op in BINARY else ""
        return nested(f"{op}_{template}", [self._as(arg, kind) for arg in args], op in ("max", "min")), ATOM

    def _infix(self, op: str, args: tuple[k.Value, ...], kind: str) -> tuple[str, int]:
        sign, level = INFIX.get(op, ("/", 12))
        if op in ("and", "or"):
            return f" {sign} ".join(self._wrapped(arg, 13) for arg in args), level
        if op in COMPARISONS:
            kind = self._joint(args)
        first, *rest = args
        return f" {sign} ".join(
            [self._as(first, kind, level), *(self._as(arg, kind, level + 1) for arg in rest)]
        ), level

    def _joint(self, args: tuple[k.Value, ...]) -> str:
        kinds = [ELEMENT[self.type_of(arg).dtype] for arg in args]
        return next(kind for kind in ("double", "float", "int64_t", "int32_t", "bool") if kind in kinds)

    def all_lanes(self, value: k.Value, kind: str) -> str:
        """A value as lanes of a type, equal ones where it is a scalar."""
        return self._as(value, kind) if self.varies(value) else f"wide<{kind}>({self.text(value)})"

    def _as(self, value: k.Value, kind: str, level: int = 0) -> str:
        """A value as lanes of a type, or as the scalar that it is."""
        if self.wide and self.varies(value) and ELEMENT[self.type_of(value).dtype] != kind:
            return f"cast_<wide<{kind}>>({self.text(value)})"
        return self._wrapped(value, level)

    def _kind(self, kind: str, args: tuple[k.Value, ...]) -> str:
        return f"wide<{kind}>" if self.wide and any(map(self.varies, args)) else kind

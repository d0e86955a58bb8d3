"""Kernel values in C++, one element at a time."""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass

from attnc.codegen.cpp_forms import Forms
from attnc.codegen.cpp_names import ELEMENT
from attnc.ir import kernel as k

INFIX = {"add": ("+", 11), "sub": ("-", 11), "mul": ("*", 12), "lt": ("<", 9), "le": ("<=", 9), "gt": (">", 9)}
INFIX |= {"ge": (">=", 9), "eq": ("==", 8), "ne": ("!=", 8), "and": ("&", 7), "or": ("|", 5)}
ROUND = {"floor": "floor_", "ceil": "ceil_", "round": "nearbyint_"}
BINARY = ("max", "min", "clamp", "pow", "floordiv", "mod")
ATOM = 20


@dataclass
class Values(Forms):
    """Prints values, one element at a time."""

    def text(self, value: k.Value) -> str:
        """The value at the loops' current element."""
        return self._text(value)[0]

    def _text(self, value: k.Value) -> tuple[str, int]:
        match value:
            case k.Const(number, dtype):
                return _literal(number, dtype), ATOM
            case k.Size(name):
                return f"{name}_size", ATOM
            case k.Coord(index):
                return self._position(index)
            case k.First(index):
                return f"{index}_first", ATOM
            case k.Last(index):
                return f"{index}_last", ATOM
            case k.Inside(index):
                return f"{index}_ < {index}_count" if self._tiled(index) else "true", 9
            case k.Use(name):
                return self._element(name), ATOM
            case k.Map(op, args):
                return self._map(op, args)
        raise AssertionError(f"{type(value).__name__} inside an expression")

    def _position(self, index: str) -> tuple[str, int]:
        if index == self.parallel or self.steps.get(index) is not None:
            return f"({index}_first + {index}_)", ATOM
        if index in self.steps or any(axis.index == index for axis in self.kernel.grid):
            return index, ATOM
        lo = self.text(self.axes[index].lo)
        return (f"(int64_t){index}_", ATOM) if lo == "0" else (f"({lo} + {index}_)", ATOM)

    def _element(self, name: str) -> str:
        layout = self._layout(self.named[name].axes)
        return f"v_{name}" + "".join(f"[{axis}_]" for axis in layout)

    def _map(self, op: str, args: tuple[k.Value, ...]) -> tuple[str, int]:
        if op == "select":
            test, then, other = (self._wrapped(arg, 4) for arg in args)
            return f"{test} ? {then} : {other}", 3
        if op.startswith("cast:"):
            return f"({ELEMENT[op.removeprefix('cast:')]}){self._wrapped(args[0], 15)}", 15
        if op == "neg":
            return f"-{self._wrapped(args[0], 15)}", 15
        if op == "not":  # the compiler asks for parentheses beside `&`
            return f"!{self._wrapped(args[0], 15)}", 12
        if op == "div":
            return f"{self._wrapped(args[0], 12)} / {self._wrapped(args[1], 13)}", 12
        if op == "rsqrt":
            return f"1 / sqrt_({self.text(args[0])})", 12
        if op in ROUND:
            return f"(int64_t){ROUND[op]}({self.text(args[0])})", 15
        if (joined := self._fused(op, args)) is not None:
            return joined
        if op in INFIX:
            sign, level = INFIX[op]
            if op in ("and", "or"):  # the compiler asks for parentheses here
                return f" {sign} ".join(self._wrapped(arg, 13) for arg in args), level
            parts = [self._wrapped(args[0], level), *(self._wrapped(arg, level + 1) for arg in args[1:])]
            return f" {sign} ".join(parts), level
        return self._call(op, args)

    def _fused(self, op: str, args: tuple[k.Value, ...]) -> tuple[str, int] | None:
        """A sum of reals of which one is a product, rounded once: it is so wherever they meet.

        A difference is not, unless its product is exact: a score that is a product has to be the same number whether
        a reference is taken from it, it is hidden by a mask, or compared.
        """
        kind = ELEMENT[self.type_of(k.Map(op, args)).dtype] if len(args) == 2 and op in ("add", "sub") else ""
        if kind not in ("float", "double"):
            return None
        match op, args:
            case "add", (k.Map("mul", (a, b)), other) | (other, k.Map("mul", (a, b))):
                return self._fma(kind, args, a, b, other)
            case "sub", (k.Map("mul", (a, b)), other) if _power_of_two(a) or _power_of_two(b):
                return self._fma(kind, args, a, b, k.Map("neg", (other,)))
            case _:
                return None

    def _fma(self, kind: str, args: tuple[k.Value, ...], *operands: k.Value) -> tuple[str, int]:
        return f"fma_<{self._kind(kind, args)}>({', '.join(self._as(x, kind) for x in operands)})", ATOM

    def _kind(self, kind: str, args: tuple[k.Value, ...]) -> str:
        """The C++ type of a map of these operands."""
        return kind

    def _as(self, value: k.Value, kind: str, level: int = 0) -> str:
        """A value as an operand of a type."""
        return self._wrapped(value, level)

    def _call(self, op: str, args: tuple[k.Value, ...]) -> tuple[str, int]:
        template = f"<{self._common(args)}>" if op in BINARY else ""
        return nested(f"{op}_{template}", [self.text(arg) for arg in args], op in ("max", "min")), ATOM

    def _common(self, args: tuple[k.Value, ...]) -> str:
        kinds = [ELEMENT[self.type_of(arg).dtype] for arg in args]
        return next((kind for kind in ("double", "float") if kind in kinds), "int64_t")

    def _wrapped(self, value: k.Value, level: int) -> str:
        text, own = self._text(value)
        return text if own >= level else f"({text})"


def _power_of_two(value: k.Value) -> bool:
    """Whether multiplying by it is exact."""
    return isinstance(value, k.Const) and math.frexp(abs(float(value.value)))[0] == 0.5


def nested(name: str, texts: list[str], pairs: bool) -> str:
    """A call; of a function of two with more operands, one inside the other."""
    if not pairs:
        return f"{name}({', '.join(texts)})"
    result = texts[0]
    for text in texts[1:]:
        result = f"{name}({result}, {text})"
    return result


def _literal(number: bool | int | float, dtype: str) -> str:
    if isinstance(number, bool):
        return "true" if number else "false"
    if dtype in ("int32", "int64"):
        return str(int(number)) if number > -(2**63) else f"({1 - 2**63} - 1)"  # C++ has no literal for the least
    if dtype == "float32" and (narrow := ctypes.c_float(number).value) in (0.0, math.inf, -math.inf):
        number = narrow  # outside its range
    if math.isinf(number):
        return "INF" if number > 0 else "-INF"
    if math.isnan(number):
        return "NAN"
    text = repr(float(number))
    return f"{text}f" if dtype == "float32" else text

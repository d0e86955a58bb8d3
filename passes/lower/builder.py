"""Kernel values made of others: constants folded, types alike, what varies less bound by itself."""

from __future__ import annotations

from dataclasses import dataclass

from attnc.ir import kernel as k
from attnc.ir.cascade import Expr
from attnc.ir.kernel import DType
from attnc.ir.sizes import SCALAR
from attnc.ir.tile_types import REALS
from attnc.passes.lower.frame import Frame, whole
from attnc.passes.lower.scope import Scope

PLAIN = (k.Const, k.Size, k.Use, k.Coord, k.First, k.Last, k.Inside)
UNITS = {"mul": 1, "add": 0, "sub": 0}


@dataclass
class Builder:
    """Makes values in a scope of one kernel."""

    frame: Frame
    scope: Scope

    def constant(self, value: bool | int | float) -> k.Const:
        """A literal in the type of its kind."""
        if isinstance(value, bool):
            return k.Const(value, "bool")
        return whole(value) if isinstance(value, int) else k.Const(value, self.frame.compute)

    # ---- types -----------------------------------------------------------------------------

    def dtype(self, value: k.Value) -> DType:
        """The element type of a value."""
        return self.scope.type(value).dtype

    def is_real(self, value: k.Value) -> bool:
        """Whether a value's elements are real."""
        return self.dtype(value) in REALS

    def real(self, value: k.Value) -> k.Value:
        """The value in the type of arithmetic."""
        return self.cast(value, self.frame.compute)

    def whole(self, value: k.Value) -> k.Value:
        """A boolean as an integer."""
        return self.cast(value, "int32") if self.dtype(value) == "bool" else value

    def cast(self, value: k.Value, dtype: DType) -> k.Value:
        """The value with elements of another type."""
        if self.dtype(value) == dtype:
            return value
        if isinstance(value, k.Const):
            kind = {"bool": bool, "int32": int, "int64": int}.get(dtype, float)
            return k.Const(kind(value.value), dtype)
        return k.Map(f"cast:{dtype}", (value,), span=value.span)

    def alike(self, *values: k.Value) -> tuple[k.Value, ...]:
        """The values in one type: real if one is, boolean if all are."""
        if any(self.is_real(value) for value in values):
            return tuple(self.real(value) for value in values)
        if all(self.dtype(value) == "bool" for value in values):
            return values
        return tuple(self.whole(value) for value in values)

    # ---- operations ------------------------------------------------------------------------

    def make(self, op: str, *args: k.Value) -> k.Value:
        """An operation on values of fitting types; constants are folded, units of +, - and * dropped."""
        result = k.Map(op, args)
        if all(isinstance(arg, k.Const) for arg in args) and op in SCALAR:
            return self._folded(result)
        if op in UNITS and len(args) == 2:
            for one, other in (args[::-1],) if op == "sub" else (args, args[::-1]):
                if isinstance(one, k.Const) and one.value == UNITS[op] and self.dtype(result) == self.dtype(other):
                    return other
        return result

    def _folded(self, result: k.Map) -> k.Value:
        numbers = [arg.value for arg in result.args if isinstance(arg, k.Const)]
        try:
            value = SCALAR[result.op](*numbers)
        except (ValueError, OverflowError, ZeroDivisionError):
            return result
        dtype = self.dtype(result)
        return k.Const(float(value) if dtype in REALS else value, dtype)

    def settled(self, arg: k.Value, axes: tuple[str, ...], level: int) -> k.Value:
        """An argument that varies less than its map is bound by itself, so that it is computed once."""
        if isinstance(arg, PLAIN):
            return arg
        less = self.scope.depth(arg) < level or len(self.scope.axes(arg)) < len(axes)
        return self.scope.let(_name_of(arg), arg, arg.span) if less else arg

    def built(self, op: str, args: tuple[k.Value, ...], expr: Expr) -> k.Value:
        """An operation with every argument settled."""
        result = k.Map(op, args)
        axes, level = self.scope.axes(result), self.scope.depth(result)
        value = self.make(op, *(self.settled(arg, axes, level) for arg in args))
        return k.Map(value.op, value.args, span=expr.span) if isinstance(value, k.Map) else value


def _name_of(value: k.Value) -> str:
    match value:
        case k.Map(op) if op.startswith("cast:"):
            return _name_of(value.args[0]) if not isinstance(value.args[0], k.Use) else value.args[0].name + "_r"
        case k.Map("select"):
            return "chosen"
        case k.Coord(index):
            return f"o_{index}"
        case _:
            return "part"

"""Python's operators: what each of them says of the two values around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

_Method: TypeAlias = Callable[..., Any]


def _arithmetic(op: str) -> tuple[_Method, _Method]:
    """The methods for `self op other` and `other op self`."""
    return lambda self, other: self.binary(op, self, other), lambda self, other: self.binary(op, other, self)


def _logic(op: str) -> tuple[_Method, _Method]:
    return lambda self, other: self.logical(op, self, other), lambda self, other: self.logical(op, other, self)


def _comparison(op: str) -> Any:
    return lambda self, other: self.compared(op, other)


class Operators:
    """What has `binary`, `compared`, `logical` and `negated` has Python's operators too."""

    __slots__ = ()
    __array_ufunc__ = None  # NumPy's numbers leave operators to us

    __add__, __radd__ = _arithmetic("+")
    __sub__, __rsub__ = _arithmetic("-")
    __mul__, __rmul__ = _arithmetic("*")
    __truediv__, __rtruediv__ = _arithmetic("/")
    __floordiv__, __rfloordiv__ = _arithmetic("//")
    __mod__, __rmod__ = _arithmetic("%")
    __pow__, __rpow__ = _arithmetic("**")
    __lt__, __le__, __gt__, __ge__ = map(_comparison, ("<", "<=", ">", ">="))
    __eq__ = _comparison("==")
    __ne__ = _comparison("!=")
    __hash__ = object.__hash__
    __and__, __rand__ = _logic("and")
    __or__, __ror__ = _logic("or")
    __invert__: _Method = lambda self: self.negated()  # as the others are written

"""Expressions as Python values: operators on them write the syntax that a spec's text would have."""

from __future__ import annotations

import math
import operator
from typing import Any, NoReturn

from attnc.diagnostics import AttnError, error
from attnc.grammar import shapes
from attnc.ir import syntax as syn
from attnc.source import NOWHERE, Span
from attnc.trace.kinds import LOOKED_AT, Kind, Known, joined, known_by
from attnc.trace.operators import Operators
from attnc.trace.places import here


class Value(Operators):
    """An expression over named indices. Python computes with it, and what it computes is written down.

    `kind` is its type where that is known. `known` is its value where only options and numbers enter it: Python may
    branch on that.
    """

    __slots__ = ("depth", "kind", "known", "node")

    def __init__(self, node: syn.Expr, kind: Kind | None = None, known: Known | None = None, depth: int = 0) -> None:
        """Wraps a node of syntax."""
        if depth > shapes.NESTING:
            raise too_deep(node.span)
        self.node, self.kind, self.known, self.depth = node, kind, known, depth

    def __repr__(self) -> str:
        from attnc.ir.print_syntax import show

        return show(self.node)

    # ---- what operators build ----------------------------------------------------------------

    def like(self, node: syn.Expr, kind: Kind | None, *operands: Value, known: Known | None = None) -> Value:
        """The value of an expression built of these operands."""
        return type(self)._made(node, kind, known, 1 + max((item.depth for item in operands), default=0))

    @classmethod
    def _made(cls, node: syn.Expr, kind: Kind | None, known: Known | None, depth: int) -> Value:
        """Subclasses that are names make plain values."""
        return Value(node, kind, known, depth)

    def lifted(self, other: object) -> Value:
        """The other operand as a value."""
        return literal(other)

    def binary(self, op: str, left: object, right: object) -> Value:
        """`left op right`, arithmetic."""
        a, b = self.lifted(left), self.lifted(right)
        kind: Kind | None = "real" if op == "/" else joined(a.kind, b.kind)
        return self.like(syn.Binary(op, a.node, b.node, span=here()), kind, a, b, known=known_by(op, a.known, b.known))

    def compared(self, op: str, other: object) -> Value:
        """`self op other`, a condition."""
        b = self.lifted(other)
        node = syn.Compare((op,), (self.node, b.node), span=here())
        return self.like(node, "bool", self, b, known=known_by(op, self.known, b.known))

    def logical(self, op: str, left: object, right: object) -> Value:
        """`left and right`, `left or right`; a chain of one of them is flat, as it is in text."""
        a, b = self.lifted(left), self.lifted(right)
        for item in (a, b):
            item.condition("`&`" if op == "and" else "`|`")
        for one, other in ((a, b), (b, a)):
            if isinstance(one.node, syn.Constant) and one.node.name in ("true", "false"):
                return other if (one.node.name == "true") == (op == "and") else one
        first = a.node.args if isinstance(a.node, syn.Logic) and a.node.op == op else (a.node,)
        return self.like(syn.Logic(op, (*first, b.node), span=here()), "bool", a, b)

    def negated(self) -> Value:
        """`not self`."""
        self.condition("`~`")
        return self.like(syn.Unary("not", self.node, span=here()), "bool", self)

    def condition(self, what: str) -> None:
        """Error A672 for a number where a condition is wanted."""
        if self.kind in ("int", "real"):
            notes = (_NO_BITS,) if what in ("`&`", "`|`", "`~`") else ()
            text = f"{what} wants a boolean, but this is {self.kind}"
            helps = ("compare it: `x != 0`",)
            raise error("A672", text, here() if notes else self.place(), str(self.kind), notes=notes, helps=helps)

    def applied(self, name: str, *args: object, kind: Kind | None = "real") -> Value:
        """A function of the language, of this and further arguments."""
        values = [self, *(self.lifted(arg) for arg in args)]
        return self.like(syn.Apply(syn.Name(name), tuple(item.node for item in values), span=here()), kind, *values)

    def chosen(self, test: object, other: object) -> Value:
        """This where the condition holds, else the other."""
        condition, rest = self.lifted(test), self.lifted(other)
        condition.condition("a choice")
        kind = self.kind if self.kind == rest.kind else joined(self.kind, rest.kind)
        return self.like(syn.Choose(self.node, condition.node, rest.node, span=here()), kind, self, condition, rest)

    def where(self, test: object) -> Value:
        """This, existing only where the condition holds: a reduction folds what exists."""
        condition = self.lifted(test)
        condition.condition("`where`")
        return self.like(syn.Where(self.node, condition.node, span=here()), self.kind, self, condition)

    def place(self) -> Span:
        """Where it was written, else where it is used."""
        return self.node.span if self.node.span is not NOWHERE else here()

    @classmethod
    def __torch_function__(cls, func: Any, types: object, args: Any = (), kwargs: Any = None) -> Any:
        """PyTorch's functions are of tensors; attnc has its own of expressions."""
        import attnc.trace as own

        name = func.__name__
        help_ = f"write `attnc.{name}`" if name in own.__all__ else "write it with the functions of `attnc.trace`"
        raise error(
            "A673", f"`torch.{name}` computes with tensors, and this is an expression", here(), "here", helps=(help_,)
        )

    # ---- Python's own functions --------------------------------------------------------------

    def __neg__(self) -> Value:
        known = None if self.known is None else -self.known
        return self.like(syn.Unary("-", self.node, span=here()), joined(self.kind), self, known=known)

    def __pos__(self) -> Value:
        return self

    def __abs__(self) -> Value:
        return self.applied("abs", kind=joined(self.kind))

    def __floor__(self) -> Value:
        return self.applied("floor", kind="int")

    def __ceil__(self) -> Value:
        return self.applied("ceil", kind="int")

    def __getitem__(self, indices: Any) -> Value:
        """The same with its axes in this order, as an output has them."""
        items = indices if isinstance(indices, tuple) else (indices,)
        for item in items:
            if not (isinstance(item, Value) and isinstance(item.node, syn.Name)):
                helps = ("give it a name to read it elsewhere: `T = attnc.tensor('T'); T[b,m] = ..`",)
                raise error("A676", "the axes of an expression are indices", here(), "not an index", helps=helps)
        return Laid(self, tuple(items))

    # ---- what Python alone cannot have -------------------------------------------------------

    def python(self, wanted: str) -> Known:
        """The value itself; error A671 where it depends on more than options and numbers."""
        if self.known is None:
            raise self.no_value(wanted)
        LOOKED_AT.set(True)
        return self.known

    def no_value(self, wanted: str) -> AttnError:
        """The word on a value that is wanted while the program is still being written."""
        helps = _INSTEAD.get(wanted, ())
        what = f"Python wants {wanted} here, but this has a value at each position only"
        return error("A671", what, here(), "is not known yet", notes=(_ONCE,), helps=helps)

    def __bool__(self) -> bool:
        return bool(self.python("true or false"))

    def __index__(self) -> int:
        return operator.index(self.python("an integer"))  # type: ignore[arg-type]

    def __int__(self) -> int:
        return int(self.python("an integer"))

    def __float__(self) -> float:
        return float(self.python("a number"))

    def __len__(self) -> NoReturn:
        raise self.no_value("a length")

    def __iter__(self) -> NoReturn:
        raise self.no_value("something to iterate over")


class Laid(Value):
    """An expression with the order of its axes."""

    __slots__ = ("layout",)

    def __init__(self, value: Value, layout: tuple[Value, ...]) -> None:
        """Keeps the indices in their order."""
        super().__init__(value.node, value.kind, value.known, value.depth)
        self.layout = layout


_NO_BITS = "`&`, `|` and `~` join and negate conditions; there is no arithmetic on bits"
_ONCE = "the function runs once, to write the program down: Python's own `if`, `and`, `for` see no tensor's values"
_INSTEAD: dict[str, tuple[str, ...]] = {
    "true or false": (
        "choose with `where(p, x, y)`; join conditions with `&`, `|` and `~`, each in parentheses",
        "a chain is two comparisons: `(0 <= x) & (x < w)`; the larger of two is `maximum`, not Python's `max`",
    ),
    "a number": ("functions of `math` compute with numbers: write `attnc.exp(x)`, or `torch.exp(x)` of a score",),
    "an integer": ("a list or a NumPy array cannot be read at an index: make it a tensor",),
}


def literal(value: object) -> Value:
    """A Python number as a value; a value is itself; error A673 for anything else."""
    if isinstance(value, Value):
        return value
    if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
        value = value.item()  # type: ignore[attr-defined]
    if isinstance(value, bool):
        return Value(syn.Constant("true" if value else "false"), "bool", value)
    if isinstance(value, int):  # an enumeration's member is one too
        return Value(_number(int(value)), "int", int(value))
    if isinstance(value, float) and not math.isnan(value):
        return Value(_number(float(value)), "real", float(value))
    raise no_value_of(value)


def no_value_of(value: object) -> AttnError:
    """The word on what cannot stand in an expression."""
    found = "NaN" if isinstance(value, float) else f"a `{type(value).__name__}`"
    help_ = "an expression is made of tensors, indices, numbers and booleans"
    if hasattr(value, "dtype"):
        help_ = "a tensor is an input: a parameter `x: attnc.Tensor[b,h]`"
    return error("A673", f"{found} cannot stand in an expression", here(), "here", helps=(help_,))


def _number(value: float) -> syn.Expr:
    """A number as text would give it: without a sign of its own."""
    size = syn.Constant("inf") if math.isinf(value) else syn.Number(abs(value))
    return syn.Unary("-", size) if math.copysign(1, value) < 0 and value != 0 else size


def too_deep(span: Span) -> AttnError:
    """An expression nested beyond what a spec may hold."""
    place = span if span is not NOWHERE else here()
    return shapes.too_deep(place.source, place.start, place.end, shapes.NESTING)

"""Values of rows that see nothing: what the definition gives there, in place of quotients of nothing by nothing."""

from __future__ import annotations

from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Read, Var
from attnc.ir.node import Node
from attnc.ir.walk import bottom_up, substitute, walk
from attnc.passes.factor import factors

PARTIAL = ("div", "log", "log2", "log1p", "sqrt", "pow")


def guarded(value: Expr, empty: Expr | None) -> Expr:
    """The value, and what the definition gives where the divisor of an empty row would be 0."""
    divisors = {arg for node in walk(value) if (arg := _divisor(node)) is not None}
    states = {item for divisor in divisors for item in walk(divisor) if isinstance(item, Var)}
    if len(states) == 1 and empty is not None:
        (state,) = states
        return Choose(Map("eq", (state, Const(0.0))), empty, value)
    return _guard_each(value)


def defined(value: Expr, empty: Expr | None) -> Expr:
    """The value, and 0 where a sum is 0 that is multiplied with what need not be defined for a row that sees nothing.

    Before   O / sqrt(1 + m), where the definition sums nothing for m < 0
    After    0 if O == 0 else O / sqrt(1 + m)
    Holds    but where a row sees something, its sum is 0 all the same and its factor is infinite or undefined: the
             definition has NaN there.
    """
    above, below = factors(value)
    states = [item for item in above if isinstance(item, Var)]
    rest = [*(item for item in above if item not in states), *below]
    plain = not any(isinstance(node, Var) for item in rest for node in walk(item))
    if (
        empty != Const(0.0)
        or len(states) != 1
        or not plain
        or not (any(map(_varies, below)) or any(map(_partial, rest)))
    ):
        return value
    return Choose(Map("eq", (states[0], Const(0.0))), empty, value)


def _partial(factor: Expr) -> bool:
    """Whether an expression of the row may be undefined for some rows."""
    nodes = (node for node in walk(factor) if isinstance(node, Map))
    divided = (node.args[1] if node.op == "div" else node for node in nodes if node.op in PARTIAL)
    return any(map(_varies, divided))


def _varies(value: Expr) -> bool:
    return any(isinstance(node, Coord | Read) for node in walk(value))


def between(value: Expr, maxima: set[str]) -> Expr:
    """A value in which 0 stands for what is moved from one maximum to another that nothing has.

    Before   exp(r - q) * a / b, of sums about r and about q
    After    (0 if q == -inf else exp(r - q)) * a / b
    Holds    because then b is 0, and the quotient that the definition has is not defined.
    """

    def rule(node: object) -> Expr | None:
        if not isinstance(node, Map) or node.op != "exp":
            return None
        away = [item.args[1] for item in walk(node.args[0]) if isinstance(item, Map) and item.op == "sub"]
        found = {item for part in away for item in walk(part) if isinstance(item, Var) and item.name in maxima}
        guarded: Expr = node
        for item in sorted(found, key=lambda item: item.name):
            guarded = Choose(Map("eq", (item, Const(float("-inf")))), Const(0.0), guarded)
        return guarded

    return bottom_up(value, rule)  # type: ignore[no-any-return]


def where_set(value: Expr, means: set[str]) -> Expr:
    """A value that adds a fixed reference back; where none was fixed all it is multiplied with is 0."""
    found = {node for node in walk(value) if isinstance(node, Var) and node.name in means}
    kept: dict[Node, Node] = {node: Choose(Map("eq", (node, Const(float("-inf")))), Const(0.0), node) for node in found}
    return substitute(value, kept)  # type: ignore[no-any-return]


def _divisor(node: object) -> Expr | None:
    match node:
        case Map("div", (_, b)) if any(isinstance(item, Var) for item in walk(b)):
            return b
        case Map("log" | "log2", (x,)) if any(isinstance(item, Var) for item in walk(x)):
            return x
        case _:
            return None


def _guard_each(value: Expr) -> Expr:
    def rule(node: object) -> Expr | None:
        if isinstance(node, Map) and node.op == "div" and _divisor(node) is not None:
            a, b = node.args
            both = Map("and", (Map("eq", (a, Const(0.0))), Map("eq", (b, Const(0.0)))))
            return Choose(both, Const(0.0), node)
        return None

    return bottom_up(value, rule)  # type: ignore[no-any-return]

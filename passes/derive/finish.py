"""The outputs of a stage over its finished state: simplified as a whole, guarded where a sum is empty."""

from __future__ import annotations

from typing import Any

import sympy

from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Read, Var
from attnc.ir.node import Node
from attnc.ir.sizes import SCALAR
from attnc.ir.stage import Finish
from attnc.ir.walk import bottom_up, substitute, walk
from attnc.passes.derive.algebra import OPAQUE
from attnc.passes.derive.fractions import in_range
from attnc.passes.derive.problem import Problem
from attnc.passes.derive.state import State
from attnc.passes.factor import factors

PARTIAL = ("div", "log", "log2", "log1p", "sqrt", "pow")


def finished(
    problem: Problem, state: State, gauges: tuple[str, ...], names: tuple[str, ...]
) -> tuple[tuple[Finish, ...], set[str]]:
    """The finishes in order, and the accumulators and gauges that they mention."""
    named: dict[Any, Expr] = {item.symbol: Var(name) for item, name in zip(state.running, names, strict=True)}
    rhos = {reference.rho for reference in state.references}
    named |= {reference.rho: Var(name) for reference, name in zip(state.references, gauges, strict=True)}
    means = {name for reference, name in zip(state.references, gauges, strict=True) if reference.op == "mean"}
    finishes = []
    for tensor in problem.emits:
        part = problem.shapes.tensors[tensor].parts[0]
        raw = _row(problem, state, tensor)
        value = state.algebra.expr(_simplest(_resolved(raw, state), rhos), named)
        value = _over_state(problem, state, value, named, rhos)
        when = tuple(_over_state(problem, state, test, named, rhos) for test in part.when)
        empty = _at_nothing(raw, problem, state)
        value = _between(value, set(gauges) - means)
        guarded = _where_set(_defined(_guarded(value, empty), empty), means)
        finishes.append(Finish(tensor, part.left, part.indices, guarded, when, span=part.span))
    mentioned = {node.name for item in finishes for node in walk(item) if isinstance(node, Var)}
    return tuple(finishes), mentioned


def _row(problem: Problem, state: State, tensor: str) -> Any:
    """A tensor's value over completed reductions."""
    if tensor in state.values:
        return state.algebra.reduction(tensor)
    return state.algebra.of(problem.shapes.tensors[tensor].parts[0].value)


def _over_state(problem: Problem, state: State, test: Expr, named: dict[Any, Expr], rhos: set[Any]) -> Expr:
    """A condition with the completed reductions in it read from the state."""
    opened = problem.shapes.open_all(test, problem.stored | frozenset(state.values))
    values: dict[Any, Any] = {}
    for node in walk(opened):
        name = state.algebra.completed(node)  # type: ignore[arg-type]
        if name is not None:
            symbol = state.algebra.reduction(name)
            values[node] = state.algebra.expr(_simplest(_resolved(symbol, state), rhos), named)
    return substitute(opened, values)  # type: ignore[no-any-return]


def _resolved(value: Any, state: State) -> Any:
    """The value with every completed reduction replaced by what it is in terms of the state."""
    known: dict[Any, Any] = {}
    for name, inner in state.values.items():
        known[state.algebra.reduction(name)] = inner.subs(known)
    return value.subs(known)


def _simplest(value: Any, rhos: set[Any]) -> Any:
    """The form without references, if there is one, and of those the shortest; then the one that stays in range."""
    forms = [value, sympy.expand_log(sympy.powsimp(value), force=True)]
    forms += [sympy.expand(forms[1]), sympy.cancel(sympy.together(forms[1]))]
    best = min(forms, key=lambda form: (len(form.free_symbols & rhos), sympy.count_ops(form)))
    if best.free_symbols & rhos and sympy.count_ops(best) < 60:
        simple = sympy.simplify(best)
        best = min((best, simple), key=lambda form: (len(form.free_symbols & rhos), sympy.count_ops(form)))
    return in_range(best)


def _at_nothing(raw: Any, problem: Problem, state: State) -> Expr | None:
    """The output of a row that folds nothing: sums 0, maxima -inf, in the definition's own terms."""
    empty = {"sum": 0.0, "prod": 1.0, "max": float("-inf"), "min": float("inf"), "any": False, "all": True}
    ops = {item.tensor: item.op for item in problem.members}
    named: dict[Any, Expr] = {
        symbol: Const(empty[ops[name]]) for name, symbol in state.algebra.done.items() if not name.startswith(OPAQUE)
    }
    if raw in named:
        return named[raw]
    value = problem.shapes.open_all(state.algebra.expr(raw, named), problem.stored | frozenset(ops))
    reads = [node for node in walk(value) if isinstance(node, Read) and node.tensor in ops]
    return _folded(substitute(value, {node: Const(empty[ops[node.tensor]]) for node in reads}))


def _folded(value: Expr) -> Expr | None:
    """The expression with constants folded by the language's rules; None where nothing is constant."""

    def rule(node: object) -> Expr | None:
        if isinstance(node, Map) and node.op in SCALAR and all(isinstance(arg, Const) for arg in node.args):
            try:
                return Const(SCALAR[node.op](*(arg.value for arg in node.args if isinstance(arg, Const))))
            except (ArithmeticError, ValueError):
                return Const(float("nan"))
        if isinstance(node, Map) and node.op == "mul" and Const(0.0) in node.args:
            return Const(0.0)
        return None

    return bottom_up(value, rule)  # type: ignore[no-any-return]


def _guarded(value: Expr, empty: Expr | None) -> Expr:
    """The value, and what the definition gives where the divisor of an empty row would be 0."""
    divisors = {arg for node in walk(value) if (arg := _divisor(node)) is not None}
    states = {item for divisor in divisors for item in walk(divisor) if isinstance(item, Var)}
    if len(states) == 1 and empty is not None:
        (state,) = states
        return Choose(Map("eq", (state, Const(0.0))), empty, value)
    return _guard_each(value)


def _defined(value: Expr, empty: Expr | None) -> Expr:
    """The value, and 0 where a sum is 0 that is multiplied with what need not be defined for a row that sees nothing.

    Before   O / sqrt(1 + m), where the definition sums nothing for m < 0
    After    0 if O == 0 else O / sqrt(1 + m)
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


def _between(value: Expr, maxima: set[str]) -> Expr:
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


def _where_set(value: Expr, means: set[str]) -> Expr:
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

"""The outputs of a stage over its finished state: simplified as a whole, guarded where a sum is empty."""

from __future__ import annotations

from typing import Any

import sympy

from attnc.ir.cascade import Const, Expr, Map, Read, Var
from attnc.ir.sizes import SCALAR
from attnc.ir.stage import Finish
from attnc.ir.walk import bottom_up, substitute, walk
from attnc.passes.derive.algebra import OPAQUE
from attnc.passes.derive.fractions import in_range
from attnc.passes.derive.guards import between, defined, guarded, where_set
from attnc.passes.derive.problem import Problem
from attnc.passes.derive.state import State


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
        value = between(value, set(gauges) - means)
        value = where_set(defined(guarded(value, empty), empty), means)
        finishes.append(Finish(tensor, part.left, part.indices, value, when, span=part.span))
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

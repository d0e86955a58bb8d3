"""Calls of defs: the body with the arguments in place, seeing none of the caller's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnc.diagnostics import AttnError, error
from attnc.ir import syntax
from attnc.ir.cascade import Expr, Require, Type
from attnc.passes.names.mistakes import counted, unknown
from attnc.passes.names.scope import Claim, Def, Local
from attnc.passes.names.sizes import check_requirement

if TYPE_CHECKING:
    from attnc.passes.names.expressions import Resolver

FITTING: dict[str, tuple[Type, ...]] = {"int": ("int",), "bool": ("bool",), "real": ("int", "real")}
NESTED, EXPANSIONS = 50, 5000
VALUES: dict[str, tuple[Type, ...]] = {"mask": ("bool",), "score": ("real",)}


def expanded(
    resolver: Resolver, definition: Def, over: tuple[str, ...], node: syntax.Apply, local: Local | None
) -> Expr:
    """A def's value for these arguments."""
    function, scope = definition.function, resolver.scope
    if function in scope.calling:
        raise error(
            "A128",
            f"`{function.name}` calls itself",
            node.span,
            "a def cannot recur",
            clashes=((function.span, "defined here"),),
        )
    _limit(resolver, node)
    inner = Local(definition, _arguments(resolver, definition, node, local), _formals(function, over, node))
    value = body(resolver, definition, inner)
    if function.kind in VALUES:
        what = f"`{function.name}` is a {function.kind}"
        kinds = VALUES[function.kind]
        scope.claims.append(Claim(value, kinds, what, function.value.span, node.span, "A135"))
    return value


def body(resolver: Resolver, definition: Def, local: Local) -> Expr:
    """The value of a def's body, its arguments being known."""
    scope, function = resolver.scope, definition.function
    scope.calling = (*scope.calling, function)
    try:
        for statement in function.body:
            _own_statement(resolver, statement, local)
        return resolver.of(function.value, local)
    finally:
        scope.calling = scope.calling[:-1]


def _limit(resolver: Resolver, node: syntax.Apply) -> None:
    """Calls within calls end, and so does what they multiply to: error A117."""
    scope = resolver.scope
    scope.expansions += 1
    if len(scope.calling) >= NESTED or scope.expansions > EXPANSIONS:
        what = f"nest deeper than {NESTED}" if len(scope.calling) >= NESTED else f"multiply beyond {EXPANSIONS}"
        raise error(
            "A117",
            f"the calls of defs {what}",
            node.span,
            "one more here",
            helps=("give a part of it a statement of its own: a tensor is computed once, however often it is read",),
        )


def _formals(function: syntax.Function, over: tuple[str, ...], node: syntax.Apply) -> dict[str, tuple[str, ...]]:
    """The caller's indices for a def's own: one each, or all of them for a single one."""
    if len(function.indices) == 1 and over:
        return {function.indices[0]: over}
    if len(function.indices) != len(over):
        names = f"is over [{', '.join(function.indices)}]" if function.indices else "has no brackets"
        what = f"`{function.name}` {names}, but {len(over)} are given"
        helps = (f"write `{function.name}[{','.join(function.indices)}](..)`",) if function.indices else ()
        raise error("A129", what, node.f.span, "here", helps=helps)
    return {own: (caller,) for own, caller in zip(function.indices, over, strict=True)}


def _arguments(resolver: Resolver, definition: Def, node: syntax.Apply, local: Local | None) -> dict[str, Expr]:
    function = definition.function
    if len(node.args) > len(function.params):
        raise error(
            "A126",
            f"`{function.name}` takes {counted(len(function.params), 'argument')}, {len(node.args)} were given",
            node.span,
            "here",
            clashes=((function.span, "defined here"),),
            helps=("options are given by name, behind a `;`",) if function.options else (),
        )
    values = {p.name: resolver.of(arg, local) for p, arg in zip(function.params, node.args, strict=False)}
    _named(resolver, function, node, local, values)
    declared: tuple[syntax.Param | syntax.Option, ...] = (*function.params, *function.options)
    for item in declared:
        if item.name not in values:
            if item.default is None:
                raise _not_given(function, item, node)
            values[item.name] = resolver.of(item.default, Local(definition, dict(values)))
        if item.type is not None:
            what = f"`{item.name}` of `{function.name}` is {item.type}"
            resolver.scope.claims.append(
                Claim(values[item.name], FITTING[item.type], what, node.span, item.span, "A131")
            )
    return values


def _named(
    resolver: Resolver, function: syntax.Function, node: syntax.Apply, local: Local | None, values: dict[str, Expr]
) -> None:
    """The arguments and options that are given by name."""
    names = sorted([*(item.name for item in function.params), *(item.name for item in function.options)])
    for extra in node.extras:
        if not isinstance(extra, syntax.Keyword):
            helps = (f"write `{function.options[0].name} = {extra.span.text}`",) if function.options else ()
            raise error("A126", "options are given by name", extra.span, "which one?", helps=helps)
        if extra.name not in names:
            raise unknown(extra.name, extra.span, names, f"option of `{function.name}`:")
        if extra.name in values:
            raise error("A126", f"`{extra.name}` is given twice", extra.span, "again here")
        values[extra.name] = resolver.of(extra.value, local)


def _not_given(function: syntax.Function, item: syntax.Param | syntax.Option, node: syntax.Apply) -> AttnError:
    return error(
        "A130",
        f"`{function.name}` needs `{item.name}`",
        node.span,
        "not given",
        clashes=((item.span, "declared here"),),
    )


def _own_statement(resolver: Resolver, statement: syntax.Statement, inner: Local) -> None:
    """A statement of a def's block: a local name, an index, a requirement of whoever calls."""
    from attnc.passes.names.ranges import declare

    match statement:
        case syntax.Define((syntax.Place(name, None),), value) if (
            name not in inner.values and name not in inner.indices
        ):
            inner.values[name] = resolver.of(value, inner)
        case syntax.Define(places):
            raise error(
                "A119",
                "a local name of a def is plain and defined once",
                places[0].span,
                "not a new name without subscripts",
                helps=("subscripts belong to tensors; in a def write `name = value`, and re-read with `x[n = e]`",),
            )
        case syntax.Indices(ranges):
            for item in ranges:
                declare(resolver, item, inner)
        case syntax.Require(test):
            needed = resolver.of(test, inner)
            check_requirement(resolver.scope, needed, test.span)
            resolver.scope.requires.append(Require(needed, span=statement.span))
        case syntax.Carry() | syntax.Check():
            raise error("A119", "this statement belongs to an attention", statement.span, "stands in a def")

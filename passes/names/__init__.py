"""A file's attention with every name resolved: indices, extents, types, parts, recurrences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from attnc.diagnostics import AttnError, Diagnostic, error
from attnc.ir import syntax
from attnc.ir.cascade import (
    Carry,
    Cascade,
    Const,
    Expr,
    Input,
    Part,
    PassLimit,
    Range,
    Require,
    Size,
    Tensor,
    Type,
    Var,
)
from attnc.ir.sizes import evaluate
from attnc.ir.types import type_of, wider
from attnc.passes.names.calls import called, inline
from attnc.passes.names.checks import mistakes_in
from attnc.passes.names.einsum import left_side, right_side
from attnc.passes.names.expressions import Resolver
from attnc.passes.names.order import check_starts, ordered
from attnc.passes.names.ranges import declare, declared_name
from attnc.passes.names.reads import axes
from attnc.passes.names.scope import Scope, unknown
from attnc.source import Span

Use = Callable[[tuple[str, ...], Span], syntax.File]
KINDS: dict[str | None, Type] = {None: "real", "real": "real", "int": "int", "bool": "bool"}


def resolve(
    file: syntax.File, name: str | None = None, options: Mapping[str, object] | None = None, use: Use | None = None
) -> Cascade:
    """The cascade of an attention (the last one by default) for these option values.

    Before   names, bare tensors, implied sums, calls of defs
    After    reads at subscripts, reductions over declared indices, sizes as expressions of extents
    Holds    because each rule here is the definition of what it replaces. Independent mistakes come together.
    """
    attention = _attention(file, name)
    scope = Scope(_functions(file, use))
    scope.attentions.update(_attentions(file, attention, use))
    resolver = Resolver(scope)
    values = _options(resolver, attention, options or {})
    _declare(resolver, attention)
    parts, called_requires = _define(resolver, attention)
    tensors = tuple(
        Tensor(name, tuple(axes(scope, scope.lefts[name])), scope.types[name], found, span=found[0].span)
        for name, found in parts.items()
    )
    for output in attention.outputs:
        if output not in parts and output not in scope.inputs:
            raise error(
                "A112",
                f"output `{output}` is not defined",
                attention.span,
                "here",
                helps=(f"define `{output}[..] = ..`",),
            )
    requires, limits = _requires(resolver, attention)
    requires += called_requires
    mistakes = mistakes_in(scope, parts, [item.test for item in requires])
    if mistakes:
        raise AttnError(*mistakes)
    steps = ordered(tensors, scope.ranges)
    check_starts(tensors, steps)
    return Cascade(
        attention.name,
        tuple(scope.inputs.values()),
        tuple(values.items()),
        tuple(scope.ranges.values()),
        tensors,
        steps,
        attention.outputs,
        requires,
        limits,
        _carries(resolver, attention),
        attention.doc or file.doc,
        span=attention.span,
    )


def _attention(file: syntax.File, name: str | None) -> syntax.Attention:
    found = [item for item in file.definitions if isinstance(item, syntax.Attention)]
    chosen = [item for item in found if name in (None, item.name)]
    if not chosen:
        raise unknown(name or "", file.span, [item.name for item in found], "attention")
    return chosen[-1]


def _attentions(
    file: syntax.File, caller: syntax.Attention, use: Use | None
) -> dict[str, Callable[[Mapping[str, object]], Cascade]]:
    """How each attention of the file is resolved when a statement calls it; those further down cannot call back."""
    found: dict[str, Callable[[Mapping[str, object]], Cascade]] = {}
    for item in file.definitions:
        if isinstance(item, syntax.Attention) and item.name != caller.name:
            rest = replace(file, definitions=tuple(other for other in file.definitions if other is not caller))
            found[item.name] = partial(_called, rest, item.name, use)
    return found


def _called(file: syntax.File, name: str, use: Use | None, options: Mapping[str, object]) -> Cascade:
    return resolve(file, name, options, use)


def _functions(file: syntax.File, use: Use | None) -> dict[str, syntax.Function]:
    functions: dict[str, syntax.Function] = {}
    for item in file.uses:
        module = use(item.path, item.span) if use is not None else None
        given = {f.name: f for f in (module.definitions if module else ()) if isinstance(f, syntax.Function)}
        for wanted in item.names or tuple(given):
            if wanted not in given:
                raise unknown(wanted, item.span, list(given), f"definition of `{'.'.join(item.path)}`:")
            functions[wanted] = given[wanted]
        functions |= {n: f for n, f in given.items() if n not in functions}
    for definition in file.definitions:
        if isinstance(definition, syntax.Function):
            functions[definition.name] = definition
    return functions


def _options(
    resolver: Resolver, attention: syntax.Attention, given: Mapping[str, object]
) -> dict[str, bool | int | float]:
    known = {item.name for item in attention.options}
    for name in given:
        if name not in known:
            raise unknown(name, attention.span, sorted(known), "option")
    values: dict[str, bool | int | float] = {}
    for item in attention.options:
        if item.name not in given and item.default is None:
            raise error(
                "A113",
                f"option `{item.name}` has no default and was not given",
                item.span,
                "declared here",
                helps=(f"pass `{item.name}=..`",),
            )
        value = given[item.name] if item.name in given else evaluate(resolver.of(item.default), {})  # type: ignore[arg-type]
        if isinstance(value, Var):  # a call's option that depends on the caller's sizes
            resolver.scope.constants[item.name] = value
            continue
        values[item.name] = _typed(item, value)
        resolver.scope.constants[item.name] = Const(values[item.name], span=item.span)
    return values


def _typed(item: syntax.Option, value: object) -> bool | int | float:
    kind = item.type or ("real" if isinstance(value, float) else "bool" if isinstance(value, bool) else "int")
    fits = {"int": isinstance(value, int) and not isinstance(value, bool), "bool": isinstance(value, bool)}
    if kind == "real" and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not fits.get(kind, False):
        raise error("A114", f"option `{item.name}` is {kind}, but {value!r} was given", item.span, "declared here")
    assert isinstance(value, bool | int | float)
    return value


def _declare(resolver: Resolver, attention: syntax.Attention) -> None:
    """Enter inputs, indices, tensors and sizes by name, so that statements may stand in any order."""
    scope = resolver.scope
    for param in attention.params:
        for index in param.indices or ():
            scope.ranges.setdefault(index, Range(index, Const(0), Size(index), span=param.span))
        scope.inputs[param.name] = Input(param.name, param.indices or (), KINDS[param.type], span=param.span)
        scope.types[param.name] = KINDS[param.type]
    for statement in attention.body:
        if isinstance(statement, syntax.Define):
            for place in statement.places:
                scope.places.setdefault(place.name, []).append(statement)
    for statement in attention.body:
        if isinstance(statement, syntax.Define) and _is_size(scope, statement, attention.outputs):
            scope.sizes[statement.places[0].name] = statement
            del scope.places[statement.places[0].name]
    _indices(resolver, attention)
    for param in attention.params:
        if param.default is not None:
            value = resolver.of(param.default)
            scope.inputs[param.name] = Input(param.name, param.indices or (), KINDS[param.type], value, span=param.span)


def _indices(resolver: Resolver, attention: syntax.Attention) -> None:
    ranges = [item for line in attention.body if isinstance(line, syntax.Indices) for item in line.ranges]
    for item in ranges:
        name = declared_name(item)
        if name not in resolver.scope.ranges:
            resolver.scope.ranges[name] = Range(name, Const(0), Size(name), span=item.span)
    for item in ranges:
        declare(resolver, item)


def _is_size(scope: Scope, statement: syntax.Define, outputs: tuple[str, ...]) -> bool:
    """Whether a definition is a size or constant: no brackets on the left, no tensor on the right."""
    from attnc.ir.walk import walk

    place = statement.places[0]
    if (
        place.name in outputs
        or len(statement.places) > 1
        or place.subs is not None
        or len(scope.places[place.name]) > 1
    ):
        return False
    for node in walk(statement.value):
        if isinstance(node, syntax.At):
            return False
        if isinstance(node, syntax.Name) and (node.name in scope.inputs or _is_tensor(scope, node.name)):
            return False
    return True


def _is_tensor(scope: Scope, name: str) -> bool:
    return any(
        place.name == name and place.subs is not None for item in scope.places.get(name, ()) for place in item.places
    )


Side = tuple[tuple[Expr, ...], tuple[str, ...]]


def _define(resolver: Resolver, attention: syntax.Attention) -> tuple[dict[str, tuple[Part, ...]], tuple[Require, ...]]:
    """The parts of every tensor by name, and what the calls among them require."""
    scope, mistakes = resolver.scope, list[Diagnostic]()
    statements = [
        item for item in attention.body if isinstance(item, syntax.Define) and item.places[0].name in scope.places
    ]
    sides = _left_sides(resolver, statements)
    _guess_types(scope, statements)
    parts: dict[str, tuple[Part, ...]] = {}
    requires: list[Require] = []
    for number, statement in enumerate(statements):
        try:
            for part in _parts(resolver, statement, sides[number], requires):
                parts[part.tensor] = (*parts.get(part.tensor, ()), part)
        except AttnError as mistake:
            mistakes += mistake.diagnostics
    if mistakes:
        raise AttnError(*mistakes)
    _settle_types(scope, parts)
    return parts, tuple(requires)


def _left_sides(resolver: Resolver, statements: list[syntax.Define]) -> dict[int, list[Side]]:
    """The left sides of every statement; a mistake in one does not hide those in others."""
    sides: dict[int, list[Side]] = {}
    mistakes: list[Diagnostic] = []
    for number, statement in enumerate(statements):
        try:
            sides[number] = [left_side(resolver, place) for place in statement.places]
        except AttnError as mistake:
            mistakes += mistake.diagnostics
            continue
        for place, (left, _) in zip(statement.places, sides[number], strict=True):
            resolver.scope.lefts.setdefault(place.name, []).append(left)
    if mistakes:
        raise AttnError(*mistakes)
    return sides


def _parts(resolver: Resolver, statement: syntax.Define, sides: list[Side], requires: list[Require]) -> list[Part]:
    """What a statement defines: one part, or those of the attention that it calls."""
    if called(resolver, statement):
        found = inline(resolver, statement, sides)
        requires += found.requires
        return found.parts
    left, indices = sides[0]
    value = right_side(resolver, statement.value, indices)
    return [Part(statement.places[0].name, left, indices, value, span=statement.span)]


def _guess_types(scope: Scope, statements: list[syntax.Define]) -> None:
    for statement in statements:
        for place in statement.places:
            scope.types.setdefault(place.name, "bool")


def _settle_types(scope: Scope, parts: Mapping[str, tuple[Part, ...]]) -> None:
    """The types of all tensors, by repeating until nothing widens (recurrences read themselves)."""
    changed = True
    while changed:
        changed = False
        for name, found in parts.items():
            kind = scope.types[name]
            for part in found:
                kind = wider(kind, type_of(part.value, scope.types.__getitem__))
            changed = changed or kind != scope.types[name]
            scope.types[name] = kind


def _requires(resolver: Resolver, attention: syntax.Attention) -> tuple[tuple[Require, ...], tuple[PassLimit, ...]]:
    requires, limits = [], []
    for item in attention.body:
        if not isinstance(item, syntax.Require):
            continue
        match item.test:
            case syntax.Compare(
                ("<=",), (syntax.At(syntax.Name("passes"), (syntax.Name(index),)), syntax.Number(limit))
            ):
                limits.append(PassLimit(index, int(limit), span=item.span))
            case _:
                requires.append(Require(resolver.of(item.test), span=item.span))
    return tuple(requires), tuple(limits)


def _carries(resolver: Resolver, attention: syntax.Attention) -> tuple[Carry, ...]:
    carries = []
    for item in attention.body:
        if isinstance(item, syntax.Carry):
            given = resolver.scope.inputs.get(item.name)
            if given is None:
                raise unknown(item.name, item.span, list(resolver.scope.inputs), "input")
            carries.append(Carry(item.name, right_side(resolver, item.value, given.indices), span=item.span))
    return tuple(carries)

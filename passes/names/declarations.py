"""What an attention declares: options, inputs, indices, sizes and tensors."""

from __future__ import annotations

from collections.abc import Mapping

from attnc.ir import syntax
from attnc.ir.cascade import Const, Input, Range, Size, Type
from attnc.ir.walk import walk
from attnc.passes.names.expressions import Resolver
from attnc.passes.names.options import Value, option_values
from attnc.passes.names.ranges import declare, declared_name
from attnc.passes.names.scope import Scope

KINDS: dict[str | None, Type] = {None: "real", "real": "real", "int": "int", "bool": "bool"}


def declare_all(resolver: Resolver, attention: syntax.Attention, given: Mapping[str, object]) -> dict[str, Value]:
    """Enter everything by name, so that statements may stand in any order; the options' values. Mistakes are kept."""
    scope = resolver.scope
    for param in attention.params:
        scope.inputs[param.name] = Input(param.name, param.indices or (), KINDS[param.type], span=param.span)
        scope.types[param.name] = KINDS[param.type]
        for index in param.indices or ():
            scope.ranges.setdefault(index, Range(index, Const(0), Size(index), span=param.span))
    for statement in attention.body:
        if isinstance(statement, syntax.Define):
            for place in statement.places:
                scope.places.setdefault(place.name, []).append(statement)
    values = option_values(resolver, attention, given)
    _sizes(scope, attention)
    _indices(resolver, attention)
    for name in scope.sizes:
        with scope.mistakes.kept():
            if name not in scope.constants and name not in scope.broken:
                resolver.size(name)
    return values


# ---- sizes and indices ---------------------------------------------------------------------


def _sizes(scope: Scope, attention: syntax.Attention) -> None:
    """Definitions without brackets that read no tensor are sizes or constants."""
    for statement in attention.body:
        if isinstance(statement, syntax.Define) and _is_size(scope, statement, attention.outputs):
            scope.sizes[statement.places[0].name] = statement
    for name in scope.sizes:
        del scope.places[name]


def _is_size(scope: Scope, statement: syntax.Define, outputs: tuple[str, ...]) -> bool:
    place, call = statement.places[0], statement.value
    if (
        place.subs is not None
        or place.name in outputs
        or len(statement.places) > 1
        or len(scope.places[place.name]) > 1
    ):
        return False
    if isinstance(call, syntax.Apply) and isinstance(call.f, syntax.Name) and call.f.name in scope.attentions:
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


def _indices(resolver: Resolver, attention: syntax.Attention) -> None:
    """The ranges of `index` lines; each index has one."""
    scope = resolver.scope
    ranges = [item for line in attention.body if isinstance(line, syntax.Indices) for item in line.ranges]
    for item in ranges:
        name = declared_name(item)
        scope.ranges.setdefault(name, Range(name, Const(0), Size(name), span=item.span))
    for item in ranges:
        before = len(scope.mistakes.found)
        with scope.mistakes.kept():
            declare(resolver, item)
        if len(scope.mistakes.found) > before:
            scope.broken.add(declared_name(item))

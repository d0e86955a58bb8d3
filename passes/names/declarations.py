"""What an attention declares: options, inputs, indices, sizes and tensors."""

from __future__ import annotations

from collections.abc import Mapping

from attnc.ir import syntax
from attnc.ir.cascade import Const, Input, Range, Size, Type
from attnc.ir.walk import walk
from attnc.passes.names.expressions import Resolver
from attnc.passes.names.options import Value, option_values
from attnc.passes.names.ranges import declare_pending, declared_name
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
        if isinstance(statement, syntax.Define) and _is_plain(scope, statement, attention.outputs):
            scope.sizes[statement.places[0].name] = statement
    while tensors := [name for name, statement in scope.sizes.items() if _reads_tensor(scope, statement)]:
        for name in tensors:
            del scope.sizes[name]
    for name in scope.sizes:
        del scope.places[name]


def _is_plain(scope: Scope, statement: syntax.Define, outputs: tuple[str, ...]) -> bool:
    """Whether this is one name without brackets, defined once, and neither returned nor the output of a call."""
    place, value = statement.places[0], statement.value
    if isinstance(value, syntax.Apply) and isinstance(value.f, syntax.Name) and value.f.name in scope.attentions:
        return False
    once = len(statement.places) == len(scope.places[place.name]) == 1
    return once and place.subs is None and place.name not in outputs


def _reads_tensor(scope: Scope, statement: syntax.Define) -> bool:
    """Whether a value has brackets, or names an input or what is a tensor itself."""
    for node in walk(statement.value):
        if isinstance(node, syntax.At):
            return True
        named = node.name if isinstance(node, syntax.Name) and node.name not in scope.sizes else ""
        if named in scope.inputs or named in scope.places:
            return True
    return False


def _indices(resolver: Resolver, attention: syntax.Attention) -> None:
    """The ranges of `index` lines; each index has one. A range that mentions an extent waits for it."""
    scope = resolver.scope
    ranges = [item for line in attention.body if isinstance(line, syntax.Indices) for item in line.ranges]
    for item in ranges:
        name = declared_name(item)
        scope.ranges.setdefault(name, Range(name, Const(0), Size(name), span=item.span))
        scope.pending[name] = item
    for item in ranges:
        with scope.mistakes.kept():
            declare_pending(resolver, declared_name(item))

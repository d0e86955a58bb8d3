"""Defs that no attention of their file calls: their names are checked all the same."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.diagnostics import AttnError, Diagnostic
from attnc.ir import syntax
from attnc.ir.cascade import Const, Expr, Type, Var
from attnc.ir.types import type_of
from attnc.passes.names.expressions import Resolver
from attnc.passes.names.kinds import unfit
from attnc.passes.names.macros import VALUES, body
from attnc.passes.names.modules import Module
from attnc.passes.names.scope import Claim, Def, Local, Scope

NAMES = ("A101", "A119", "A123", "A124", "A125", "A126", "A128", "A129", "A130", "A142", "A137")


def mistakes_in_defs(module: Module) -> Iterator[Diagnostic]:
    """The mistakes that show in the defs of a file whatever they are called with."""
    for definition in module.functions.values():
        if any(definition.function is own for own in module.file.definitions):
            yield from _alone(definition)


def _alone(definition: Def) -> Iterator[Diagnostic]:
    """A def resolved with arguments of which nothing is known: with numbers, and with booleans."""
    function, found = definition.function, set[Type]()
    for truth in (False, True):
        scope = Scope(definition.sees)
        try:
            value = body(Resolver(scope), definition, _local(scope, definition, truth))
        except AttnError as mistake:
            yield from (item for item in mistake.diagnostics if item.code in NAMES)
            return
        found.add(type_of(value, lambda _: "real"))
    wrong = {"mask": "bool" not in found, "score": found == {"bool"}}
    if wrong.get(function.kind, False):
        what = f"`{function.name}` is a {function.kind}"
        yield from unfit(scope, Claim(value, VALUES[function.kind], what, function.value.span, None, "A135"))


def _local(scope: Scope, definition: Def, truth: bool) -> Local:
    function = definition.function
    local = Local(definition)
    for index in function.indices:
        local.indices[index] = (scope.bring(index, function.span),)
    for item in (*function.params, *function.options):
        assert isinstance(item, syntax.Param | syntax.Option)
        value: Expr = Const(truth) if item.type == "bool" or (truth and item.type is None) else Var(item.name)
        local.values[item.name] = value
    return local

"""A file's attention with every name resolved: indices, extents, types, parts, recurrences."""

from __future__ import annotations

from collections.abc import Mapping

from attnc.diagnostics import AttnError, Diagnostic
from attnc.ir import syntax
from attnc.ir.cascade import Cascade
from attnc.passes.names.alone import mistakes_in_defs
from attnc.passes.names.attention import Resolution
from attnc.passes.names.mistakes import in_order
from attnc.passes.names.modules import Module, Use, attention_named, module_of

__all__ = ["Use", "resolve"]


def resolve(
    file: syntax.File, name: str | None = None, options: Mapping[str, object] | None = None, use: Use | None = None
) -> Cascade:
    """The cascade of an attention (the last one by default) for these option values.

    Before   names, bare tensors, implied sums, calls of defs and attentions
    After    reads at subscripts, reductions over declared indices, sizes as expressions of extents
    Holds    because each rule here is the definition of what it replaces. Independent mistakes come together,
             those of the file's other attentions too.
    """
    module = module_of(file, use)
    attention = attention_named(file, name)
    wrong = [*module.mistakes.found, *mistakes_in_defs(module)]
    cascade: Cascade | None = None
    try:
        cascade = Resolution(module, attention, options or {}).cascade()
    except AttnError as mistake:
        others = [item for item in file.definitions if isinstance(item, syntax.Attention) and item is not attention]
        wrong += [*mistake.diagnostics, *_mistakes(module, others)]
    if wrong:
        raise AttnError(*in_order(wrong))
    assert cascade is not None, f"nothing is told of what is wrong with {attention.name}"
    return cascade


def _mistakes(module: Module, attentions: list[syntax.Attention]) -> list[Diagnostic]:
    """The mistakes of attentions whose options all have defaults."""
    found: list[Diagnostic] = []
    for attention in attentions:
        if all(option.default is not None for option in attention.options):
            try:
                Resolution(module, attention, {}).cascade()
            except AttnError as mistake:
                found += mistake.diagnostics
    return found

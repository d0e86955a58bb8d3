"""What can be said of an attention before its options are known: the names of its inputs and options."""

from __future__ import annotations

import json
from dataclasses import dataclass

from attnc.diagnostics import error
from attnc.library import Spec, parse_source
from attnc.runtime import cache


@dataclass(frozen=True)
class Signature:
    """The attention's name, its inputs and outputs in order, its options and those without a default."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    options: tuple[str, ...]
    needed: tuple[str, ...]
    doc: str | None = None


def signature(spec: Spec) -> Signature:
    """The signature of the attention a spec names (the last one where it names none); kept on disk."""
    key = cache.key("signature", spec.source.name, spec.source.text, spec.name)
    kept = cache.get(key, "signature")
    if kept is not None:
        name, inputs, outputs, options, needed, doc = json.loads(kept)
        return Signature(name, tuple(inputs), tuple(outputs), tuple(options), tuple(needed), doc)
    found = _read(spec)
    fields = [found.name, found.inputs, found.outputs, found.options, found.needed, found.doc]
    cache.put(key, "signature", json.dumps(fields).encode())
    return found


def _read(spec: Spec) -> Signature:
    from attnc.ir import syntax

    file = parse_source(spec.source)
    attentions = [item for item in file.definitions if isinstance(item, syntax.Attention)]
    chosen = [item for item in attentions if spec.name in (None, item.name)]
    if not chosen:
        known = ", ".join(f"`{item.name}`" for item in attentions)
        what = f"no attention `{spec.name}`" if spec.name else "no attention"
        helps = (f"it defines {known}",) if known else ("write `attention NAME(Q[b,h,m,e], ..) -> O:`",)
        raise error("A614", f"`{spec.source.name}` defines {what}", helps=helps)
    one = chosen[-1]
    return Signature(
        one.name,
        tuple(param.name for param in one.params),
        one.outputs,
        tuple(option.name for option in one.options),
        tuple(option.name for option in one.options if option.default is None),
        one.doc or file.doc,
    )

"""Attentions in the models of Transformers, by the name that a model's `attn_implementation` takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import attnc
from attnc.diagnostics import error
from attnc.integrations.masks import MARK, ROWS, Mask, marked, table_for
from attnc.ir.cascade import Cascade, Input
from attnc.runtime.attention import Attention
from attnc.runtime.site import constant

Taken = str | Callable[[Any], Any]
WITHOUT = {"dropout": 0.0, "output_attentions": False}
"""Keywords that change nothing at these values."""
SILENT = {"position_ids", "cache_position", "use_cache", "num_items_in_batch", "max_length_q", "max_length_k"}
SILENT |= {"output_hidden_states", "output_router_logits", "return_dict", "is_causal"}
"""Keywords that say nothing of an attention."""
NO_WINDOW = 2**30


def register(
    name: str,
    attention: str | Path | Attention,
    takes: Mapping[str, Taken] | None = None,
    *,
    patterns: tuple[str, ...] = ("causal", "sliding"),
    ignore: tuple[str, ...] = (),
) -> None:
    """Lets models use an attention: `AutoModel.from_pretrained(.., attn_implementation=name)`.

    Its first three inputs are the queries, keys and values, [batch, heads, positions, dim]; key heads that it does
    not tell from query heads are repeated. `takes` names for its other inputs and its options what a layer gives: a
    keyword of Transformers (`sliding_window`, `softcap`, `s_aux`, `scaling`, ..), `padding` (booleans
    [batch, keys]), `attention_mask` (booleans [batch, queries, keys], or with heads), or a function of the layer.

    The spec states what is seen; the model has to want one of the `patterns`. Whatever else a layer gives that
    would change the result and is not taken is error A650 or A651, unless its keyword is among `ignore`: padding, a
    table, a cap, a scale other than 1 / sqrt(E). A layer without a window gives one that nothing exceeds.
    """
    own = served(attention, takes, patterns=patterns, ignore=ignore)
    try:
        from transformers import AttentionInterface, AttentionMaskInterface
    except ImportError as reason:
        helps = ("install it: `pip install 'attnc[transformers]'`",)
        raise error("A653", "Transformers cannot be imported", notes=(str(reason),), helps=helps) from None
    AttentionInterface.register(name, own)
    AttentionMaskInterface.register(name, marked)


def served(
    attention: str | Path | Attention,
    takes: Mapping[str, Taken] | None = None,
    *,
    patterns: tuple[str, ...] = ("causal", "sliding"),
    ignore: tuple[str, ...] = (),
) -> Served:
    """The function that layers call; error A652 where something of the attention is neither taken nor optional."""
    own = attention if isinstance(attention, Attention) else attnc.load(attention)
    taken = dict(takes or {})
    stated = own.program().stated
    further = [item.name for item in stated.inputs[3:]]
    known = [*further, *own.signature.options]
    wrong = [name for name in taken if name not in known]
    lacking = [item.name for item in stated.inputs[3:] if item.default is None and item.name not in taken]
    if wrong or len(stated.inputs) < 3:
        what = (
            f"`{stated.name}` has no further input or option `{wrong[0]}`"
            if wrong
            else f"`{stated.name}` is no attention over queries, keys and values"
        )
        raise error("A652", what, helps=(f"it has {', '.join(f'`{name}`' for name in known)}",) if known else ())
    if lacking:
        helps = (f'`takes={{"{lacking[0]}": ..}}`: a keyword of Transformers, or a function of the layer',)
        raise error("A652", f"nothing is said of where `{lacking[0]}` comes from", helps=helps)
    return Served(own, stated, taken, patterns, ignore)


@dataclass(frozen=True)
class Served:
    """An attention as a layer of Transformers calls one."""

    attention: Attention
    stated: Cascade
    takes: dict[str, Taken]
    patterns: tuple[str, ...]
    ignore: tuple[str, ...]

    def __call__(
        self,
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        **given: Any,
    ) -> tuple[torch.Tensor, None]:
        """The attention's first output, positions before heads, and no weights."""
        mask: Mask | torch.Tensor | None = getattr(attention_mask, MARK, attention_mask)
        keys = mask.keys if isinstance(mask, Mask) else key.shape[2]
        key, value = (self._repeated(tensor[:, :, :keys], query.shape[1]) for tensor in (key, value))
        causal = given.get("is_causal")
        pattern = _pattern(mask, getattr(module, "is_causal", True) if causal is None else causal)
        given |= self._masked(pattern, query, key, mask)
        if isinstance(mask, Mask):
            given["sliding_window"] = mask.window  # that decides, not what the layer says of it
        self._refuse(query, given)
        found = self.attention(query, key, value, **self._taken(module, given))
        output: torch.Tensor = found if isinstance(found, torch.Tensor) else found[0]
        return output.transpose(1, 2).contiguous(), None

    def _repeated(self, tensor: torch.Tensor, heads: int) -> torch.Tensor:
        """Key heads as many as query heads, where the spec has one index for both."""
        queries, keys = (item.indices[1] for item in self.stated.inputs[:2])
        return tensor if queries != keys else tensor.repeat_interleave(heads // tensor.shape[1], 1)

    def _input(self, keyword: str) -> Input | None:
        """The input that takes a keyword."""
        return next((self.stated.input(name) for name, taken in self.takes.items() if taken == keyword), None)

    # ---- masks -----------------------------------------------------------------------------

    def _masked(
        self, pattern: str, query: torch.Tensor, key: torch.Tensor, mask: Mask | torch.Tensor | None
    ) -> dict[str, Any]:
        """The padding and the table, as far as they are taken; error A651 where one is not that has to be."""
        rows, padding = self._input(ROWS), self._input("padding")
        padded = mask.padding if isinstance(mask, Mask) else None
        table = mask if isinstance(mask, torch.Tensor) else None
        if isinstance(mask, Mask) and rows and (pattern not in self.patterns or (padded is not None and not padding)):
            table, padded = mask.table(), None
        elif table is None and pattern not in self.patterns:
            _refuse_pattern(self.stated.name, pattern)
        if (table is not None and not rows) or (padded is not None and not padding):
            _refuse_mask(self.stated.name, "a table of its own" if table is not None else "padding")
        seen = torch.ones((), dtype=torch.bool, device=key.device)
        found: dict[str, Any] = {}
        if padding:
            found["padding"] = padded if padded is not None else seen.expand(key.shape[0], key.shape[2])
        if rows:
            whole = table if table is not None else seen.expand(key.shape[0], 1, query.shape[2], key.shape[2])
            found[ROWS] = table_for(len(rows.indices), rows.type, query.shape[1], whole)
        return found

    # ---- keywords --------------------------------------------------------------------------

    def _refuse(self, query: torch.Tensor, given: Mapping[str, Any]) -> None:
        """Error A650 on what would change the result and is not taken."""
        without = {**WITHOUT, "scaling": query.shape[-1] ** -0.5}
        for keyword, value in given.items():
            if value is None or keyword in SILENT or keyword in self.ignore or keyword in self.takes.values():
                continue
            if keyword in without and isinstance(value, bool | int | float) and math.isclose(value, without[keyword]):
                continue
            what = f"a layer gives `{keyword}`, which `{self.stated.name}` does not take"
            shown = (f"it is {value}",) if isinstance(value, bool | int | float) else ()
            helps = (
                f'say what takes it: `takes={{NAME: "{keyword}"}}`',
                f'or that it has no say: `ignore=("{keyword}",)`',
            )
            raise error("A650", what, notes=shown, helps=helps)

    def _taken(self, module: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """The further inputs and options by name; error A650 where a layer does not give one."""
        found = {}
        for name, taken in self.takes.items():
            value = given.get(taken) if isinstance(taken, str) else taken(module)
            if value is None and taken == "sliding_window":
                value = NO_WINDOW
            if value is None:
                what = f"a layer gives no `{taken}` for `{name}` of `{self.stated.name}`"
                raise error("A650", what, helps=("register another attention for models with such layers",))
            found[name] = value
        return found


def _pattern(mask: Mask | torch.Tensor | None, causal: bool) -> str:
    """What the model wants to be seen, by its mask or else by its word."""
    return mask.pattern if isinstance(mask, Mask) else "causal" if causal else "bidirectional"


@constant
def _refuse_pattern(name: str, pattern: str) -> None:
    """Error A651; a compiler that traces the call hears it as well."""
    if pattern == "other":
        what = f"the model asks for a mask of its own making, and `{name}` takes none"
        helps = ('declare an input for it, `seen[b,m,n]: bool`, with `takes={"seen": "attention_mask"}`',)
        notes = (
            "sequences that are packed into one are such a mask; so is all that is compiled without a mask, and a"
            " sliding window that is compiled: there PyTorch does not show what a mask was made of",
        )
        raise error("A651", what, notes=notes, helps=helps)
    what = f"the model asks for a {pattern} mask, and `{name}` is registered for others"
    helps = (f'if the spec states that pattern, register it with `patterns=("{pattern}",)`',)
    raise error("A651", what, helps=helps)


@constant
def _refuse_mask(name: str, what: str) -> None:
    """Error A651 on a mask that is not taken."""
    keyword, axes = ("padding", "b,n") if what == "padding" else (ROWS, "b,m,n")
    helps = (f'declare an input for it, `seen[{axes}]: bool`, with `takes={{"seen": "{keyword}"}}`',)
    raise error("A651", f"the model gives {what}, and `{name}` takes none", helps=helps)

"""FlexAttention's interface on attnc: its callables unchanged, derived and compiled as any spec is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from attnc.flex.arguments import auxiliary, callables, checked, mask_of, scale_of
from attnc.flex.known import recalled
from attnc.flex.program import Form, attention_of
from attnc.flex.rules import Call

__all__ = ["flex_attention"]


def flex_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    score_mod: Callable[..., Any] | None = None,
    block_mask: Any = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: object = None,
    *,
    mask_mod: Callable[..., Any] | None = None,
    return_aux: Any = None,
) -> Any:
    """softmax(score_mod(scale q k)) v over the keys that the masks let see; with `return_lse` its logsumexp too.

    `score_mod(score, b, h, q_idx, kv_idx)` and `mask_mod(b, h, q_idx, kv_idx)` are FlexAttention's. They run on
    scalars, again only where something that they read has changed; what they do becomes part of the kernel. Tensors
    that they capture are inputs, with gradients; numbers are compiled in, lengths are not. A `BlockMask` is followed
    by its rule, one without by its blocks. `kernel_options` are for other kernels and change nothing.
    """
    asked = (return_lse or bool(getattr(return_aux, "lse", False)), bool(getattr(return_aux, "max_scores", False)))
    rules = (score_mod, mask_mod, block_mask)
    attended = _apart if torch.compiler.is_compiling() else _attended
    found = attended(query, key, value, rules, scale, enable_gqa, asked)
    return found if return_aux is None else auxiliary(found, *asked)


def _attended(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    rules: tuple[Any, Any, Any],
    scale: float | None,
    enable_gqa: bool,
    asked: tuple[bool, bool],
) -> Any:
    """The output, its logsumexp and the largest score, as far as they are asked for."""
    score_mod, mask_mod, block_mask = rules
    callables(score_mod, mask_mod)
    checked(query, key, value, enable_gqa)
    masks = [] if mask_mod is None else [mask_mod]
    if block_mask is not None:
        masks.append(mask_of(block_mask, (query.shape[2], key.shape[2])))
    extents = {"b": query.shape[0], "h": query.shape[1], "m": query.shape[2], "n": key.shape[2]}
    real = torch.float64 if query.dtype == torch.float64 else torch.float32
    found, captured = recalled(score_mod, masks, Call(query.device, real, extents))
    form = Form(found, scale_of(scale), enable_gqa and query.shape[1] != key.shape[1], *asked)
    given = {name: item.to(real) if item.dtype == torch.float64 else item for name, item in captured.items()}
    return attention_of(form)(query, key, value, **given)


# What traces callables is nothing for another tracer: under `torch.compile` a call stands outside of its graph.
_apart = torch._disable_dynamo(_attended)  # type: ignore[attr-defined]

"""FlexAttention's interface on attnc: its callables unchanged, derived and compiled as any spec is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from attnc.flex.arguments import auxiliary, callables, masks_of
from attnc.flex.calls import Asked, called, seen_by
from attnc.flex.known import recalled

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

    In compiled code it is one operator of the graph. Under `checkpoint` there, PyTorch wants leave to follow how the
    callables read tensors: `torch._dynamo.config.skip_fwd_side_effects_in_bwd_under_checkpoint = True`.
    """
    lse, top = return_lse or bool(getattr(return_aux, "lse", False)), bool(getattr(return_aux, "max_scores", False))
    asked = Asked(scale, enable_gqa, lse, top)
    if not torch.compiler.is_dynamo_compiling():  # it has a word of its own on what it cannot call
        callables(score_mod, mask_mod)
    masks = masks_of(mask_mod, block_mask, query, key)
    if torch.compiler.is_dynamo_compiling():
        from attnc.flex.graphs import recorded  # PyTorch's compiler is there already

        found = recorded(query, key, value, score_mod, masks, asked)
    else:
        rules, captured = recalled(score_mod, masks, seen_by(query, key, value, enable_gqa))
        found = called(query, key, value, rules, captured, asked)
    return found if return_aux is None else auxiliary(found, lse, top)

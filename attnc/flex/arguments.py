"""The arguments of FlexAttention's call, held against one another before anything is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from attnc.diagnostics import AttnError, error

AXES = ("batch", "heads", "length", "width")


def checked(query: Any, key: Any, value: Any, shared: bool) -> None:
    """Error A680 for tensors that do not belong together."""
    for name, item in (("query", query), ("key", key), ("value", value)):
        if not isinstance(item, torch.Tensor) or item.is_nested or item.dim() != 4:
            found = f"has shape {tuple(item.shape)}" if _dense(item) else f"is a `{type(item).__name__}`"
            raise _wrong(f"`{name}` {found}", "it has four axes: (batch, heads, length, width)")
        if not item.is_floating_point():
            raise _wrong(f"`{name}` is {_short(item.dtype)}", f"pass `{name}.float()`")
    _equal("batch", "query", query.shape[0], "key", key.shape[0])
    for axis in (0, 1, 2):
        _equal(AXES[axis], "key", key.shape[axis], "value", value.shape[axis])
    _equal("width", "query", query.shape[3], "key", key.shape[3])
    heads, keys = query.shape[1], key.shape[1]
    if not shared and heads != keys:
        raise _wrong(
            f"`query` has {heads} heads, `key` {keys}", "pass `enable_gqa=True` if query heads share key heads"
        )
    if shared and (keys == 0 or heads % keys):
        raise _wrong(f"{heads} query heads cannot share {keys} key heads", "make their number a multiple of it")


def _dense(item: Any) -> bool:
    return isinstance(item, torch.Tensor) and not item.is_nested


def _equal(axis: str, one: str, extent: int, other: str, found: int) -> None:
    if extent != found:
        help_ = f"`{axis}` is the same in both"
        if 1 in (extent, found):
            help_ = (
                f"nothing is broadcast silently: write `{one if extent == 1 else other}.expand(..)` if that is meant"
            )
        raise _wrong(f"the {axis} of `{one}` is {extent}, that of `{other}` {found}", help_)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _wrong(what: str, help_: str) -> AttnError:
    return error("A680", what, helps=(help_,))


def scale_of(scale: object) -> float | None:
    """The scale as a number; None for the default."""
    if scale is None:
        return None
    if isinstance(scale, int | float) and not isinstance(scale, bool):
        return float(scale)
    what = f"`scale` is a `{type(scale).__name__}`"
    raise _wrong(what, "pass a Python number; a tensor is multiplied in by a score callable: `score * scale`")


def callables(score_mod: object, mask_mod: object) -> None:
    """Error A680 for what cannot be called."""
    for name, rule in (("score_mod", score_mod), ("mask_mod", mask_mod)):
        if rule is not None and not callable(rule):
            raise _wrong(f"`{name}` is a `{type(rule).__name__}`", "pass a function; a `BlockMask` is `block_mask=`")


def auxiliary(found: Any, lse: bool, top: bool) -> Any:
    """The output, and beside it what was asked for as PyTorch names it."""
    from torch.nn.attention.flex_attention import AuxOutput

    out, *rest = found if lse or top else (found,)
    return out, AuxOutput(lse=rest[0] if lse else None, max_scores=rest[-1] if top else None)


# ---- block masks --------------------------------------------------------------------------------


def masks_of(
    mask_mod: Callable[..., Any] | None, block_mask: Any, query: torch.Tensor, key: torch.Tensor
) -> list[Callable[..., Any]]:
    """The rules by which keys are seen."""
    masks = [] if mask_mod is None else [mask_mod]
    return masks if block_mask is None else [*masks, _mask_of(block_mask, (query.shape[2], key.shape[2]))]


def _mask_of(block_mask: Any, lengths: tuple[int, int]) -> Callable[..., Any]:
    """The rule of a BlockMask: its mask callable, or its table of blocks where it has none."""
    from torch.nn.attention.flex_attention import BlockMask, noop_mask

    if not isinstance(block_mask, BlockMask):
        raise _wrong(f"`block_mask` is a `{type(block_mask).__name__}`", "pass a rule as `mask_mod=`")
    made = tuple(block_mask.shape[-2:])
    if made != lengths and block_mask.BLOCK_SIZE[0] < 2**30:  # the block of a mask made for any length
        what = f"`block_mask` was made for {made[0]} queries and {made[1]} keys, not for {lengths[0]} and {lengths[1]}"
        raise _wrong(what, "pass its rule for any length: `mask_mod=block_mask.mask_mod`")
    rule: Callable[..., Any] = block_mask.mask_mod
    if getattr(rule, "__name__", "") == "_sliced_mask_mod_error":
        raise _wrong("`block_mask` was sliced, and has no rule since", "pass the rule that it was made of: `mask_mod=`")
    if rule is not noop_mask:
        return rule
    return _by_blocks(block_mask.to_dense().bool(), block_mask.BLOCK_SIZE)


def _by_blocks(blocks: torch.Tensor, size: tuple[int, int]) -> Callable[..., Any]:
    """Whether the block that a pair lies in is listed."""
    if not torch.compiler.is_compiling() and bool(blocks.all()):
        return lambda b, h, m, n: True
    alone = [extent == 1 for extent in blocks.shape[:2]]
    table = blocks[tuple(0 if one else slice(None) for one in alone)]

    def rule(b: Any, h: Any, m: Any, n: Any) -> Any:
        own = [position for position, one in zip((b, h), alone, strict=True) if not one]
        return table[(*own, m // size[0], n // size[1])]

    return rule

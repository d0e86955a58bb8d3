"""What a model of Transformers says of its mask: a pattern that a spec can state, padding, or a table of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from attnc.diagnostics import error

ROWS = "attention_mask"
MARK = "_attnc_mask"


@dataclass(frozen=True)
class Mask:
    """The mask of a call: a pattern (`causal`, `sliding` with its window, `bidirectional`, or `other`), and padding.

    `padding` tells which of the keys exist, None where all do; of the keys the first `keys` are in use, and the
    queries are the last of those; `table` makes the whole mask, one boolean for each query and key.
    """

    pattern: str
    window: int | None
    padding: torch.Tensor | None
    keys: int
    table: Callable[[], torch.Tensor]


def marked(*sizes: Any, **options: Any) -> torch.Tensor:
    """The mask that Transformers asks for, on a tensor with the four axes of a table: models hand it on unseen.

    Its one number is NaN: what loses the mark is no table that could be believed.
    """
    found = torch.full((1, 1, 1, 1), float("nan"))
    setattr(found, MARK, mask_of(*sizes, **options))
    return found


def mask_of(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int = 0,
    kv_offset: int = 0,
    mask_function: Callable[..., Any] | None = None,
    attention_mask: torch.Tensor | None = None,
    **rest: Any,
) -> Mask:
    """The mask that Transformers asks for; no table is made."""
    from transformers.masking_utils import causal_mask_function, prepare_padding_mask, sdpa_mask

    function = causal_mask_function if mask_function is None else mask_function
    padding = prepare_padding_mask(attention_mask, kv_length, kv_offset)
    keys = int(q_offset) + q_length - kv_offset

    def table() -> torch.Tensor:
        options = {"device": rest.get("device", "cpu"), "use_vmap": rest.get("use_vmap", False)}
        options |= {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
        whole: torch.Tensor = sdpa_mask(
            batch_size, q_length, kv_length, q_offset, kv_offset, function, attention_mask, **options
        )
        return whole[..., :keys]

    if padding is not None:
        padding = padding[:, kv_offset : kv_offset + keys]
        known = not torch.compiler.is_compiling()  # what its values are
        padding = None if known and bool(padding.all()) else padding
    pattern, window = pattern_of(function)
    return Mask(pattern, window, padding, keys, table)


def pattern_of(function: Callable[..., Any]) -> tuple[str, int | None]:
    """The pattern of a mask function of Transformers, and its window; `other` where it is none of those it has."""
    from transformers.masking_utils import (
        and_masks,
        bidirectional_mask_function,
        causal_mask_function,
        sliding_window_overlay,
    )

    if function is causal_mask_function:
        return "causal", None
    if function is bidirectional_mask_function:
        return "bidirectional", None
    match _held(function, and_masks):
        case {"mask_functions": (overlay, inner)} if inner is causal_mask_function:
            window = _held(overlay, sliding_window_overlay).get("sliding_window")
            return ("sliding", window) if isinstance(window, int) else ("other", None)
    return "other", None


def _held(function: Callable[..., Any], maker: Callable[..., Any]) -> dict[str, Any]:
    """What a function that `maker` makes was made of; nothing for any other, nor for one that Dynamo made."""
    code = getattr(function, "__code__", None)
    if torch.compiler.is_compiling() or code is None or code not in maker.__code__.co_consts:
        return {}
    cells = function.__closure__ or ()
    return dict(zip(code.co_freevars, (cell.cell_contents for cell in cells), strict=True))


def table_for(axes: int, kind: str, heads: int, given: torch.Tensor) -> torch.Tensor:
    """A table over queries and keys, with or without heads, for an input with so many axes and of this type."""
    if kind == "bool" and given.dtype != torch.bool:
        what = f"the model gives a mask of type `{str(given.dtype).removeprefix('torch.')}`, added to scores"
        raise error("A651", what, helps=("give it a boolean one: true where a query sees a key",))
    if axes == 4:
        return given.expand(-1, heads, -1, -1)
    if given.shape[1] != 1:
        what = f"the model gives a mask for each of {given.shape[1]} heads, and the attention takes one for all"
        raise error("A651", what, helps=("give the input that takes it an axis of heads",))
    return given[:, 0]

"""The contestants: attnc, and PyTorch's scaled_dot_product_attention and compiled FlexAttention, on one row.

Each is prepared once (kernels, biases, block masks) and then called with the row's inputs. What a peer has no words for
is said, not imitated: error `UnableError` with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import pad, scaled_dot_product_attention

from attnc.bench.case import Case
from attnc.bench.rows import Tensors, causal

Call = Callable[[Tensors], torch.Tensor]

NO_SOFTMAX = "its weights are always a softmax"


class UnableError(Exception):
    """A peer cannot express a row, or not here; the text says why."""


@dataclass(frozen=True)
class Peer:
    """A contestant that is not attnc: its name in the table, how it is prepared, and why it has no backward, if so."""

    name: str
    prepare: Callable[[Case, Tensors], Call]
    no_backward: str = ""


def ours(case: Case, _: Tensors) -> Call:
    """attnc's kernels."""
    return lambda given: case.attention(**given)


def with_sink_key(given: torch.Tensor) -> torch.Tensor:
    """Keys or values with one more that is zero."""
    return pad(given, (0, 0, 0, 1))


def maps(case: Case, attend: Callable[..., torch.Tensor]) -> Call:
    """A row as calls of an attention that knows softmaxes only; a sink is one more key."""
    sink = with_sink_key if case.row.weights == "sink" else lambda tensor: tensor

    def call(given: Tensors) -> torch.Tensor:
        outputs = [attend(given[q], sink(given[k]), sink(given["V"])) for q, k in case.row.maps]
        return case.row.combine(given, outputs)

    return call


# ---- SDPA ---------------------------------------------------------------------------------------


def sdpa(case: Case, inputs: Tensors) -> Call:
    """PyTorch's own attention: `is_causal` where that is the mask, else a bias that is made beforehand."""
    if case.row.weights not in ("softmax", "sink"):
        raise UnableError(NO_SOFTMAX)
    if case.row.score is not None and not case.row.additive:
        raise UnableError("scores can be added to and masked only")
    settings = _sdpa_settings(case, inputs)

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return scaled_dot_product_attention(q, k, v, enable_gqa=case.key_heads != case.heads, **settings)

    return maps(case, attend)


def cudnn(case: Case, inputs: Tensors) -> Call:
    """PyTorch's own attention by cuDNN, where no bias is needed."""
    call = sdpa(case, inputs)
    if "attn_mask" in _sdpa_settings(case, inputs):
        raise UnableError("measured without a bias only")

    def forced(given: Tensors) -> torch.Tensor:
        with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            return call(given)

    return forced


def _sdpa_settings(case: Case, inputs: Tensors) -> dict[str, Any]:
    plain = case.row.score is None and case.row.weights == "softmax"
    if plain and case.sees_all(inputs):
        return {}
    if plain and case.row.mask is causal and case.queries == case.keys:
        return {"is_causal": True}
    return {"attn_mask": _bias(case, inputs)}


def _bias(case: Case, inputs: Tensors) -> torch.Tensor:
    """What is added to the scores: -inf where a key is not seen, the row's score of zero, the sink's column."""
    heads = case.heads if case.row.score is not None or case.row.weights == "sink" else 1
    columns = case.keys + (case.row.weights == "sink")
    shape = (case.batch, heads, case.queries, columns)
    _enough_memory(shape, case)
    bias = torch.zeros(shape, dtype=case.dtype, device=case.device)
    for rows in case.chunks():
        part, points = bias[:, :, rows[0] : rows[-1] + 1, : case.keys], case.points(rows)
        if case.row.score is not None:
            part += case.row.score(inputs)(torch.zeros((), device=case.device), *points)
        if case.row.mask is not None:
            part.masked_fill_(~case.row.mask(inputs)(*points), -torch.inf)
    if case.row.weights == "sink":
        bias[..., -1] = inputs["sink"][:, None]
    return bias


def _enough_memory(shape: tuple[int, ...], case: Case) -> None:
    size = torch.Size(shape).numel() * case.dtype.itemsize
    if case.device == "cpu":
        room = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    else:
        room = torch.cuda.get_device_properties(case.device).total_memory
    if size > room // 4:
        raise UnableError(f"its bias would take {size / 1e9:.1f} GB")


# ---- FlexAttention ------------------------------------------------------------------------------


def flex(case: Case, inputs: Tensors) -> Call:
    """Compiled FlexAttention, anew for this case: nothing that it met before slows its guards."""
    if case.row.weights not in ("softmax", "sink"):
        raise UnableError(NO_SOFTMAX)
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    torch._dynamo.reset()
    torch._dynamo.config.recompile_limit = 1000
    score, mask = _flex_score(case, inputs), _flex_mask(case, inputs)
    extents = (case.batch, None, case.queries, case.keys + (case.row.weights == "sink"))
    block_mask = create_block_mask(mask, *extents, device=case.device) if mask else None
    compiled: Callable[..., torch.Tensor] = torch.compile(flex_attention, dynamic=False)

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        gqa = case.key_heads != case.heads
        return compiled(q, k, v, score_mod=score, block_mask=block_mask, enable_gqa=gqa)

    return maps(case, attend)


def _flex_score(case: Case, inputs: Tensors) -> Callable[..., Any] | None:
    """The row's score at absolute positions, and that of the sink's key."""
    if case.row.weights == "sink":
        keys, sink = case.keys, inputs["sink"]
        return lambda s, b, h, m, n: torch.where(n == keys, sink[h], s)
    if case.row.score is None:
        return None
    start, score = case.keys - case.queries, case.row.score(inputs)
    return lambda s, b, h, m, n: score(s, b, h, m + start, n)


def _flex_mask(case: Case, inputs: Tensors) -> Callable[..., Any] | None:
    """The row's mask at absolute positions; the sink's key is seen by all."""
    if case.row.mask is None or case.sees_all(inputs):
        return None
    start, keys, mask = case.keys - case.queries, case.keys, case.row.mask(inputs)
    if case.row.weights == "sink":
        return lambda b, h, m, n: mask(b, h, m + start, n) | (n == keys)
    return lambda b, h, m, n: mask(b, h, m + start, n)

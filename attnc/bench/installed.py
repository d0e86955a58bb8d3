"""Contestants that are packages of their own, measured where they are installed; and who takes part on a device."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from attnc.bench.case import Case
from attnc.bench.peers import Call, Peer, UnableError, cudnn, flex, maps, sdpa
from attnc.bench.rows import CAP, Tensors, causal


def flash_attention(case: Case, inputs: Tensors) -> Call:
    """FlashAttention's own package: causal masks and windows, linear biases, and capped scores."""
    if case.row.weights != "softmax":
        raise UnableError("its weights are always a softmax over the keys")
    if case.dtype not in (torch.float16, torch.bfloat16):
        raise UnableError("it knows 16-bit types only")
    settings = _flash_settings(case, inputs)
    from flash_attn import flash_attn_func

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = flash_attn_func(*(item.transpose(1, 2) for item in (q, k, v)), **settings)
        return found.transpose(1, 2)

    return maps(case, attend)


def _flash_settings(case: Case, inputs: Tensors) -> dict[str, Any]:
    """Its arguments for a row's mask and score; its masks end at the last key, as the row's do."""
    settings: dict[str, Any] = {}
    if case.row.mask is not None and not case.sees_all(inputs):
        if case.row.mask is not causal and case.row.window is None:
            raise UnableError("it has no such mask")
        settings["causal"] = True
        if case.row.window is not None:
            settings["window_size"] = (case.row.window - 1, 0)
    if case.row.name == "alibi":
        settings["alibi_slopes"] = inputs["slope"].float()
    elif case.row.name == "softcap":
        settings["softcap"] = CAP
    return settings


def linear_attention(case: Case, _: Tensors) -> Call:
    """flash-linear-attention's chunked kernels, for weights that are the scores themselves."""
    if case.row.weights != "linear":
        raise UnableError("it serves linear attention only")
    from fla.ops.linear_attn import chunk_linear_attn

    def call(given: Tensors) -> torch.Tensor:
        q, k, v = (given[name].transpose(1, 2).contiguous() for name in ("Q", "K", "V"))
        found: torch.Tensor = chunk_linear_attn(q, k, v, scale=case.width**-0.5, normalize=False)[0]
        return found.transpose(1, 2)

    return call


FLEX = Peer("Flex", flex)
PACKAGES = {"flash_attn": Peer("FA", flash_attention), "fla": Peer("FLA", linear_attention)}


def peers(device: str, *, with_flex: bool = True) -> tuple[Peer, ...]:
    """Who is measured beside attnc on a device."""
    if device == "cpu":
        return (Peer("SDPA", sdpa), *((Peer("Flex", flex, "it has no backward on a CPU"),) if with_flex else ()))
    installed = (peer for package, peer in PACKAGES.items() if find_spec(package) is not None)
    return (Peer("SDPA", sdpa), Peer("cuDNN", cudnn), *((FLEX,) if with_flex else ()), *installed)

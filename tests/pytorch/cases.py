"""Attentions of many kinds, and inputs for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import attnc
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw

Tensors = dict[str, torch.Tensor]

EXAMPLES = [
    file for file in sorted((Path(__file__).parents[2] / "examples").glob("[01]*.attn")) if "wrong" not in file.stem
]
STATE = """
attention gated(Q[b,i,e], K[b,i,e], V[b,i,f], g[b,i], H0[b,e,f] = 0) -> O:
    State[b,0,e,f]   = H0
    State[b,i+1,e,f] = exp(g) * State[b,i,e,f] + K * V
    O[b,i,f]         = Q * State[b,i+1,e,f]
    carry H0 = State[b,I,e,f]
"""
CHOSEN = """
attention chosen(Q[b,m,e], K[b,n,e], V[b,n,f], bias[n] = 0) -> O, best, seen:
    S[b,m,n]  = sum[e](Q * K) + bias
    keep[b,m,n] = topk[n; 2](S)
    O[b,m,f]  = softmax[n](S where keep) * V
    best[b,m] = argmax[n](S)
    seen[b,m] = any[n](keep and S > 0)
"""
SORTED = """
attention ordered(V[i], w[]) -> O:
    index u < I
    O[u] = w * sort[i -> u](V)
"""
LEARNING = """
attention learning(K[b,n,e], V[b,n,f], W[b,e,f], eta[]) -> O:
    P[b,n,f] = K * W
    R[b,n,f] = tanh(P) - V
    loss[b,n] = sum[f](R * R)
    O[b,e,f] = W - eta * grad(loss[b,n], W[b,e,f])
"""
TEXTS = {"state": STATE, "chosen": CHOSEN, "sorted": SORTED, "learning": LEARNING}
SIZES = {"b": 2, "h": 4, "g": 2, "m": 6, "n": 16, "i": 7, "e": 8, "f": 4}


def attention(case: Path | str) -> Attention:
    """The attention of an example or of a text above."""
    return attnc.load(case) if isinstance(case, Path) else attnc.compile(TEXTS[case])


def inputs(of: Attention, dtype: torch.dtype = torch.float32, seed: int = 3, **sizes: int) -> Tensors:
    """Drawn inputs."""
    stated = of.program().stated
    used = {index for item in stated.inputs for index in item.indices}
    shape = {index: extent for index, extent in (SIZES | sizes).items() if index in used}
    return draw(stated, shape, {}, dtype, seed)


def leaves(given: Tensors) -> Tensors:
    """The same tensors, asking for gradients where they can have any."""
    return {name: value.detach().clone().requires_grad_(value.is_floating_point()) for name, value in given.items()}


def listed(found: Any) -> list[torch.Tensor]:
    """One output or several, as a list."""
    return list(found) if isinstance(found, tuple) else [found]


def loss(found: Any) -> torch.Tensor:
    """A number that every real output of a call enters, elements with weights of their own."""
    reals = [value for value in listed(found) if value.is_floating_point()]
    return sum((value * torch.linspace(-1, 2, value.numel()).reshape(value.shape)).sum() for value in reals)  # type: ignore[return-value]


def pull(value: Any) -> None:
    """The gradients of a number."""
    value.backward()


def equal(one: Any, other: Any) -> bool:
    """Whether two tensors have the same bits."""
    return torch.equal(one, other)


CASES: list[Path | str] = [*EXAMPLES, *TEXTS]
FEW: list[Path | str] = [file for file in EXAMPLES if file.stem in ("04_gqa_sink_window", "05_sigmoid")] + [*TEXTS]
REST = [case for case in CASES if case not in FEW]
EVERY = [*FEW, *(pytest.param(case, marks=pytest.mark.exhaustive) for case in REST)]


def name(case: Any) -> str:
    """How a test calls a case."""
    return case.stem if isinstance(case, Path) else case

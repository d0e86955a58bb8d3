"""The attentions that are measured, each with its meaning in PyTorch's terms.

A row's spec stands in `attentions.attn`. Masks and scores are FlexAttention's callables over positions: from them
come the exact area, the formula that judges a run, the bias for SDPA, and FlexAttention itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, Any, Literal

import torch

from attnc.diagnostics import error

if TYPE_CHECKING:
    from attnc.bench.case import Case

Tensors = Mapping[str, torch.Tensor]
Mask = Callable[[Any, Any, Any, Any], Any]
"""Whether the query at m sees the key at n, from b, h, m, n."""
Score = Callable[[Any, Any, Any, Any, Any], Any]
"""A score made of s at b, h, m, n."""
Weights = Literal["softmax", "sink", "sigmoid", "squared relu", "linear"]

CAP = 50.0
DOCUMENTS = (3, 1, 5, 2, 7, 1, 9, 4)


def first(_: Tensors, outputs: list[torch.Tensor]) -> torch.Tensor:
    """The output of the only map."""
    return outputs[0]


@dataclass(frozen=True)
class Row:
    """An attention that is measured.

    `maps` are the queries and keys of each map of weights, `combine` what becomes of their outputs; `additive` says
    that the score only adds to s, so that a bias expresses it; `window` is how many keys a query sees at most; `batch`,
    `heads` and `keys` are its own where they are given.
    """

    name: str
    attention: str
    mask: Callable[[Tensors], Mask] | None = None
    score: Callable[[Tensors], Score] | None = None
    additive: bool = False
    weights: Weights = "softmax"
    further: Callable[[Case], Tensors] = lambda _: {}
    maps: tuple[tuple[str, str], ...] = (("Q", "K"),)
    combine: Callable[[Tensors, list[torch.Tensor]], torch.Tensor] = first
    group: int = 1
    window: int | None = None
    queries: int | None = None
    batch: int | None = None
    heads: int | None = None
    keys: int | None = None

    def key_heads(self, heads: int) -> int:
        """How many key heads serve this many query heads."""
        return heads // gcd(heads, self.group)


# ---- masks and scores ---------------------------------------------------------------------------


def causal(_: Tensors) -> Mask:
    """A query sees the keys up to its own position."""
    return lambda b, h, m, n: n <= m


def window(width: int) -> Callable[[Tensors], Mask]:
    """A query sees the last positions, its own included."""
    return lambda _: lambda b, h, m, n: (n <= m) & (m - n < width)


def own_document(given: Tensors) -> Mask:
    """A query sees its own document up to its own position."""
    document = given["doc_k"]
    return lambda b, h, m, n: (n <= m) & (document[b, m] == document[b, n])


def sloped(given: Tensors) -> Score:
    """A bias that is linear in the distance."""
    slope = given["slope"]
    return lambda s, b, h, m, n: s - slope[h] * (m - n)


def capped(_: Tensors) -> Score:
    """Scores between -CAP and CAP."""
    return lambda s, b, h, m, n: CAP * torch.tanh(s / CAP)


# ---- further inputs -----------------------------------------------------------------------------


def documents(case: Case) -> Tensors:
    """Documents of different lengths that fill the sequence."""
    ends = torch.tensor(DOCUMENTS).cumsum(0) * case.keys // sum(DOCUMENTS)
    number = torch.bucketize(torch.arange(case.keys), ends, right=True).expand(case.batch, case.keys).contiguous()
    return {"doc_q": number[:, case.keys - case.queries :].contiguous(), "doc_k": number}


def slopes(case: Case) -> Tensors:
    """The slopes of ALiBi's paper."""
    return {"slope": 2.0 ** (-8.0 * torch.arange(1, case.heads + 1) / case.heads)}


def sinks(case: Case) -> Tensors:
    """A score for each head."""
    return {"sink": torch.linspace(-1.0, 2.0, case.heads)}


def lambdas(case: Case) -> Tensors:
    """How much of the second map is taken off, for each head."""
    return {"lam": torch.linspace(0.2, 0.8, case.heads)}


def difference(given: Tensors, outputs: list[torch.Tensor]) -> torch.Tensor:
    """The first map's output without a share of the second's."""
    share = given["lam"].to(outputs[0].dtype)
    return outputs[0] - share[:, None, None] * outputs[1]


# ---- the rows -----------------------------------------------------------------------------------

TWO_MAPS = (("Q1", "K1"), ("Q2", "K2"))

ROWS = (
    Row("full", "full"),
    Row("causal", "causal_attention", causal),
    Row("window", "windowed", window(256), window=256),
    Row("window-1024", "windowed_1024", window(1024), window=1024),
    Row("documents", "documents", own_document, further=documents),
    Row("alibi", "alibi", causal, sloped, additive=True, further=slopes),
    Row("softcap", "softcapped", causal, capped),
    Row("sink", "sink_attention", causal, weights="sink", further=sinks),
    Row("sigmoid", "sigmoids", weights="sigmoid"),
    Row("relu-squared", "squared_relu", weights="squared relu"),
    Row("linear", "linear", causal, weights="linear"),
    Row("gqa", "grouped", causal, group=4),
    Row("differential", "differential", causal, further=lambdas, maps=TWO_MAPS, combine=difference),
    Row("decode-1x8", "causal_attention", causal, queries=1, heads=8, keys=16384),
    Row("decode-1x1", "causal_attention", causal, queries=1, heads=1, keys=16384),
    Row("decode-16x8", "causal_attention", causal, queries=16, heads=8, keys=16384),
    Row("decode-batch", "causal_attention", causal, queries=1, batch=16, heads=16, keys=16384),
    Row("decode-gqa", "grouped", causal, group=4, queries=1, batch=16, heads=32, keys=16384),
    Row("decode-long", "causal_attention", causal, queries=1, batch=1, heads=16, keys=131072),
)


def chosen(names: Collection[str]) -> tuple[Row, ...]:
    """The rows of these names in the order of the table; error A640 where one is unknown."""
    known = [row.name for row in ROWS]
    for name in names:
        if name not in known:
            raise error("A640", f"there is no row `{name}`", helps=(f"`--rows` takes {', '.join(known)}",))
    return tuple(row for row in ROWS if row.name in names)

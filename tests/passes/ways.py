"""Random ways to write one attention: references, powers, logarithms, split sums and conditions, piece by piece."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch

SCORE = "S[b,h,m,n] = Q * K / sqrt(E)"
SEEN = ("n <= m", "m >= n", "not (n > m)", "m - n >= 0", "n < m + 1", "0 <= m - n", "n - m <= 0")
REFERENCES = (
    "max[n](S)",
    "mean[n](S)",
    "logsumexp[n](S)",
    "0.5 * max[n](S)",
    "max(max[n](S), 0)",
    "min[n](S)",
    "max[n](S) + 1",
    "log(sum[n](exp(S)))",
    "-min[n](-S)",
    "max[n](2 * S) / 2",
)
WEIGHTS = (
    "exp(S - R)",
    "exp(S) / exp(R)",
    "exp(S) * exp(-R)",
    "1 / exp(R - S)",
    "exp(S)",
    "exp(S + 1.5)",
    "3 * exp(S - R)",
    "exp2((S - R) * 1.4426950408889634)",
    "2 ** ((S - R) * 1.4426950408889634)",
    "exp(0.5 * (S - R)) ** 2",
    "sqrt(exp(2 * S))",
    "exp(S / 2) * exp(S / 2 - R)",
    "exp(log(exp(S)) - R)",
    "exp(S - R) ** 1.0",
    "(exp(S) * exp(S)) ** 0.5",
    "exp(-(R - S))",
    "exp(S) * exp(R) ** -1",
    "exp(S - R) + exp(S - R)",
    "0.25 * exp(S) + 0.75 * exp(S)",
    "exp(S - R) / (1 + 1)",
)
NORMALISERS = (
    "sum[n](W)",
    "0.5 * sum[n](W) + sum[n](0.5 * W)",
    "exp(log(sum[n](W)))",
    "sum[n](W * 2) / 2",
    "1 / (1 / sum[n](W))",
    "sqrt(sum[n](W) ** 2)",
    "sum[n](W) * exp(R) / exp(R)",
    "exp(logsumexp[n](log(W)))",
)
OUTPUTS = (
    "O[b,h,m,f] = sum[n](W * V) / D",
    "O[b,h,m,f] = sum[n](W / D * V)",
    "O[b,h,m,f] = sum[n](V * W * (1 / D))",
    "O[b,h,m,f] = sum[n](exp(log(W) - log(D)) * V)",
    "O[b,h,m,f] = sum[n](W * (V / D))",
    "O[b,h,m,f] = sum[n](0.5 * W / D * V) + 0.5 * sum[n](W * V) / D",
    "O[b,h,m,f] = sum[n](W * V) * D ** -1",
    "O[b,h,m,f] = sum[n](W * V * rsqrt(D)) * rsqrt(D)",
    "O[b,h,m,f] = sum[n](W * V) / sqrt(D * D)",
    "O[b,h,m,f] = sum[n](W * (V + 1)) / D - 1",
    "A[b,h,m,n] = W / D\nO[b,h,m,f] = A * V",
    "A[b,h,m,n] = exp(log(W) - log(D))\nO[b,h,m,f] = sum[n](A * V) / sum[n](A)",
    "O[b,h,m,f] = sum[n](W ** 2 / W / D * V)",
    "L[b,h,m] = log(D) + R\nO[b,h,m,f] = sum[n](W * exp(R - L) * V)",
)
VARIANCES = (
    "mean[n]((S - U) ** 2 where {})",
    "sum[n](S * S where {}) / C - U * U",
    "var[n](S where {})",
    "sum[n]((S - U) * S where {}) / C",
    "mean[n](S ** 2 where {}) - (sum[n](S where {}) / C) ** 2",
    "0.25 * var[n](2 * S + 1 where {})",
    "(C * sum[n](S * S where {}) - sum[n](S where {}) ** 2) / C ** 2",
)
ENTROPIES = (
    "-sum[n](xlogx(A))",
    "-sum[n](A * log(A))",
    "sum[n](A * (L - S))",
    "L - sum[n](A * S)",
    "L - sum[n](exp(S - L) * S where {})",
    "-sum[n](A * (S - L))",
    "sum[n](A * log(1 / A))",
)
NORMS = (
    "sqrt(sum[n](W * W))",
    "sum[n](W ** 2) ** 0.5",
    "exp(0.5 * log(sum[n](W * W)))",
    "sqrt(sum[n](4 * W * W)) / 2",
    "1 / rsqrt(sum[n](W ** 2))",
)

Meaning = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]  # scores, values, what is seen


@dataclass(frozen=True)
class Way:
    """A spec, what it means, and how many gauges and accumulators it takes."""

    text: str
    means: Meaning
    size: tuple[int, int]


def way(seed: int) -> Way:
    """The way of a seed."""
    dice = random.Random(seed)
    lines, means, size = dice.choice((_softmax, _masked_softmax, _variance, _entropy, _norm))(dice)
    head = "attention p(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:\n    index N - M <= m < N\n"
    return Way(head + "".join(f"    {line}\n" for text in lines for line in text.split("\n")), means, size)


Drawn = tuple[list[str], Meaning, tuple[int, int]]


def _softmax(dice: random.Random) -> Drawn:
    """Every query sees every key."""
    lines = [SCORE, f"R[b,h,m] = {dice.choice(REFERENCES)}", f"W[b,h,m,n] = {dice.choice(WEIGHTS)}"]
    lines += [f"D[b,h,m] = {dice.choice(NORMALISERS)}", dice.choice(OUTPUTS)]
    return lines, lambda scores, values, seen: torch.softmax(scores, -1) @ values, (1, 2)


def _masked_softmax(dice: random.Random) -> Drawn:
    """The condition in the score, in the weights, or in the sums: in one of them, or in several."""
    place = dice.choice(("score", "weight", "sums"))

    def under(text: str, given: bool) -> str:
        return text if given and dice.random() < 0.6 else f"{text} where {dice.choice(SEEN)}"

    lines = [under(SCORE, place != "score") if place == "score" else SCORE]
    reference = dice.choice(("max[n]({})", "0.5 * max[n]({})", "logsumexp[n]({})"))
    lines.append("R[b,h,m] = " + reference.format(under("S", place == "score")))
    weight = dice.choice(("exp(S - R)", "exp(S)", "exp(S) / exp(R)", "2 * exp(S - R)"))
    lines.append("W[b,h,m,n] = " + (f"{weight} where {dice.choice(SEEN)}" if place == "weight" else weight))
    lines.append(f"D[b,h,m] = sum[n]({under('W', place != 'sums')})")
    body = dice.choice(("W * V", "W / D * V", "exp(log(W) - log(D)) * V"))
    total = f"sum[n]({under(body, place != 'sums')})"
    lines.append("O[b,h,m,f] = " + (f"{total} / D" if body == "W * V" else total))
    return lines, lambda scores, values, seen: torch.softmax(scores.masked_fill(~seen, -torch.inf), -1) @ values, (1, 2)


def _filled(dice: random.Random, text: str) -> str:
    while "{}" in text:
        text = text.replace("{}", dice.choice(SEEN), 1)
    return text


def _variance(dice: random.Random) -> Drawn:
    lines = [SCORE, _filled(dice, "U[b,h,m] = mean[n](S where {})"), _filled(dice, "C[b,h,m] = sum[n](1.0 where {})")]
    lines.append("O[b,h,m] = " + _filled(dice, dice.choice(VARIANCES)))

    def means(scores: torch.Tensor, values: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        weight = seen / seen.sum(-1, keepdim=True)
        return ((scores - (scores * weight).sum(-1, keepdim=True)) ** 2 * weight).sum(-1)

    return lines, means, (1, 3)


def _entropy(dice: random.Random) -> Drawn:
    lines = [SCORE, _filled(dice, "A[b,h,m,n] = softmax[n](S where {})")]
    lines += [
        _filled(dice, "L[b,h,m] = logsumexp[n](S where {})"),
        "O[b,h,m] = " + _filled(dice, dice.choice(ENTROPIES)),
    ]

    def means(scores: torch.Tensor, values: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        weight = torch.softmax(scores.masked_fill(~seen, -torch.inf), -1)
        entropy: torch.Tensor = -torch.special.xlogy(weight, weight).sum(-1)
        return entropy

    return lines, means, (1, 2)


def _norm(dice: random.Random) -> Drawn:
    weight = dice.choice(("exp(S - R)", "exp(S)", "exp(S) * 2", "exp(0.5 * S) ** 2"))
    lines = [SCORE, _filled(dice, "R[b,h,m] = max[n](S where {})"), _filled(dice, f"W[b,h,m,n] = {weight} where {{}}")]
    lines.append(f"Z[b,h,m] = {dice.choice(NORMS)}")
    lines.append(f"O[b,h,m,f] = {dice.choice(('sum[n](W * V) / Z', 'sum[n](W / Z * V)'))}")

    def means(scores: torch.Tensor, values: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        masked = scores.masked_fill(~seen, -torch.inf)
        weight = torch.exp(masked - masked.amax(-1, keepdim=True))
        return (weight @ values) / weight.square().sum(-1, keepdim=True).sqrt()

    return lines, means, (1, 2)

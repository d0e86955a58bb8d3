"""Plain attention over the pairs that a predicate holds of, asked one by one: what formulas of masks are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

Tensor = torch.Tensor


def last(queries: Tensor, keys: Tensor) -> range:
    """The positions of the queries where they are the last of those of the keys."""
    return range(keys.shape[-2] - queries.shape[-2], keys.shape[-2])


def pairs(rows: Iterable[int], keys: Iterable[int], test: Callable[[int, int], bool]) -> Tensor:
    """A row for each query position, a column for each key position: whether the test holds."""
    places = list(keys)
    found = [[bool(test(m, n)) for n in places] for m in rows]
    return torch.tensor(found, dtype=torch.bool).reshape(len(found), len(places))


def softmax_where(scores: Tensor, seen: Tensor) -> Tensor:
    """Weights over what is seen; a row that sees nothing has none."""
    top = scores.masked_fill(~seen, -torch.inf).amax(-1, keepdim=True) if scores.shape[-1] else scores.new_zeros(1)
    shifted = (scores - torch.where(top.isfinite(), top, 0.0).detach()).masked_fill(~seen, 0.0)
    weights = shifted.exp() * seen
    total = weights.sum(-1, keepdim=True)
    return weights / torch.where(total == 0, 1.0, total)


def attend(queries: Tensor, keys: Tensor, values: Tensor, seen: Tensor, scale: Tensor | float | None = None) -> Tensor:
    """Softmax attention over what is seen, scaled by 1 / sqrt(E) unless told otherwise."""
    scores = queries @ keys.mT * (queries.shape[-1] ** -0.5 if scale is None else scale)
    return softmax_where(scores, seen) @ values


def shared(keys: Tensor, heads: int) -> Tensor:
    """Key heads repeated for the query heads that share them."""
    return keys.repeat_interleave(heads // keys.shape[1], 1)


def pieces(value: Tensor, size: int, axis: int) -> list[Tensor]:
    """A tensor cut along an axis into pieces of a size, the last one perhaps shorter."""
    starts = range(0, value.shape[axis], size)
    return [value.narrow(axis, start, min(size, value.shape[axis] - start)) for start in starts]

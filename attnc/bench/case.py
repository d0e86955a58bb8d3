"""A row at given extents and in a type: its inputs, its exact area, and the work that this is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files

import torch

import attnc
from attnc.bench.rows import Row, Tensors
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw

CHUNK = 256
"""Rows of a mask that are looked at together."""
FORWARD, BACKWARD = 4, 10
"""Operations for each visible score and element of a head: two products forward, five backward."""


@dataclass(frozen=True)
class Case:
    """What is measured in one line: the row, its extents, its type, and the device."""

    row: Row
    batch: int
    heads: int
    queries: int
    keys: int
    width: int
    dtype: torch.dtype
    device: str = "cpu"

    @property
    def key_heads(self) -> int:
        """The heads of keys and values."""
        return self.row.key_heads(self.heads)

    def smaller(self, keys: int) -> Case:
        """The same kernel on fewer keys and heads, which the definition can follow."""
        few, heads = min(keys, self.keys), min(self.heads, 2 * self.row.group)
        return replace(self, batch=1, heads=heads, keys=few, queries=min(self.queries, few))

    @cached_property
    def attention(self) -> Attention:
        """The row's attention; a plan that is no stream is an error."""
        return attnc.load(f"{files('attnc.bench') / 'attentions.attn'}#{self.row.attention}", strict=True)

    def inputs(self, seed: int = 0) -> dict[str, torch.Tensor]:
        """Normal queries, keys and values, and the row's further inputs."""
        cascade = self.attention.program().stated
        sizes = {"b": self.batch, "h": self.heads, "g": self.key_heads, "m": self.queries, "n": self.keys}
        sizes |= {"e": self.width, "f": self.width}
        known = {index for item in cascade.inputs for index in item.indices}
        shape = {index: extent for index, extent in sizes.items() if index in known}
        drawn = draw(cascade, shape, dict(self.row.further(self)), self.dtype, seed)
        return {name: tensor.to(self.device) for name, tensor in drawn.items()}

    @property
    def differentiated(self) -> tuple[str, ...]:
        """The inputs whose gradients are taken: queries, keys and values."""
        return (*dict.fromkeys(name for pair in self.row.maps for name in pair), "V")

    def points(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """b, h, m, n of the scores of these query rows, ready to broadcast; the queries are the last positions."""
        b, h, n = (torch.arange(extent, device=self.device) for extent in (self.batch, self.heads, self.keys))
        m = rows + (self.keys - self.queries)
        return b[:, None, None, None], h[:, None, None], m[:, None], n

    def chunks(self) -> Iterator[torch.Tensor]:
        """The query rows, some at a time."""
        yield from torch.split(torch.arange(self.queries, device=self.device), CHUNK)

    def area(self, inputs: Tensors) -> int:
        """The visible scores, counted one by one, over batch, heads and maps."""
        return self._seen(inputs) * self.heads * len(self.row.maps)

    def sees_all(self, inputs: Tensors) -> bool:
        """Whether every query sees every key."""
        return self._seen(inputs) == self.batch * self.queries * self.keys

    def _seen(self, inputs: Tensors) -> int:
        """The pairs of a query and a key that the mask leaves to a head, over the batch."""
        if self.row.mask is None:
            return self.batch * self.queries * self.keys
        mask = self.row.mask(inputs)
        masks = ((mask(*self.points(rows)), len(rows)) for rows in self.chunks())
        return sum(int(seen.expand(self.batch, 1, count, self.keys).sum()) for seen, count in masks)

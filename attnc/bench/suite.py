"""The cases of one run: every row at every length, width and type that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch

from attnc.bench.case import Case
from attnc.bench.rows import Row

KEYS = (4096,)


@dataclass(frozen=True)
class Suite:
    """What is asked for; a row's own heads and, unless lengths are given, its own number of keys count first."""

    rows: tuple[Row, ...]
    keys: tuple[int, ...] | None = None
    widths: tuple[int, ...] = (64,)
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.bfloat16)
    heads: int = 8
    batch: int = 1
    device: str = "cpu"

    def cases(self) -> Iterator[Case]:
        """The cases row by row."""
        for row in self.rows:
            lengths = self.keys or ((row.keys,) if row.keys else KEYS)
            for keys, width, dtype in product(lengths, self.widths, self.dtypes):
                heads, queries = row.heads or self.heads, min(row.queries or keys, keys)
                yield Case(row, self.batch, heads, queries, keys, width, dtype, self.device)

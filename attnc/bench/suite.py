"""The cases of one run: every row at every width, length and type that is asked for, or that is usual for a device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch

from attnc.bench.case import Case
from attnc.bench.rows import ROWS, Row

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
GPU_ONLY = {"window-1024", "linear", "decode-batch", "decode-gqa", "decode-long"}
CPU_ONLY = {"window", "relu-squared", "decode-1x8", "decode-1x1", "decode-16x8"}


@dataclass(frozen=True)
class Usual:
    """What is measured on a device where nothing is asked for.

    With `tokens` the batch is as large as makes this many queries, else 1; `seconds` are for the rounds of one line.
    """

    rows: tuple[str, ...]
    widths: tuple[int, ...]
    dtypes: tuple[str, ...]
    heads: int
    keys: tuple[int, ...] = (4096,)
    tokens: int = 0
    seconds: float = 2.0


def _without(names: set[str]) -> tuple[str, ...]:
    return tuple(row.name for row in ROWS if row.name not in names)


USUAL = {
    "cpu": Usual(_without(GPU_ONLY), (64,), ("fp32", "bf16"), heads=8),
    "cuda": Usual(_without(CPU_ONLY), (128, 64), ("bf16",), heads=16, tokens=16384, seconds=0.5),
}


@dataclass(frozen=True)
class Suite:
    """What is asked for.

    A row's own batch and heads, and unless lengths are given its own number of keys, count first.
    """

    rows: tuple[Row, ...]
    keys: tuple[int, ...] | None = None
    widths: tuple[int, ...] = (64,)
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.bfloat16)
    heads: int = 8
    batch: int | None = None
    device: str = "cpu"

    def cases(self) -> Iterator[Case]:
        """The cases width by width, and row by row."""
        for width, row in product(self.widths, self.rows):
            lengths = self.keys or ((row.keys,) if row.keys else USUAL[self.device].keys)
            for keys, dtype in product(lengths, self.dtypes):
                heads, queries = row.heads or self.heads, min(row.queries or keys, keys)
                yield Case(row, self._batch(row, queries), heads, queries, keys, width, dtype, self.device)

    def _batch(self, row: Row, queries: int) -> int:
        return row.batch or self.batch or max(1, USUAL[self.device].tokens // queries if row.queries is None else 1)

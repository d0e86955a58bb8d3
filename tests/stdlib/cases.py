"""What the library is tried on: for each attention a shape, options, and how its special inputs are drawn.

A module `tests/stdlib/formulas/FILE.py` stands beside each FILE.attn of a family: a function for each attention, called
as it is, written from the paper in PyTorch alone, and `CASES`. A formula takes inputs (float64) and options by name, of
which those that a case leaves out have the paper's defaults, and returns the output, or a dict of all outputs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch

import attnc
from attnc.library import standard_attentions, standard_folder
from attnc.runtime.attention import Attention
from attnc.runtime.catalogue import listed
from attnc.runtime.draw import draw

Sizes: TypeAlias = Mapping[str, int]
Tensors: TypeAlias = dict[str, torch.Tensor]
Draw: TypeAlias = Callable[[torch.Generator, Sizes], torch.Tensor]
FORMULAS = Path(__file__).parent / "formulas"


@dataclass(frozen=True)
class Case:
    """One way to call an attention.

    `draw` says how inputs are drawn that normal numbers do not suit (masks, lengths, gates, lists of indices), and
    which optional ones are given. Degenerate shapes set the extents of `lengths` to 0, 1, 2 and 17. Under `causal`,
    nothing that stands later on the axes `time` may move what comes before it. Under `rows` the last row of m is the
    same computed by itself, if the attention says where its queries stand (`index N - M <= m < N`).
    """

    attention: str
    shape: Sizes
    options: Mapping[str, Any] = field(default_factory=dict)
    draw: Mapping[str, Draw] = field(default_factory=dict)
    causal: bool = False
    lengths: tuple[str, ...] = ("m", "n", "i")
    time: tuple[str, ...] = ("m", "n", "i")
    rows: bool = True
    name: str = ""

    def __str__(self) -> str:
        """The case's name in the tests: the attention, its lengths, its options, and a word of its own."""
        lengths = (f"{index}{extent}" for index, extent in self.shape.items() if index in self.lengths)
        return "-".join(filter(None, (self.attention, *lengths, *map(str, self.options.values()), self.name)))

    def cross(self) -> bool:
        """Whether there are fewer queries than keys."""
        return self.shape.get("m", 0) < self.shape.get("n", 0)

    def loaded(self) -> Attention:
        """The attention, from the library."""
        return attnc.load(f"std:{self.attention}")

    def inputs(self, dtype: torch.dtype, shape: Sizes | None = None, seed: int = 3) -> Tensors:
        """The inputs at the case's shape, or at another, reals in `dtype`."""
        cascade = self.loaded().program(self.options).stated
        sizes = {**self.shape, **(shape or {})}
        dice = torch.Generator().manual_seed(seed)
        given = {name: drawn(dice, sizes) for name, drawn in self.draw.items()}
        given = {name: value.to(dtype) if value.is_floating_point() else value for name, value in given.items()}
        used = {index for item in cascade.inputs for index in item.indices}
        return draw(cascade, {index: sizes[index] for index in sizes if index in used}, given, dtype, seed)

    def formula(self, inputs: Tensors) -> Tensors:
        """The outputs by the formula, by name."""
        found = getattr(formulas(standard_attentions()[self.attention]), self.attention)(**inputs, **self.options)
        return found if isinstance(found, dict) else {self.loaded().signature.outputs[0]: found}


def reals(*axes: str, low: float = 0.0, high: float = 1.0) -> Draw:
    """Reals between two bounds, uniformly."""
    return lambda dice, at: low + (high - low) * torch.rand(_shape(axes, at), generator=dice, dtype=torch.float64)


def normals(*axes: str, scale: float = 1.0) -> Draw:
    """Normal reals."""
    return lambda dice, at: scale * torch.randn(_shape(axes, at), generator=dice, dtype=torch.float64)


def booleans(*axes: str, share: float = 0.5) -> Draw:
    """Booleans, true for a share of the points."""
    return lambda dice, at: torch.rand(_shape(axes, at), generator=dice) < share


def integers(*axes: str, low: int = 0, high: int | str) -> Draw:
    """Integers from `low` to before `high`, or before the extent of the index of that name."""

    def drawn(dice: torch.Generator, at: Sizes) -> torch.Tensor:
        end = at[high] if isinstance(high, str) else high
        return torch.randint(low, max(end, low + 1), _shape(axes, at), generator=dice)

    return drawn


def _shape(axes: tuple[str, ...], at: Sizes) -> list[int]:
    return [at[axis] for axis in axes]


def entries() -> list[Path]:
    """The files of the library's families: those in folders that define attentions."""
    return sorted({file for file in standard_attentions().values() if file.parent != standard_folder()})


def formulas(file: Path) -> Any:
    """The module of formulas beside a file of the library."""
    return importlib.import_module(f"tests.stdlib.formulas.{file.stem}")


@cache
def cases() -> list[Case]:
    """Every case of every family."""
    written = [file for file in entries() if (FORMULAS / f"{file.stem}.py").exists()]
    return [case for file in written for case in formulas(file).CASES]


def telling() -> list[Case]:
    """A case for each paper: causal, with fewer queries than keys, of its main attention, as far as it has such."""
    return [_most_telling(names) for _, names in listed() if any(case.attention in names for case in cases())]


def _most_telling(names: tuple[str, ...]) -> Case:
    tried = [case for case in cases() if case.attention in names]
    return max(tried, key=lambda case: (case.causal, case.cross(), case.attention == names[-1]))


def slow_unless(quick: list[Case]) -> list[Any]:
    """Every case as a parameter of a test, exhaustive unless it is among those given."""
    return [case if case in quick else pytest.param(case, marks=pytest.mark.exhaustive) for case in cases()]

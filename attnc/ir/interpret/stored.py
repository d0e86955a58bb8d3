"""Tensors in memory: whole, or growing along the axis of a recurrence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

Condition = tuple[torch.Tensor, tuple[int, ...]]  # a mask, and the axes of the tensor that it is over


@dataclass(frozen=True)
class Stored:
    """A tensor: its data, where each axis starts, and the conditions under which its points exist.

    `parts` holds for a tensor defined by parts the conditions of each part alone.
    """

    data: torch.Tensor
    base: tuple[int, ...]
    when: tuple[Condition, ...] = ()
    parts: dict[int, tuple[Condition, ...]] = field(default_factory=dict)


@dataclass
class Growing:
    """A tensor that a recurrence fills: for each position along `axis` that is there, a tensor without that axis.

    `absent` stands for the positions that are not there yet.
    """

    axis: int
    positions: range
    absent: Stored
    made: dict[int, Stored] = field(default_factory=dict)
    _joined: Stored | None = None

    def put(self, position: int, item: Stored) -> None:
        """One more position is there."""
        self.made[position] = item
        self._joined = None

    def at(self, position: int) -> Stored:
        """The tensor at one position."""
        return self.made.get(position, self.absent)

    def whole(self) -> Stored:
        """All positions in one tensor."""
        if self._joined is None:
            self._joined = self.joined([self.at(position).data for position in self.positions])
        return self._joined

    def joined(self, data: Sequence[torch.Tensor]) -> Stored:
        """These data, one tensor for each position, with where the positions exist."""
        base = self.absent.base
        items = [self.at(position) for position in self.positions]
        numbers = sorted({number for item in items for number in item.parts})
        return Stored(
            _stacked(data, self.axis, self.absent.data),
            (*base[: self.axis], self.positions.start, *base[self.axis :]),
            self._conditions([item.when for item in items]),
            {number: self._conditions([item.parts.get(number) for item in items]) for number in numbers},
        )

    def _conditions(self, whens: Sequence[tuple[Condition, ...] | None]) -> tuple[Condition, ...]:
        """One condition for all positions, each with its own (None: nothing there); none where all exist."""
        if not any(when is None or when for when in whens):
            return ()
        axes = tuple(sorted({axis for when in whens for _, own in when or () for axis in own}))
        masks = [_over(when, axes, self.absent.data) for when in whens]
        spread = tuple(axis if axis < self.axis else axis + 1 for axis in axes)
        place = sum(axis < self.axis for axis in axes)
        return ((torch.stack(masks, place), (*spread[:place], self.axis, *spread[place:])),)


def _stacked(data: Sequence[torch.Tensor], axis: int, like: torch.Tensor) -> torch.Tensor:
    if data:
        return torch.stack(list(data), axis)
    return like.new_zeros((*like.shape[:axis], 0, *like.shape[axis:]))


def _over(when: tuple[Condition, ...] | None, axes: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    """The conjunction of conditions as a mask over these axes of a tensor."""
    mask = torch.full([like.shape[axis] for axis in axes], when is not None, device=like.device)
    for test, own in when or ():
        mask = mask & aligned(test, own, axes)
    return mask


def aligned(test: torch.Tensor, own: tuple[int, ...], axes: Sequence[int]) -> torch.Tensor:
    """A mask over some axes as one over these, with length 1 where it lacks one."""
    turned = test.permute(sorted(range(len(own)), key=lambda place: own[place]))
    for place, axis in enumerate(axes):
        if axis not in own:
            turned = turned.unsqueeze(place)
    return turned

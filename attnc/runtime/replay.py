"""Runs of kernels again: where types, layouts and settings are those of a run before, nothing is asked anew.

They alone decide what is allocated and which kernels are launched. The second run of a kind notes that on a tape;
further ones play the tape. So does a whole call, if it is not differentiated, traced or cast. What has statements
between its kernels takes the long way.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from math import prod
from typing import Any

import torch

Tensors = Sequence[torch.Tensor]
Play = Callable[[Tensors], int]

MOST = 256  # kinds of calls that an attention remembers
SMALL = 1 << 20  # bytes that a call may keep to its end
ALIGNED = 64


@dataclass(frozen=True)
class Made:
    """A tensor that a call allocates, by its place among the call's tensors."""

    place: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    zeroed: bool

    @property
    def bytes(self) -> int:
        """Its size."""
        return prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Launched:
    """A kernel with its extents and strides, on tensors by their places; the places that are read no more after it.

    One on a CPU wants to know of tensors `where` they lie, and nothing else.
    """

    play: Play
    places: tuple[int, ...]
    where: bool
    done: tuple[int, ...] = ()


@dataclass(frozen=True)
class Part:
    """A part of the memory that a call works in: as much of a tensor as a kernel on a CPU wants."""

    address: int

    def data_ptr(self) -> int:
        """Where it lies."""
        return self.address


@dataclass(frozen=True)
class Replay:
    """What a call of one kind does, in order, and the places of its outputs.

    `parts` are what it makes for itself alone: by place, where they lie in `room` bytes that are allocated at once.
    """

    steps: tuple[Made | Launched, ...]
    places: int
    outputs: tuple[int, ...]
    parts: tuple[tuple[int, int], ...] = ()
    room: int = 0

    def __call__(self, given: Tensors) -> list[torch.Tensor]:
        """The outputs on other tensors of the same kind."""
        tensors: list[Any] = [*given, *[None] * (self.places - len(given))]
        device = given[0].device
        if self.parts:
            room = torch.empty(self.room, dtype=torch.uint8)
            start = room.data_ptr()
            for place, offset in self.parts:
                tensors[place] = Part(start + offset)
        for step in self.steps:
            if isinstance(step, Made):
                new = torch.zeros if step.zeroed else torch.empty
                tensors[step.place] = new(step.shape, dtype=step.dtype, device=device)
            else:
                step.play([tensors[place] for place in step.places])
                for place in step.done:
                    tensors[place] = None
        return [tensors[place] for place in self.outputs]


@dataclass
class Tape:
    """What a call on `given` tensors allocates and launches, as it happens; `whole` while all of it can be noted."""

    given: Tensors
    steps: list[Made | Launched] = field(default_factory=list)
    known: dict[int, tuple[weakref.ref[torch.Tensor], int]] = field(default_factory=dict)
    whole: bool = True

    def __post_init__(self) -> None:
        """Knows the given tensors."""
        for place, tensor in enumerate(self.given):
            self._enter(tensor, place)

    def made(self, tensor: torch.Tensor, *, zeroed: bool = False) -> torch.Tensor:
        """The tensor, which has been allocated."""
        place = len(self.given) + sum(isinstance(step, Made) for step in self.steps)
        self._enter(tensor, place)
        self.steps.append(Made(place, tuple(tensor.shape), tensor.dtype, zeroed))
        return tensor

    def launched(self, play: Play, tensors: Tensors, *, where: bool) -> None:
        """A kernel has been launched on these tensors."""
        places = [self._place(tensor) for tensor in tensors]
        self.steps.append(Launched(play, tuple(places), where))

    def replay(self, outputs: Tensors) -> Replay | None:
        """The call as it can be run again; None where it did more than this tells, or gave out what it was given."""
        found = tuple(self._place(tensor) for tensor in outputs)
        fresh = len(set(found)) == len(found) and min(found, default=0) >= len(self.given) > 0
        if not (self.whole and fresh):
            return None
        places = len(self.given) + sum(isinstance(step, Made) for step in self.steps)
        small = self._inner(found)
        ends = [*accumulate((-(-step.bytes // ALIGNED) * ALIGNED for step in small), initial=0)]
        if len(small) < 2 or ends[-1] > SMALL:
            small, ends = [], [0]
        steps = tuple(step for step in self._released(found) if step not in small)
        return Replay(steps, places, found, tuple(zip((step.place for step in small), ends, strict=False)), ends[-1])

    def _inner(self, outputs: Collection[int]) -> list[Made]:
        """What kernels alone see that need no tensors."""
        if not all(step.where for step in self.steps if isinstance(step, Launched)):
            return []
        made = (step for step in self.steps if isinstance(step, Made))
        return [step for step in made if not step.zeroed and step.place not in outputs]

    def _released(self, outputs: tuple[int, ...]) -> list[Made | Launched]:
        """The steps, each launch with what it is the last to read: peak memory is what the plan says."""
        kept, found = set(outputs), list[Made | Launched]()
        for step in reversed(self.steps):
            if isinstance(step, Launched):
                done = tuple(place for place in step.places if place not in kept)
                kept |= set(done)
                step = replace(step, done=done)
            found.append(step)
        return found[::-1]

    def _enter(self, tensor: torch.Tensor, place: int) -> None:
        self.known[id(tensor)] = weakref.ref(tensor), place

    def _place(self, tensor: torch.Tensor) -> int:
        found = self.known.get(id(tensor))
        if found is not None and found[0]() is tensor:  # and no other that has its place in memory by now
            return found[1]
        self.whole = False
        return -1


@dataclass(frozen=True)
class Replays:
    """The kinds of runs seen so far; of those seen twice, how to run them again and a note, or that they cannot be."""

    kinds: dict[Hashable, tuple[Replay, Any] | bool] = field(default_factory=dict)

    def known(self, kind: Hashable | None) -> tuple[Replay, Any] | None:
        """How to run one of this kind, if it is known."""
        found = None if kind is None else self.kinds.get(kind)
        return found if isinstance(found, tuple) else None

    def tape(self, kind: Hashable | None, given: Tensors) -> Tape | None:
        """A tape for a kind that is seen for the second time: lengths that grow come but once."""
        if kind is None or self.kinds.get(kind) is False:
            return None
        if kind in self.kinds:
            return Tape(given)
        if len(self.kinds) >= MOST:
            self.kinds.clear()
        self.kinds[kind] = True
        return None

    def keep(self, kind: Hashable, tape: Tape, outputs: Tensors, note: Any) -> None:
        """From now on those of this kind are run again from the tape, if it tells all that was done."""
        replay = tape.replay(outputs)
        self.kinds[kind] = False if replay is None else (replay, note)

"""Passes with what they need and what they give, and the runner that holds them to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import getdoc

from attnc.ir.cascade import Cascade
from attnc.ir.print_cascade import show_cascade
from attnc.ir.verify import Invariant, InvariantError, verify

Rewrite = Callable[[Cascade], Cascade]
Observer = Callable[[str, Cascade], None]


@dataclass(frozen=True, slots=True)
class Pass:
    """A rewrite of cascades. Its name on the command line is the function's, its help the first line."""

    rewrite: Rewrite
    needs: tuple[Invariant, ...]
    gives: tuple[Invariant, ...]

    @property
    def name(self) -> str:
        """`online_softmax` is called `online-softmax`."""
        return self.rewrite.__name__.replace("_", "-")

    @property
    def help(self) -> str:
        """What is true of the result, in a line."""
        return (getdoc(self.rewrite) or "").split("\n", 1)[0]

    def __call__(self, program: Cascade) -> Cascade:
        """The rewritten program; `InvariantError` if it is not given what it needs, or breaks its promise."""
        with _told(f"{self.name} was given:\n{show_cascade(program)}"):
            verify(program, self.needs)
            result = self.rewrite(program)
            with _told(f"{self.name} made:\n{show_cascade(result)}"):
                verify(result, self.gives)
        return result


@contextmanager
def _told(note: str) -> Iterator[None]:
    try:
        yield
    except InvariantError as error:
        error.add_note(note)
        raise


def transform(
    needs: tuple[Invariant, ...], gives: tuple[Invariant, ...]
) -> Callable[[Callable[[Cascade], Cascade]], Pass]:
    """A function from cascade to cascade becomes a `Pass` that checks these invariants around it."""
    return lambda rewrite: Pass(rewrite, needs, gives)


def run(passes: Iterable[Pass], program: Cascade, observe: Observer | None = None) -> Cascade:
    """The program after all passes; `observe` sees the name of each and what it made."""
    for item in passes:
        program = item(program)
        if observe is not None:
            observe(item.name, program)
    return program

"""The program that a running function writes: its statements in order, and the definitions that they call."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import chain, count

from attnc.diagnostics import error
from attnc.ir import syntax as syn
from attnc.trace.places import here


@dataclass
class Recording:
    """What has been written so far; `taken` are the names that have a meaning."""

    name: str
    taken: set[str] = field(default_factory=set)
    statements: list[syn.Statement] = field(default_factory=list)
    uses: list[syn.Use] = field(default_factory=list)
    definitions: list[syn.Attention | syn.Function] = field(default_factory=list)

    def fresh(self, name: str, *, alone: bool) -> str:
        """A name that means nothing yet: this one if it stands alone, else this one with a number."""
        choices = chain([name] if alone else [], (f"{name}{number}" for number in count(1)))
        found = next(choice for choice in choices if choice not in self.taken)
        self.taken.add(found)
        return found


_CURRENT: ContextVar[Recording | None] = ContextVar("recording", default=None)


def running() -> Recording | None:
    """The program that is being written, if one is."""
    return _CURRENT.get()


def current(what: str) -> Recording:
    """The program that is being written; error A675 outside a traced function."""
    found = _CURRENT.get()
    if found is None:
        helps = ("write it in a function under `@attnc.jit`",)
        raise error("A675", f"{what} belongs to a program, and none is being written", here(), "here", helps=helps)
    return found


class recording:  # noqa: N801  # reads as a statement: `with recording(program):`
    """The program that is being written inside the block."""

    def __init__(self, program: Recording) -> None:
        """Names the program."""
        self.program = program

    def __enter__(self) -> Recording:
        self._token = _CURRENT.set(self.program)
        return self.program

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._token)

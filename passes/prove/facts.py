"""Facts about integers at a point of a program, and what they imply."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from attnc.ir.cascade import Expr, Map
from attnc.passes.prove.atoms import Atoms
from attnc.passes.prove.literals import Alternatives, alternatives
from attnc.passes.prove.system import Ranges, System


@dataclass(frozen=True)
class Facts:
    """Sizes are at least 0, every index lies in its range, and the `tests` hold: conditions of the spec."""

    atoms: Atoms
    ranges: Ranges
    tests: tuple[Expr, ...] = ()

    def also(self, *tests: Expr) -> Facts:
        """These facts, and that further conditions of the spec hold."""
        return replace(self, tests=(*self.tests, *tests)) if tests else self

    def implies(self, test: Expr) -> bool:
        """Whether the test, whose operands must exist, holds at every point."""
        return self.excludes(Map("not", (test,)))

    def excludes(self, test: Expr) -> bool:
        """Whether the test, whose operands must exist, holds at no point."""
        system = System(self.atoms, self.ranges, self._known)
        return all(system.refutes(rows) for rows in alternatives(self.atoms, test))

    @cached_property
    def _known(self) -> tuple[Alternatives, ...]:
        return tuple(alternatives(self.atoms, test, observed=True) for test in self.tests)

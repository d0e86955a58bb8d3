"""Facts about integers at a point of a program, and what they imply."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from attnc.ir.cascade import Expr, Map
from attnc.passes.prove.atoms import Atoms
from attnc.passes.prove.literals import Alternatives, alternatives
from attnc.passes.prove.system import Ranges, System


@dataclass(frozen=True, eq=False)
class Facts:
    """Sizes are at least 0, every index lies in its range, and the `tests` hold: conditions of the spec.

    What has been asked is remembered.
    """

    atoms: Atoms
    ranges: Ranges
    tests: tuple[Expr, ...] = ()
    _more: dict[tuple[Expr, ...], Facts] = field(default_factory=dict, repr=False)
    _excluded: dict[Expr, bool] = field(default_factory=dict, repr=False)
    _inner: dict[object, bool] = field(default_factory=dict, repr=False)

    def also(self, *tests: Expr) -> Facts:
        """These facts, and that further conditions of the spec hold."""
        if not tests:
            return self
        if tests not in self._more:
            self._more[tests] = Facts(self.atoms, self.ranges, (*self.tests, *tests))
        return self._more[tests]

    def implies(self, test: Expr) -> bool:
        """Whether the test, whose operands must exist, holds at every point."""
        return self.excludes(Map("not", (test,)))

    def excludes(self, test: Expr) -> bool:
        """Whether the test, whose operands must exist, holds at no point."""
        if test not in self._excluded:
            system = System(self.atoms, self.ranges, self._known, self._inner)
            self._excluded[test] = all(system.refutes(rows) for rows in alternatives(self.atoms, test))
        return self._excluded[test]

    @cached_property
    def _known(self) -> tuple[Alternatives, ...]:
        return tuple(alternatives(self.atoms, test, observed=True) for test in self.tests)

"""Long lists of cases: some of them in every run, all of them with `-m exhaustive` beside it."""

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(cases: Iterable[Any], every: int) -> list[Any]:
    """The cases, of which each run takes the first of `every` so many."""
    slow = pytest.mark.exhaustive
    return [case if place % every == 0 else pytest.param(case, marks=slow) for place, case in enumerate(cases)]

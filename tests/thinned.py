"""Long lists of cases: some of them in every run, all of them with `-m exhaustive` beside it."""

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(cases: Iterable[Any], every: int) -> list[Any]:
    """The cases, of which each run takes the first of `every` so many; what is marked already stays as it is."""
    marked, slow = type(pytest.param()), pytest.mark.exhaustive
    return [
        case if place % every == 0 or isinstance(case, marked) else pytest.param(case, marks=slow)
        for place, case in enumerate(cases)
    ]

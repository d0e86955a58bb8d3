"""Bounds on passes in three grades: never above one another, never above what is planned, each with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

import attnc
from attnc.compiler import expanded
from attnc.passes.bound import Passes, passes
from attnc.passes.families import Shapes
from attnc.passes.fewest import fewest
from attnc.runtime.program import Program
from tests.programs.generate import program as drawn

REFUSED = Path(__file__).parent / "refused"
SPECS = [*sorted(Path("examples").glob("*.attn"))[:11], *sorted(REFUSED.glob("*.attn"))]

# spec: passes over n as written and derived; bounds of cascade, rewrite and function
GRADES = {
    "examples/01_causal_softmax": (3, 1, 3, 1, 1),
    "examples/07_differential": (3, 1, 3, 1, 1),
    "examples/11_score_moments": (3, 1, 3, 1, 1),
    "sinkhorn": (5, 2, 5, 2, 2),
    "flow": (4, 4, 4, 2, 2),
    "standard": (5, 2, 5, 2, 1),
    "sigmean": (2, 2, 2, 2, 1),
    "min_p": (4, 2, 4, 2, 1),
    "weights": (3, 2, 3, 2, 2),
    "columns": (3, 2, 3, 2, 2),
    "median": (5, 3, 5, 2, 2),
    "topk": (4, 2, 4, 2, 1),
    "bisect": (22, 22, 22, 22, 1),
    "bidir": (2, 2, 2, 2, 1),
    "place": (3, 1, 3, 1, 1),
    "one_plus": (3, 1, 3, 1, 1),
}
REASONS = {
    "weights": ("pass 2 waits for the maximum in `A`", "`A` waits for", "output `A` has a value for each n"),
    "sinkhorn": ("pass 5 waits for", "the maximum in `R2` waits for the maximum in `R`", "normalises across"),
    "median": ("pass 2 waits for", "and the kth in `A`", "memory that grows"),
    "standard": ("pass 2 waits for", "waits for the sum in `MU`, the sum in `SD`", "every value is read"),
    "bidir": ("both directions", "recurrences are not rewritten", "every value is read"),
}


def path(name: str) -> Path:
    return Path(f"{name}.attn") if "/" in name else REFUSED / f"{name}.attn"


def counted(program: Program) -> dict[str, Passes]:
    return passes(program.explicit, program.plan, expanded(program.stated))


@pytest.mark.parametrize("name", GRADES)
def test_the_grades(name: str) -> None:
    row = counted(attnc.load(path(name)).program())["n"]
    grades = tuple(bound.passes for bound in (row.cascade, row.rewrite, row.function))
    assert (row.as_written, row.derived, *grades) == GRADES[name]


@pytest.mark.parametrize("name", REASONS)
def test_each_grade_has_its_reason(name: str) -> None:
    row = counted(attnc.load(path(name)).program())["n"]
    for bound, words in zip((row.cascade, row.rewrite, row.function), REASONS[name], strict=True):
        assert words in bound.reason


def consistent(program: Program) -> None:
    for row in counted(program).values():
        assert row.function.passes <= row.rewrite.passes <= row.cascade.passes
        assert row.rewrite.passes <= row.derived
        assert row.cascade.passes == row.as_written


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_the_bounds_of_specs_lie_below_one_another(spec: Path) -> None:
    consistent(attnc.load(spec).program())


@pytest.mark.parametrize("seed", range(60))
def test_the_bounds_of_programs_lie_below_one_another(seed: int) -> None:
    consistent(attnc.compile(drawn(seed).text).program())


def test_what_is_planned_as_few_as_any_algorithm_needs_is_optimal() -> None:
    optimal = {name for name in GRADES if counted(attnc.load(path(name)).program())["n"].optimal}
    assert {"examples/01_causal_softmax", "sinkhorn", "weights", "columns", "place"} <= optimal
    assert not {"standard", "sigmean", "median", "bisect"} & optimal


def test_the_rewrite_bound_does_not_depend_on_the_plan() -> None:
    """Sums without a pair of positions run with PyTorch, statement by statement: the plan has more passes."""
    program = attnc.load(path("flow")).program()
    found = fewest(Shapes(program.explicit), "n")
    assert found is not None
    assert found.passes == 2
    assert counted(program)["n"].derived == 4


def test_a_fixed_rank_is_no_certificate() -> None:
    text = "attention p(Q[m,e], K[n,e]) -> O:\n    S[m,n] = Q * K\n    O[m] = kth[n; {}](S)\n"
    fixed, growing = (counted(attnc.compile(text.format(rank)).program())["n"] for rank in ("2", "N // 2"))
    assert fixed.function.passes == 1
    assert growing.function.passes <= growing.rewrite.passes


def test_explain_prints_the_grades() -> None:
    explanation = attnc.load(path("weights")).explain()
    row = explanation.facts["passes"]["n"]
    assert row["bounds"] == {"cascade": 3, "rewrite": 2, "function": 2}
    assert row["optimal"]
    for grade, reason in row["reasons"].items():
        assert f"{grade} bound {row['bounds'][grade]}: {reason}" in str(explanation)

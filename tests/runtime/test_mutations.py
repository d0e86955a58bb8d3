"""Specs with mistakes in them go the whole way, from text to kernels: an AttnError or success, nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import attnc
from attnc import AttnError
from attnc.ir.print_cascade import show_cascade
from attnc.ir.print_plan import show_plan
from attnc.runtime.attention import Attention
from attnc.runtime.checks import run_checks
from tests.runtime.mutate import mutants

EXTENT = 4
BUGS = ("A901", "A902")
QUICK, ALL = 100, 2000


def examples(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """So many mutants, the same ones each time; a failure is not shrunk, since its text shows what it is."""
    return settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def explained(attention: Attention) -> None:
    """What was found as text, and the text of the kernels."""
    options: dict[str, Any] = dict.fromkeys(attention.signature.needed, 2)
    program = attention.program(options)
    shape = {index: EXTENT for item in program.stated.inputs for index in item.indices}
    found = attention.explain(shape=shape, **options)
    assert str(found)
    assert found.json()
    assert show_plan(program.plan)
    assert show_cascade(program.explicit)
    for target, dtype in (("cpu", "fp32"), ("sm_90", "bf16")):
        attention.kernels(target=target, dtype=dtype, shape=shape, **options)


def checked(attention: Attention) -> None:
    """Its check clauses by the definition."""
    if not attention.signature.needed:
        run_checks(attention.spec, attention.signature.name, "oracle")


SAMPLED = (explained, checked, None, None)


def goes_the_whole_way(text: str, name: str | None, then: Callable[[Attention], None] | None) -> None:
    try:
        attention = attnc.compile(text, name)
        attention.program(dict.fromkeys(attention.signature.needed, 2))
        if then is not None:
            then(attention)
    except AttnError as mistake:
        if mistake.code in BUGS or not str(mistake):
            raise AssertionError(text) from mistake


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNC_SYMBOLIC_SECONDS", "10")


@examples(QUICK)
@given(mutants(), st.sampled_from(SAMPLED))
def test_a_mutant_is_refused_or_served(
    mutant: tuple[str, str | None], then: Callable[[Attention], None] | None
) -> None:
    goes_the_whole_way(*mutant, then)


@pytest.mark.exhaustive
@examples(ALL)
@given(mutants(), st.sampled_from(SAMPLED))
def test_every_mutant_is_refused_or_served(
    mutant: tuple[str, str | None], then: Callable[[Attention], None] | None
) -> None:
    goes_the_whole_way(*mutant, then)

"""Random programs: compiled C++ against the oracle, by the contract."""

import pytest

from tests.programs.generate import program
from tests.programs.run import run_program

QUICK = 60
ALL = 300


@pytest.mark.parametrize("seed", range(QUICK))
def test_program_keeps_the_contract(seed: int) -> None:
    outcome = run_program(program(seed))
    assert outcome.failures == (), program(seed).text


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(QUICK, ALL))
def test_every_program_keeps_the_contract(seed: int) -> None:
    outcome = run_program(program(seed))
    assert outcome.failures == (), program(seed).text


def test_enough_programs_are_streamed_with_more_than_softmax() -> None:
    from attnc import compile as compile_spec

    drawn = [program(seed) for seed in range(QUICK)]
    stages = [item for item in drawn if item.stage]
    streamed = [item for item in stages if not compile_spec(item.text).program().heavy]
    beyond = [item for item in streamed if not item.plain]
    assert len(stages) * 3 >= len(drawn) * 2
    assert len(beyond) * 2 >= len(drawn)

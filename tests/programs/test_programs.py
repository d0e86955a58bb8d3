"""Random programs: compiled C++ and Triton's interpreter against the oracle, by the contract."""

from collections.abc import Iterator

import pytest
import torch

from attnc import compile as compile_spec
from attnc.compiler import stated
from attnc.ir import cascade as c
from attnc.ir.node import Node
from attnc.ir.operators import OPERATORS, ORDERINGS, REDUCTIONS
from attnc.ir.walk import walk
from attnc.library import Library, Spec
from attnc.source import Source
from tests.programs.generate import Program, program
from tests.programs.run import run_program

QUICK = 60
ALL = 300
NARROW = (torch.bfloat16, torch.float16, torch.float64)


@pytest.mark.parametrize("seed", range(QUICK))
def test_program_keeps_the_contract(seed: int) -> None:
    assert run_program(program(seed)).failures == (), program(seed).text


@pytest.mark.parametrize("seed", [seed for seed in range(24) if seed % 5 != 4])
def test_program_keeps_the_contract_in_triton(seed: int) -> None:
    assert run_program(program(seed), target="sm_90").failures == (), program(seed).text


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(QUICK, ALL))
def test_every_program_keeps_the_contract(seed: int) -> None:
    assert run_program(program(seed)).failures == (), program(seed).text


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", NARROW, ids=str)
@pytest.mark.parametrize("seed", range(ALL))
def test_every_program_keeps_the_contract_in_other_types(seed: int, dtype: torch.dtype) -> None:
    assert run_program(program(seed), dtype).failures == (), program(seed).text


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(24, ALL))
def test_every_program_keeps_the_contract_in_triton(seed: int) -> None:
    assert run_program(program(seed), target="sm_90").failures == (), program(seed).text


def served(programs: list[Program]) -> list[Program]:
    """Those with an M x N stage that is streamed as a whole."""
    return [item for item in programs if item.stage and not compile_spec(item.text).program().heavy]


def test_most_programs_are_streamed_with_more_than_softmax() -> None:
    drawn = [program(seed) for seed in range(QUICK)]
    assert sum(item.stage for item in drawn) * 3 >= len(drawn) * 2
    assert sum(not item.plain for item in served(drawn)) * 2 >= len(drawn)


@pytest.mark.exhaustive
def test_of_all_programs_two_hundred_have_a_stage_and_most_are_streamed() -> None:
    drawn = [program(seed) for seed in range(ALL)]
    assert sum(item.stage for item in drawn) >= 200
    assert sum(not item.plain for item in served(drawn)) >= 150


def nodes() -> Iterator[Node]:
    for seed in range(ALL):
        spec = Spec(Source(f"program {seed}", program(seed).text), None, None)
        found = stated(spec, {}, Library(None))
        for item in (*found.tensors, *found.carries, *found.requires):
            yield from walk(item)


def test_the_programs_have_every_operator_of_the_language() -> None:
    seen: set[str] = set()
    for node in nodes():
        match node:
            case c.Map(op) | c.Reduce(op) | c.Order(op):
                seen.add(op)
            case _:
                seen.add(type(node).__name__)
    written = {name for name, row in OPERATORS.items() if row.written}
    assert written - seen == set()
    assert {*REDUCTIONS, *ORDERINGS, "mean", "var", "logsumexp", "kth"} - seen == set()
    assert {"Where", "Choose", "Default", "Exists", "Softmax", "Uniform", "Grad", "Carry"} - seen == set()


def test_the_programs_have_every_kind_of_part() -> None:
    kinds = {kind(left) for node in nodes() if isinstance(node, c.Part) for left in node.left}
    assert kinds >= {"index", "point", "shifted", "strided", "blocks"}


def kind(left: c.Expr) -> str:
    """What a left side's subscript is: n, N, N + j, 2*p + 1 or s*SEG + r."""
    indices = sum(isinstance(node, c.Coord) for node in walk(left))
    if indices == 0:
        return "point"
    if isinstance(left, c.Coord):
        return "index"
    if indices > 1:
        return "blocks"
    return "strided" if any(isinstance(node, c.Map) and node.op == "mul" for node in walk(left)) else "shifted"

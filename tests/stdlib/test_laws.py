"""What holds of every attention of a family: gradients, empty and tiny shapes, decoding, causality."""

from typing import Any

import pytest
import torch

from attnc.diagnostics import AttnError
from attnc.grammar.read import read
from attnc.ir import syntax
from attnc.ir.cascade import Cascade, Coord
from attnc.ir.node import Node
from attnc.ir.walk import walk
from attnc.library import parse_source, standard_attentions
from tests.stdlib.cases import Case, Tensors, cases
from tests.stdlib.run import (
    apart,
    broken,
    by_definition,
    by_kernels,
    gradients_broken,
    gradients_broken_over,
    tiny_gradients_broken,
)

pytestmark = pytest.mark.exhaustive
EVERY = cases()
TINY = (0, 1, 2, 17)
UNLIKE = ({"m": 1, "n": 17}, {"m": 0, "n": 17}, {"m": 17, "n": 0}, {"m": 2, "n": 17})
EXACT = 0.0
DRAWS = 8  # of a few elements
# Gradients that are what is left of much larger terms: in one or two of eight draws of a few elements the kernels are
# 1.03 to 3.4 times as far off as the contract has it, the definition being near by chance. In `sink_mlp` a denominator
# nearly cancels, in `fusemax_two_pass` two expressions make the weights of the sum and of the output. In the others a
# row has all or nearly all its weight on one key: dP - sum(P dP) cancels there, and the sum is dO . O, which is not
# made of this dP: a last bit of dP is left.
OFF_IN_ONE_DRAW = (
    "sink_mlp-m33-n33",
    "fusemax_two_pass-m33-n33-8",
    "crate_mssa-n33",
    "coattention-r13-one",
    "s2_attention-m19-n37-2-2-5-3-1",
    "s2_attention-m33-n33-2-2-5",
    "s2_relative-m19-n37-3-1-2-2",
    "s2_relative-m33-n33-2-2-1-3",
    "ssa-m33-n33",
    "theme_gated_parallel_attention-m23-n13-True",
)


def stated(case: Case) -> Cascade:
    return case.loaded().program(case.options).stated


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
@pytest.mark.parametrize("case", EVERY, ids=str)
def test_gradients_keep_the_contract(case: Case, target: str) -> None:
    assert gradients_broken(case, case.inputs(torch.float32), target) == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("case", EVERY, ids=str)
def test_gradients_keep_the_contract_in_other_types(case: Case, dtype: torch.dtype) -> None:
    assert gradients_broken(case, case.inputs(dtype)) == []


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_gradients_keep_the_contract_in_64_bits(case: Case) -> None:
    """Over several draws: the definition's own rounding is part of what is measured there."""
    draws = [case.inputs(torch.float64, seed=seed) for seed in range(DRAWS)]
    assert gradients_broken_over(case, draws) == []


def degenerate(case: Case) -> list[dict[str, int]]:
    """Tiny shapes, all lengths alike, then few rows and many keys, and the reverse."""
    alike = [{index: extent for index in case.lengths if index in case.shape} for extent in TINY]
    unlike = [shape for shape in UNLIKE if {"m", "n"} <= set(case.lengths) & set(case.shape)]
    return [*alike, *unlike]


def allowed(case: Case, shape: dict[str, int], seed: int = 3) -> Tensors | None:
    """The inputs at a shape, unless the attention refuses it."""
    try:
        inputs = case.inputs(torch.float32, shape, seed)
        by_definition(case, inputs)
    except AttnError as mistake:
        if mistake.code.startswith("A6"):
            return None
        raise
    return inputs


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
@pytest.mark.parametrize("case", EVERY, ids=str)
def test_tiny_and_empty_shapes_keep_the_contract(case: Case, target: str) -> None:
    given = [inputs for shape in degenerate(case) if (inputs := allowed(case, shape)) is not None]
    assert given or not set(case.lengths) & set(case.shape)
    for inputs in given:
        assert broken(case, inputs, by_kernels(case, inputs, target)) == []


def named(case: Case) -> Any:
    """A case, expected to fail if it is one of those above."""
    off = pytest.mark.xfail(strict=True, raises=AssertionError, reason="off in one of eight draws, see above")
    return pytest.param(case, marks=off) if str(case) in OFF_IN_ONE_DRAW else case


@pytest.mark.parametrize("case", [named(case) for case in EVERY], ids=str)
def test_tiny_and_empty_shapes_have_gradients(case: Case) -> None:
    for shape in degenerate(case):
        draws = [inputs for seed in range(DRAWS) if (inputs := allowed(case, shape, seed=seed)) is not None]
        assert not draws or tiny_gradients_broken(case, draws) == []


def last_rows(case: Case, tensors: Tensors, axes: dict[str, tuple[str, ...]]) -> Tensors:
    """The last row of what has rows, all of what has none."""
    return {
        name: value.narrow(axes[name].index("m"), value.shape[axes[name].index("m")] - 1, 1)
        if "m" in axes[name]
        else value
        for name, value in tensors.items()
    }


def axes_of(cascade: Cascade) -> dict[str, tuple[str, ...]]:
    """The indices of inputs and outputs."""
    found = {item.name: item.indices for item in cascade.inputs}
    for tensor in cascade.tensors:
        left = tensor.parts[0].left
        found[tensor.name] = tuple(sub.index if isinstance(sub, Coord) else "" for sub in left)
    return found


def says_where_rows_stand(name: str) -> bool:
    """Whether the rows of an attention are the last M of N positions, by its text: collecting tests plans nothing."""
    file = parse_source(read(standard_attentions()[name]))
    (found,) = (item for item in file.definitions if isinstance(item, syntax.Attention) and item.name == name)
    tests = [node.test for node in walk(found) if isinstance(node, syntax.Range)]
    return any(syntax.Name("m") in test.args[1:] and has_names(test.args[0]) for test in tests)


def has_names(node: Node) -> bool:
    return any(isinstance(item, syntax.Name) for item in walk(node))


DECODED = [case for case in EVERY if case.rows and "m" in case.shape and says_where_rows_stand(case.attention)]


@pytest.mark.parametrize("case", DECODED, ids=str)
def test_the_last_row_by_itself_is_the_last_row(case: Case) -> None:
    inputs, axes = case.inputs(torch.float64), axes_of(stated(case))
    last = last_rows(case, inputs, axes)
    wanted = last_rows(case, by_definition(case, inputs), axes)
    rows = [name for name in wanted if "m" in axes[name]]
    assert rows
    found = by_definition(case, last)
    assert apart({name: found[name] for name in rows}, {name: wanted[name] for name in rows}) == []
    narrow = {name: value.float() if value.is_floating_point() else value for name, value in last.items()}
    assert broken(case, narrow, by_kernels(case, narrow)) == []


CAUSAL = [case for case in EVERY if case.causal]


def mixed(case: Case, early: Tensors, late: Tensors, past: int) -> Tensors:
    """Inputs as in `early`, except for the last positions of every axis of time, `past` before their ends."""
    axes, found = axes_of(stated(case)), {}
    for name, value in early.items():
        value = value.clone()
        for place, index in enumerate(axes[name]):
            if index in case.time and value.shape[place] > 0:
                after = slice(max(0, value.shape[place] - past), None)
                at = (*[slice(None)] * place, after)
                value[at] = late[name][at]
        found[name] = value
    return found


def before(case: Case, outputs: Tensors, past: int) -> Tensors:
    """What lies before the last `past` positions."""
    axes, found = axes_of(stated(case)), {}
    for name, value in outputs.items():
        for place, index in enumerate(axes[name]):
            if index in case.time:
                found[name] = value.narrow(place, 0, max(0, value.shape[place] - past))
                break
    return found


@pytest.mark.parametrize("case", CAUSAL, ids=str)
def test_the_future_changes_nothing(case: Case) -> None:
    early, late = (case.inputs(torch.float32, seed=seed) for seed in (3, 8))
    for past in (1, 7):
        changed = mixed(case, early, late, past)
        for run in (by_definition, by_kernels):
            plain, moved = run(case, early), run(case, changed)
            assert before(case, plain, past)
            assert apart(before(case, moved, past), before(case, plain, past), EXACT) == []
            assert apart(moved, plain, EXACT) != []

"""A program over a batch means for every element what the program means; it is well-formed in both forms."""

import random

import pytest
import torch

import attnc
from attnc import compiler
from attnc.ir.cascade import Cascade
from attnc.ir.interpret import run
from attnc.ir.verify import explicit, ordered, resolved, stated, verify
from attnc.runtime.draw import draw
from attnc.runtime.program import Program
from tests.programs.generate import program

Tensors = dict[str, torch.Tensor]


def two(value: torch.Tensor) -> torch.Tensor:
    """A batch of a tensor and another one like it."""
    return torch.stack([value, value.flip(0) if value.dim() else value])


def differences(cascade: Cascade, inputs: Tensors, chosen: list[str]) -> list[str]:
    """The outputs of which an element of a batch is not what it would be alone."""
    batched = compiler.batched(cascade, chosen)
    index, many = batched.ranges[-1].index, {name: two(inputs[name]) for name in chosen}
    together, found = run(batched, inputs | many).outputs, []
    for place in range(2):
        alone = run(cascade, inputs | {name: value[place] for name, value in many.items()}).outputs
        for name, value in alone.items():
            tensor = batched.tensor(name)
            differs = tensor is not None and any(index in part.indices for part in tensor.parts)
            own = together[name][place] if differs else together[name]
            if not torch.allclose(own, value, rtol=1e-12, atol=1e-12, equal_nan=True):
                found.append(name)
    return found


def analysed(text: str, shape: dict[str, int], seed: int) -> tuple[Program, Tensors]:
    """A program and inputs for it."""
    found = attnc.compile(text).program()
    return found, draw(found.stated, shape, {}, torch.float64, seed)


QUICK, ALL = 12, 300


@pytest.mark.parametrize("seed", range(QUICK))
def test_an_element_has_its_own_value(seed: int) -> None:
    check(seed)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(QUICK, ALL))
def test_every_element_has_its_own_value(seed: int) -> None:
    check(seed)


def check(seed: int) -> None:
    """Both forms of a generated program over a batch of some of its inputs."""
    item = program(seed)
    found, inputs = analysed(item.text, item.shape, seed)
    dice = random.Random(seed)
    chosen = dice.sample(list(inputs), dice.randint(1, len(inputs)))
    assert differences(found.stated, inputs, chosen) == []
    assert differences(found.explicit, inputs, chosen) == []
    verify(compiler.batched(found.stated, chosen), (resolved, ordered, stated))
    verify(compiler.batched(found.explicit, chosen), (resolved, ordered, explicit))


def test_what_is_made_together_may_differ_or_not() -> None:
    text = (
        "attention grown(x[b,n], g[b,n], len[b]: int) -> S:\n    S[b,0] = 0\n"
        "    S[b,n+1] = g[b,n] * S[b,n] + x[b,n] where n < len[b]\n"
    )
    found, inputs = analysed(text, {"b": 2, "n": 5}, 1)
    inputs["len"] = torch.tensor([3, 5])
    for form in (found.stated, found.explicit):
        assert differences(form, inputs, ["g"]) == []
        assert differences(form, inputs, ["len"]) == []


def test_what_reads_no_element_is_the_same_for_all() -> None:
    text = "attention part(Q[m,e], K[n,e], V[n,f]) -> O, S:\n    S[m,n] = Q * K\n    O[m,f] = softmax[n](S) * V\n"
    found = compiler.batched(attnc.compile(text).program().stated, ["V"])
    tensors = {item.name: len(item.axes) for item in found.tensors}
    assert (tensors["S"], tensors["O"]) == (2, 3)
    assert [item.indices for item in found.inputs] == [("m", "e"), ("n", "e"), ("batch", "n", "f")]


def test_the_batch_takes_a_name_of_its_own() -> None:
    found = compiler.batched(
        attnc.compile("attention same(batch[m]) -> O:\n    O[m] = batch\n").program().stated, ["batch"]
    )
    assert found.ranges[-1].index == "batch_"
    twice = compiler.batched(found, ["batch"])
    assert twice.inputs[0].indices == ("batch__", "batch_", "m")


def test_a_program_over_a_batch_is_streamed_in_as_many_passes() -> None:
    found = attnc.load("std:alibi").program()
    over = compiler.explicit(compiler.batched(found.stated, ["Q", "slope"]))
    assert [type(stage) for stage in compiler.planned(over).stages] == [type(stage) for stage in found.plan.stages]

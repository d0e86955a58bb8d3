"""Tangents: programs of their own, held to the contract as programs and to the definition's derivative."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.autograd import forward_ad

import attnc
from attnc.contract import FORWARD, judge, references
from attnc.ir.stage import Stream
from attnc.runtime import cache, tangents
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from attnc.runtime.tangents import Pushed, tangents_of
from tests.thinned import thinned

Tensors = dict[str, torch.Tensor]

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[01]*.attn"))
EXAMPLES = [file for file in EXAMPLES if "wrong" not in file.stem]
SIZES = {"b": 2, "h": 4, "g": 2, "m": 19, "n": 32, "e": 8, "f": 16}
SMALL = {"i": 4, "e": 2, "f": 2, "m": 2, "n": 3}
PARTS = """
attention parts(Q[i,e], V[i,f], g[i]) -> O, P, T:
    State[0,e,f]   = 0
    State[i+1,e,f] = exp(g[i]) * State[i,e,f] + Q * V
    O[i,f] = Q * State[i+1,e,f]
    P[f]   = prod[i](V[i,f] * (i - 1))
    T[f]   = kth[i; 1](V[i,f]) + max[i](V[i,f] where i > 0) - min[i](V[i,f])
"""
LARGEST = """
attention largest(Q[m,e], K[n,e]) -> O:
    O[m] = max[n](sum[e](Q[m,e] * K[n,e]))
"""
STOPPED = """
attention stopped(Q[m,e], K[n,e]) -> O:
    S[m,n] = Q * K
    R[m]   = max[n](S)
    O[m]   = log(sum[n](exp(S - stop(R)))) + R
"""
SORTED = """
attention sorted(V[i], w[]) -> O:
    index u < I
    O[u] = w * sort[i -> u](V)
"""


def given(attention: Attention, sizes: dict[str, int], dtype: torch.dtype = torch.float64) -> Tensors:
    """Drawn inputs."""
    stated = attention.program().stated
    used = {index for item in stated.inputs for index in item.indices}
    return draw(stated, {index: extent for index, extent in sizes.items() if index in used}, {}, dtype, 3)


def directions(inputs: Tensors) -> Tensors:
    """A tangent for every real input."""
    dice = torch.Generator().manual_seed(7)
    reals = {name: tensor for name, tensor in inputs.items() if tensor.is_floating_point()}
    drawn = {name: torch.randn(tensor.shape, generator=dice, dtype=torch.float64) for name, tensor in reals.items()}
    return {name: tensor.to(inputs[name].dtype) for name, tensor in drawn.items()}


def listed(found: Any) -> list[torch.Tensor]:
    """One output or several, as a list."""
    return list(found) if isinstance(found, tuple) else [found]


def pushed(attention: Attention, inputs: Tensors, moving: Tensors) -> list[torch.Tensor]:
    """The tangents of the outputs."""

    def called(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(listed(attention(**inputs | dict(zip(moving, tensors, strict=True)))))

    return list(torch.func.jvp(called, tuple(inputs[name] for name in moving), tuple(moving.values()))[1])


def by_definition(attention: Attention, inputs: Tensors, moving: Tensors) -> list[torch.Tensor]:
    """The tangents of the definition's outputs."""

    def called(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(listed(attention.reference(**inputs | dict(zip(moving, tensors, strict=True)))))

    at = tuple(inputs[name] for name in moving)
    return list(torch.autograd.functional.jvp(called, at, tuple(moving.values()))[1])  # type: ignore[no-untyped-call]


def program_of(attention: Attention) -> Pushed:
    """The tangent of an attention in every real input."""
    reals = sorted(item.name for item in attention.program().stated.inputs if item.type == "real")
    found = tangents_of(attention.program(), tuple(reals))
    assert found is not None
    return found


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_examples_are_streamed(file: Path) -> None:
    stages = program_of(attnc.load(file)).program.plan.stages
    assert all(isinstance(stage, Stream) for stage in stages)
    assert len(stages) == (2 if "entropy" in file.stem else 1)


@pytest.mark.parametrize("file", thinned(EXAMPLES, 2), ids=lambda file: file.stem)
def test_examples_have_the_definition_s_tangents(file: Path) -> None:
    attention = attnc.load(file)
    inputs = given(attention, SIZES)
    moving = directions(inputs)
    for own, right in zip(pushed(attention, inputs, moving), by_definition(attention, inputs, moving), strict=True):
        torch.testing.assert_close(own, right, rtol=1e-9, atol=1e-11)
    assert attention.last_run is not None
    assert {run.backend for run in attention.last_run.tangent} == {"cpp"}


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=pytest.mark.exhaustive)], ids=str)
@pytest.mark.parametrize("file", thinned(EXAMPLES, 2), ids=lambda file: file.stem)
def test_examples_in_other_types(file: Path, dtype: torch.dtype) -> None:
    attention = attnc.load(file)
    inputs = given(attention, SIZES, dtype)
    moving = directions(inputs)
    program = tangents_of(attention.program(), tuple(sorted(moving)))
    assert program is not None
    found = dict(zip(program.outputs.values(), pushed(attention, inputs, moving), strict=True))
    every = inputs | {own: moving[name] for name, own in program.inputs.items()}
    judged = references(program.program.stated, every, {name: value.dtype for name, value in found.items()})
    assert [name for name, value in found.items() if not judge(name, value, judged[name], FORWARD).passed] == []


@pytest.mark.filterwarnings("ignore:attnc")
def test_recurrences_products_and_extrema() -> None:
    attention = attnc.compile(PARTS)
    inputs = given(attention, SMALL)
    inputs["V"][2] = inputs["V"][3]  # equal values share what comes of them
    moving = directions(inputs)
    for own, right in zip(pushed(attention, inputs, moving), by_definition(attention, inputs, moving), strict=True):
        torch.testing.assert_close(own, right)


def test_a_maximum_that_shows_has_a_tangent() -> None:
    attention = attnc.compile(LARGEST)
    inputs = {"Q": torch.ones(1, 1), "K": torch.tensor([[1.0], [3.0], [3.0]])}
    (found,) = pushed(attention, inputs, {"K": torch.tensor([[9.0], [2.0], [4.0]])})
    assert found.tolist() == [3.0]


def test_a_reference_that_is_stopped_has_a_tangent_elsewhere() -> None:
    attention = attnc.compile(STOPPED)
    inputs = given(attention, SMALL)
    moving = directions(inputs)
    torch.testing.assert_close(pushed(attention, inputs, moving), by_definition(attention, inputs, moving))


def test_what_no_cascade_gives_is_taken_of_the_definition() -> None:
    attention = attnc.compile(SORTED)
    inputs = {"V": torch.tensor([3.0, 1.0, 2.0]), "w": torch.tensor(2.0)}
    with pytest.warns(UserWarning, match="the tangents of `sorted` by statements, a slower path"):
        (found,) = pushed(attention, inputs, {"V": torch.tensor([30.0, 10.0, 20.0])})
    assert found.tolist() == [20.0, 40.0, 60.0]


def test_dual_tensors_keep_their_gradients() -> None:
    causal = attnc.load(EXAMPLES[0])
    leaves = {name: tensor.requires_grad_() for name, tensor in given(causal, SIZES).items()}
    moving = directions(leaves)["Q"]
    with forward_ad.dual_level():
        output = causal(**leaves | {"Q": forward_ad.make_dual(leaves["Q"], moving)})  # type: ignore[no-untyped-call]
        own = forward_ad.unpack_dual(output).tangent  # type: ignore[no-untyped-call]
        found = torch.autograd.grad(own.sin().sum(), list(leaves.values()))

    def reference(query: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(causal.reference(**leaves | {"Q": query}))

    right = torch.autograd.functional.jvp(reference, leaves["Q"], moving, create_graph=True)[1]  # type: ignore[no-untyped-call]
    wanted = torch.autograd.grad(right.sin().sum(), list(leaves.values()))
    torch.testing.assert_close((own, *found), (right, *wanted), rtol=1e-9, atol=1e-11)


def test_an_output_that_does_not_change_has_no_tangent() -> None:
    entropy = next(attnc.load(file) for file in EXAMPLES if "entropy" in file.stem)
    inputs = given(entropy, SIZES)
    first, second = pushed(entropy, inputs, {"V": directions(inputs)["V"]})
    assert first.abs().sum() > 0
    assert second.abs().sum() == 0


def test_a_tangent_that_reaches_nothing_is_an_error() -> None:
    attention = attnc.compile("attention ranks(V[n], w[n]) -> O:\n    O[n] = V * floor(w)\n")
    inputs = {"V": torch.ones(2), "w": torch.ones(2)}
    with pytest.raises(attnc.AttnError, match="A402"):
        pushed(attention, inputs, {"w": torch.ones(2)})


def test_derivations_are_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    attention = attnc.load(EXAMPLES[1])
    first = program_of(attention)
    monkeypatch.setattr(tangents, "_KNOWN", {})
    before = cache.COUNTS["tangent hits"]
    assert program_of(attention) == first
    assert cache.COUNTS["tangent hits"] == before + 1

"""Running maxima: in base 2 where nothing but powers sees them, and one score for all that are of it."""

import math
from collections import Counter

import pytest
import torch

import attnc
from attnc.ir import kernel as k
from attnc.ir.kernel import DType, Kernel
from attnc.ir.target import Target
from attnc.ir.walk import walk
from tests.passes.lowered import SMALL_CPU, SMALL_GPU, kernel_for, largest_error, only_stream, sizes_of
from tests.programs.run import outputs_on

LOG2E = 1 / math.log(2)
SHAPE = sizes_of(40, 70, 16, 16)
TARGETS = (SMALL_CPU, SMALL_GPU)
SCORE = "    S[b,h,m,n] = Q * K / sqrt(E)\n    A[b,h,m,n] = softmax[n](S where n <= m)\n    O[b,h,m,f] = A * V\n"


def spec(outputs: str, further: str = "", given: str = "") -> str:
    head = f"attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]{given}) -> {outputs}:\n"
    return f"{head}    index N - M <= m < N\n{SCORE}{further}"


PLAIN = spec("O")
SHOWN = spec("O, T", "    T[b,h,m] = max[n](S where n <= m)\n")
ENTROPY = spec("O, T", "    T[b,h,m] = -sum[n](xlogx(A))\n")
TWO = spec("O, P", "    P[b,h,m,f] = sum[n](softmax[n](S where n <= m and w) * V)\n", ", w[b,n]: bool")


def kernel(text: str, target: Target, dtype: DType) -> Kernel:
    return kernel_for(*only_stream(text), target, SHAPE, dtype)


def scaled(made: Kernel) -> int:
    """The multiplications by log2(e) alone: of a reference, or of a difference to one."""
    maps = [node for loop in made.loops for node in walk(loop) if isinstance(node, k.Map) and node.op == "mul"]
    return sum(any(isinstance(arg, k.Const) and arg.value == LOG2E for arg in node.args) for node in maps)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_maximum_that_only_powers_see_is_in_base_2(target: Target) -> None:
    assert scaled(kernel(PLAIN, target, "bfloat16")) == 0
    assert scaled(kernel(PLAIN, target, "float32")) > 0  # there the difference comes first, for its low bits


@pytest.mark.parametrize("text", [SHOWN, ENTROPY], ids=["shown", "entropy"])
def test_one_that_is_seen_otherwise_is_not(text: str) -> None:
    assert scaled(kernel(text, SMALL_GPU, "bfloat16")) > 0


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
def test_a_maximum_that_is_shown_is_a_score(target: str) -> None:
    """To the bit: it may be compared with the scores."""
    dice = torch.Generator().manual_seed(1)
    inputs = {name: torch.randint(-4, 5, (1, 2, 70, 16), generator=dice).bfloat16() for name in "QKV"}
    found = outputs_on(attnc.compile(SHOWN), inputs, target)["T"]
    scores = inputs["Q"].double() @ inputs["K"].double().mT / 4  # whole numbers: no sum is rounded
    unseen = ~torch.ones(70, 70).tril().bool()
    assert torch.equal(found.double(), scores.masked_fill(unseen, -math.inf).amax(-1))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_maxima_of_one_score_share_its_product(target: Target) -> None:
    made = kernel(TWO, target, "bfloat16")
    for loop in (item for item in made.loops if isinstance(item, k.Loop)):
        assert Counter(node.tensor for node in walk(loop) if isinstance(node, k.Load))["K"] == 1
    assert largest_error(TWO, target, SHAPE) < 1e-10


def test_what_only_one_of_them_sees_changes_nothing_else() -> None:
    """A score that another maximum needs is read where this one's condition fails: NaN there stays out of it."""
    dice = torch.Generator().manual_seed(2)
    inputs = {name: torch.randn(1, 2, 40, 16, generator=dice) for name in "QKV"}
    w = torch.rand(1, 40, generator=dice) < 0.5
    inputs["K"][:, :, ~w[0]] = torch.nan
    for target in ("cpu", "sm_90"):
        found = outputs_on(attnc.compile(TWO), inputs | {"w": w}, target)
        clean = outputs_on(attnc.compile(TWO), inputs | {"w": w, "K": inputs["K"].nan_to_num(0.0)}, target)
        assert torch.equal(found["P"], clean["P"])
        assert found["O"].isnan().any()

"""One attention written in several ways is derived to one state: nothing is recognised by its shape or name."""

from __future__ import annotations

import pytest
import torch

import attnc
from attnc.ir.stage import Stream
from attnc.runtime.draw import draw
from tests.passes.run_monoid import Monoid, context_of

HEAD = "attention p(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:\n"
SCORE = "S[b,h,m,n] = Q * K / sqrt(E)\n"
SHAPE = {"b": 1, "h": 2, "m": 4, "n": 7, "e": 3, "f": 2, "q": 4, "k": 7, "d": 3, "u": 2, "x": 1, "y": 2}

SOFTMAX = [
    SCORE + "O[b,h,m,f] = softmax[n](S) * V",
    # three passes, the maximum taken away
    SCORE
    + "R[b,h,m] = max[n](S)\nW[b,h,m,n] = exp(S - R)\nD[b,h,m] = sum[n](W)\nA[b,h,m,n] = W / D\nO[b,h,m,f] = A * V",
    # two passes: the division comes last
    SCORE + "R[b,h,m] = max[n](S)\nW[b,h,m,n] = exp(S - R)\nU[b,h,m,f] = W * V\nO[b,h,m,f] = U / sum[n](W)",
    # no maximum at all
    SCORE + "W[b,h,m,n] = exp(S)\nO[b,h,m,f] = sum[n](W * V) / sum[n](W)",
    # exp(a - b) as exp(a) / exp(b)
    SCORE + "R[b,h,m] = max[n](S)\nW[b,h,m,n] = exp(S) / exp(R)\nO[b,h,m,f] = sum[n](W * V) / sum[n](W)",
    # in log space
    SCORE + "L[b,h,m] = logsumexp[n](S)\nO[b,h,m,f] = sum[n](exp(S - L) * V)",
    SCORE + "R[b,h,m] = max[n](S)\nL[b,h,m] = R + log(sum[n](exp(S - R)))\nO[b,h,m,f] = sum[n](exp(S - L) * V)",
    # by powers of two
    SCORE + "W[b,h,m,n] = exp2(S * 1.4426950408889634)\nO[b,h,m,f] = sum[n](W * V) / sum[n](W)",
    # statements in another order, the definition inlined
    "L[b,h,m] = logsumexp[n](sum[e](Q * K) / sqrt(E))\nO[b,h,m,f] = sum[n](exp(sum[e](Q * K) / sqrt(E) - L) * V)",
    # the sum of weights times values split in two
    SCORE + "A[b,h,m,n] = softmax[n](S)\nO[b,h,m,f] = sum[n](A * (0.25 * V)) + sum[n](A * (0.75 * V))",
    SCORE + "A[b,h,m,n] = softmax[n](S)\nO[b,h,m,f] = sum[n](0.25 * A * V + 0.75 * A * V)",
]

L2 = [
    SCORE + "W[b,h,m,n] = exp(S - max[n](S))\nO[b,h,m,f] = sum[n](W * V) / sqrt(sum[n](W * W))",
    SCORE + "W[b,h,m,n] = exp(S)\nZ[b,h,m] = sqrt(sum[n](W ** 2))\nO[b,h,m,f] = sum[n](W / Z * V)",
    SCORE + "Z[b,h,m] = 0.5 * logsumexp[n](2 * S)\nO[b,h,m,f] = sum[n](exp(S - Z) * V)",
]

ENTROPY = [
    SCORE + "A[b,h,m,n] = softmax[n](S)\nO[b,h,m] = -sum[n](xlogx(A))",
    SCORE + "A[b,h,m,n] = softmax[n](S)\nO[b,h,m] = -sum[n](A * log(A))",
    SCORE + "L[b,h,m] = logsumexp[n](S)\nO[b,h,m] = L - sum[n](exp(S - L) * S)",
    SCORE + "R[b,h,m] = max[n](S)\nD[b,h,m] = sum[n](exp(S - R))\nO[b,h,m] = log(D) - sum[n](exp(S - R) * (S - R)) / D",
]

VARIANCE = [
    SCORE + "O[b,h,m] = var[n](S)",
    SCORE + "U[b,h,m] = mean[n](S)\nO[b,h,m] = mean[n]((S - U) ** 2)",
    SCORE + "U[b,h,m] = sum[n](S) / N\nO[b,h,m] = sum[n]((S - U) * (S - U)) / N",
]

DIFFERENTIAL = [
    SCORE + "T[b,h,m,n] = 0.5 * S\nO[b,h,m,f] = sum[n]((softmax[n](S) - 0.3 * softmax[n](T)) * V)",
    SCORE + "T[b,h,m,n] = 0.5 * S\nO[b,h,m,f] = sum[n](softmax[n](S) * V) - 0.3 * sum[n](softmax[n](T) * V)",
]

GROUPS = {"softmax": SOFTMAX, "l2": L2, "entropy": ENTROPY, "variance": VARIANCE, "differential": DIFFERENTIAL}
CASES = [(name, place) for name, texts in GROUPS.items() for place in range(1, len(texts))]


def spec(body: str) -> str:
    return HEAD + "".join(f"    {line}\n" for line in body.split("\n"))


def only_stage(text: str, inputs: dict[str, torch.Tensor] | None = None) -> tuple[Monoid, dict[str, torch.Tensor]]:
    """The one streamed stage of a spec, on drawn inputs or given ones."""
    program = attnc.compile(text, strict=True).program()
    used = {index for item in program.stated.inputs for index in item.indices}
    given = inputs or draw(program.stated, {i: SHAPE[i] for i in SHAPE if i in used}, {}, torch.float64, 11)
    (stage,) = (stage for stage in program.plan.stages if isinstance(stage, Stream))
    return Monoid(stage, context_of(program.explicit, given)), given


def components(monoid: Monoid) -> list[torch.Tensor]:
    """The values of a state that a row keeps, references apart from the rest."""
    state = monoid.lift(monoid.whole())
    return [state[item.name] for item in monoid.stage.monoid.parts]


def matched(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    """Whether two states have the same components, in any order."""
    rest = list(other)
    for value in one:
        place = next((k for k, item in enumerate(rest) if same(value, item)), None)
        if place is None:
            return False
        rest.pop(place)
    return not rest


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "place"), CASES)
def test_a_rewritten_spec_has_the_same_state(name: str, place: int) -> None:
    first, inputs = only_stage(spec(GROUPS[name][0]))
    other, _ = only_stage(spec(GROUPS[name][place]), inputs)
    assert matched(components(first), components(other))


def test_names_do_not_matter() -> None:
    renamed = (
        "attention other(A[x,y,q,d], B[x,y,k,d], C[x,y,k,u]) -> Y:\n"
        "    T[x,y,q,k] = A * B / sqrt(D)\n    Y[x,y,q,u] = softmax[k](T) * C\n"
    )
    first, inputs = only_stage(spec(SOFTMAX[0]))
    other, _ = only_stage(renamed, dict(zip("ABC", (inputs[name] for name in "QKV"), strict=True)))
    assert matched(components(first), components(other))


@pytest.mark.parametrize(("name", "count"), [("softmax", 3), ("l2", 3), ("entropy", 3), ("differential", 5)])
def test_the_state_is_as_small_as_the_literature_has_it(name: str, count: int) -> None:
    assert len(components(only_stage(spec(GROUPS[name][0]))[0])) == count


def test_different_attentions_have_different_states() -> None:
    first, inputs = only_stage(spec(SOFTMAX[0]))
    other, _ = only_stage(spec(L2[0]), inputs)
    assert not matched(components(first), components(other))

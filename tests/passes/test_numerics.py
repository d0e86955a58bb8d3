"""Where a state needs a reference, which one, and that it keeps float32 in range: by the numerics contract."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

import attnc
from attnc.contract import judge, references
from attnc.ir.cascade import Read
from attnc.ir.stage import Stream
from attnc.ir.walk import walk
from attnc.runtime.draw import draw
from attnc.runtime.program import Program
from tests.passes.run_monoid import Monoid, Spans, context_of

HEAD = (
    "attention p(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], B[b,h,n,u], L[b,h,m,u]) -> O:\n"
    "    require U == 1\n"
    "    index N - M <= m < N\n"
    "    S[b,h,m,n] = sum[e](Q * K) / sqrt(E) + B[b,h,n,0]\n"
    "    {}\n"
)
SHAPE = {"b": 1, "h": 2, "m": 6, "n": 11, "e": 4, "f": 2, "u": 1}

# body: number of references that the state has
REFERENCES = {
    # exponents bounded on both sides, by a range, a clamp, an interval
    "O[b,h,m,f] = softmax[n](30 * tanh(S / 30)) * V": 0,
    "O[b,h,m,f] = softmax[n](clamp(S, -5, 5)) * V": 0,
    "O[b,h,m,f] = softmax[n](sigmoid(S) + 2 * erf(S)) * V": 0,
    "O[b,h,m,f] = softmax[n](min(abs(S), 3)) * V": 0,
    # bounded, but too far out
    "O[b,h,m,f] = softmax[n](100 * tanh(S / 100)) * V": 1,
    # bounded from above: enough for a sum, not for a quotient, in which all may underflow
    "O[b,h,m,f] = sum[n](exp(-S * S) * V)": 0,
    "O[b,h,m,f] = sum[n](exp(-S * S) * V) / sum[n](exp(-S * S))": 1,
    "O[b,h,m,f] = softmax[n](-abs(S)) * V": 1,
    "O[b,h,m,f] = sum[n](exp(-softplus(S)) * V)": 0,
    "O[b,h,m] = log(sum[n](exp(-S * S)))": 1,
    # bounded by a condition on positions
    "O[b,h,m,f] = sum[n](S * 0.9 ** (m - n) * V where n <= m)": 0,
    "O[b,h,m,f] = sum[n](S * 0.9 ** (m - n) * V)": 1,
    "O[b,h,m,f] = sum[n](S * exp2(n - m) * V where n < m + 3)": 0,
    # not bounded
    "O[b,h,m,f] = softmax[n](S) * V": 1,
    "O[b,h,m,f] = softmax[n](abs(S)) * V": 1,
    "O[b,h,m,f] = sum[n](exp(S - L[b,h,m,0]) * V)": 1,
    # a fraction that is bounded though its numerator is not
    "O[b,h,m,f] = sum[n](exp(S) / (1 + exp(S)) * V)": 0,
    "O[b,h,m,f] = sum[n](exp(S) / (1 + exp(S)) ** 2 * V)": 0,
    "O[b,h,m,f] = sum[n](exp(2 * S) / (1 + exp(S)) * V)": 1,
    # one each: what one of them sees, the other may not
    "O[b,h,m,f] = sum[n](softmax[n](S where n <= m) * V) + sum[n](softmax[n](S) * V)": 2,
    "O[b,h,m] = logsumexp[n](S where n <= m) - logsumexp[n](S)": 2,
    # one for both
    "O[b,h,m,f] = sum[n](softmax[n](2 * S) * V) - sum[n](softmax[n](S) * V)": 1,
    "O[b,h,m,f] = sum[n](exp(S) * V where n <= m) / sum[n](exp(S))": 1,
    # moments about a value near the mean, where the output does not tell which
    "O[b,h,m] = var[n](S)": 1,
    "O[b,h,m] = mean[n](S * S) - mean[n](S) ** 2": 1,
    "O[b,h,m] = mean[n](S * S)": 0,
    "O[b,h,m] = sqrt(mean[n](S ** 2))": 0,
}
STRESS = {
    **dict.fromkeys(REFERENCES, (1.0, 30.0)),
    "O[b,h,m,f] = sum[n](exp(2 * S) / (1 + exp(S)) * V)": (1.0,),  # e^60 of a score in float32 has no digits
    "O[b,h,m,f] = sum[n](exp(S - L[b,h,m,0]) * V)": (1.0,),
    "O[b,h,m] = log(1 + sum[n](exp(S)))": (1.0, 30.0),
    "O[b,h,m] = log(exp(L[b,h,m,0]) + sum[n](exp(S)))": (1.0, 30.0),
    "O[b,h,m] = softplus(logsumexp[n](S))": (1.0, 30.0, 1000.0),
    "O[b,h,m] = -sum[n](xlogx(softmax[n](S)))": (1.0, 30.0, 1000.0),
    "A[b,h,m,n] = softmax[n](S)\n    O[b,h,m] = sum[n](A * (S - sum[n](A * S)) ** 2)": (1.0, 30.0),
    "O[b,h,m,f] = sum[n](softmax[n](S) ** 2 * V)": (1.0, 30.0, 1000.0),
    "O[b,h,m,f] = sum[n](sigmoid(S) * V)": (1.0, 30.0, 1000.0),
}


def program_of(body: str) -> Program:
    return attnc.compile(HEAD.format(body)).program()


def stage_of(program: Program) -> Stream:
    (stage,) = program.streams
    return stage


@pytest.mark.parametrize("body", REFERENCES)
def test_a_reference_is_kept_where_it_is_needed(body: str) -> None:
    assert len(stage_of(program_of(body)).monoid.gauges) == REFERENCES[body]


def pieces(monoid: Monoid) -> list[Spans]:
    ((lo, hi),) = (span for span in monoid.whole() if span is not None)
    return [(span,) for span in pairwise((lo, lo + 2, lo + 3, hi - 1, hi))]


def inputs_of(program: Program, scale: float, seed: int) -> dict[str, torch.Tensor]:
    inputs = draw(program.stated, SHAPE, {}, torch.float32, seed)
    inputs["Q"] *= scale
    inputs["B"] *= scale / 8
    return inputs


def keeps_the_contract(program: Program, inputs: dict[str, torch.Tensor]) -> None:
    """The state of four pieces of the stream in float32, merged, against the definition."""
    monoid = Monoid(stage_of(program), context_of(program.explicit, inputs, torch.float32))
    first, *others = (monoid.lift(piece) for piece in pieces(monoid))
    for other in others:
        first = monoid.merge(first, other)
    (found,) = monoid.finish(first).values()
    (judged,) = references(program.stated, inputs, {"O": torch.float32}).values()
    verdict = judge("O", found.float(), judged)
    assert verdict.passed, verdict


CASES = [(body, scale) for body, scales in STRESS.items() for scale in scales]


@pytest.mark.parametrize(("body", "scale"), CASES)
def test_states_keep_the_contract(body: str, scale: float) -> None:
    program = program_of(body)
    for seed in (1, 2, 3):
        keeps_the_contract(program, inputs_of(program, scale, seed))


@pytest.mark.parametrize("body", [body for body, count in REFERENCES.items() if count == 2])
def test_what_few_keys_say_is_not_lost_beside_a_large_one(body: str) -> None:
    """The last key is 200 above all others, and most rows do not see it under the condition."""
    program = program_of(body)
    inputs = inputs_of(program, 1.0, 5)
    inputs["B"][:, :, -1] = 200.0
    keeps_the_contract(program, inputs)


def test_what_does_not_vary_stays_in_the_exponent() -> None:
    """exp(S - L[b,h,m,0]) is never split into exp(S) * exp(-L): the reference is that of the difference."""
    (gauge,) = stage_of(program_of("O[b,h,m,f] = sum[n](exp(S - L[b,h,m,0]) * V)")).monoid.gauges
    assert any(isinstance(node, Read) and node.tensor == "L" for node in walk(gauge))


def test_the_variance_of_large_scores_is_simplified_as_a_whole() -> None:
    """Term by term it would be a difference of numbers a thousand times as large."""
    program = program_of("O[b,h,m] = var[n](S + 1000)")
    keeps_the_contract(program, inputs_of(program, 1.0, 3))


@pytest.mark.parametrize(
    "body", ["O[b,h,m,f] = softmax[n](S where n < m - 5) * V", "O[b,h,m] = var[n](S where n < m - 5)"]
)
def test_rows_that_see_nothing(body: str) -> None:
    program = program_of(body)
    keeps_the_contract(program, inputs_of(program, 30.0, 3))

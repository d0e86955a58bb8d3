"""Calls of few rows on a CPU: lanes lie along what is streamed, which is read where it lies, or made on the way."""

from pathlib import Path

import pytest
import torch

import attnc
from attnc.contract import judge, references
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from tests.gradients.run import run_gradients
from tests.programs.run import outputs_on
from tests.thinned import thinned

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[01]*.attn"))[:11]
WIDTHS = ((32, 48), (20, 9))
MADE = {
    "keys are made": "    X[n,e] = K / sqrt(sum[e](K * K) + 1)\n    S[m,n] = Q * X\n    O[m,f] = softmax[n](S) * V",
    "values are made": "    S[m,n] = Q * K\n    W[n,f] = V * V + n\n    O[m,f] = softmax[n](S) * W",
    "both": "    S[m,n] = sum[e](Q * abs(K))\n    O[m,f] = sum[n](relu(S) * abs(V))",
    "twice": "    S[m,n] = Q * K\n    A[m,n] = softmax[n](S ** 2 / E)\n"
    "    O[m,f] = sum[n](A * V) + sum[n](sigmoid(S) * V)",
    "compared": "    S[m,n] = Q * K\n    top[m] = max[n](S)\n    O[m,f] = sum[n](V where S == top)",
}


def failures(attention: Attention, rows: int, widths: tuple[int, int], dtype: torch.dtype) -> list[str]:
    cascade = attention.program().stated
    usual = {"b": 2, "h": 2, "g": 1, "m": rows, "n": 208, "e": widths[0], "f": widths[1]}
    used = {index for item in cascade.inputs for index in item.indices}
    inputs = draw(cascade, {index: extent for index, extent in usual.items() if index in used}, {}, dtype, rows)
    outputs = outputs_on(attention, inputs, "cpu")
    judged = references(cascade, inputs, {name: value.dtype for name, value in outputs.items()})
    verdicts = [judge(name, value, judged[name]) for name, value in outputs.items()]
    return [f"{v.output}: {v.error:.3g} > {v.allowed:.3g}" for v in verdicts if not v.passed]


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("spec", thinned(EXAMPLES, 2), ids=lambda path: path.stem)
def test_examples(spec: Path, rows: int, widths: tuple[int, int]) -> None:
    assert failures(attnc.load(spec), rows, widths, torch.float32) == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("rows", [1, 5, 9])
def test_other_types(rows: int, dtype: torch.dtype) -> None:
    for widths in WIDTHS:
        assert failures(attnc.load(EXAMPLES[0]), rows, widths, dtype) == []


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_on_the_way(name: str) -> None:
    attention = attnc.compile(f"attention p(Q[m,e], K[n,e], V[n,f]) -> O:\n{MADE[name]}")
    for rows, widths in ((1, WIDTHS[0]), (2, WIDTHS[1]), (7, WIDTHS[0])):
        assert failures(attention, rows, widths, torch.float32) == []
    shape = {"m": 3, "n": 70, "e": 20, "f": 16}
    assert run_gradients(attention, shape, 3, torch.float64).failures == ()


def test_keys_that_lie_across() -> None:
    attention = attnc.load(EXAMPLES[0])
    q, k, v = (torch.randn(1, 2, 40, length).mT for length in (2, 150, 150))
    torch.testing.assert_close(attention(q, k, v).double(), attention.reference(q, k, v), atol=1e-5, rtol=1e-5)

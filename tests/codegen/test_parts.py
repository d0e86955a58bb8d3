"""Head dims in parts that are powers of two: which, that nothing is lost between them, and that no names meet."""

import re
from pathlib import Path

import pytest
import torch

import attnc
from attnc.codegen.triton_parts import widths
from attnc.contract import judge, references
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from tests.gradients.run import run_gradients
from tests.programs.run import outputs_on

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("[01]*.attn"))[:11]
WIDTHS = {80: (64, 16), 96: (64, 32), 192: (128, 64), 576: (512, 64), 65: (64, 16), 129: (128, 16), 72: (64, 16)}
WHOLE = (1, 7, 16, 40, 64, 100, 127, 128, 256, 512)
INNER = {
    "sums": "Q[m,e], K[n,e], V[n,f]) -> O:\n    S[m,n] = Q * K\n    P[m,f] = softmax[n](S) * V\n"
    "    O[m,f] = P / sqrt(sum[f](P * P) + 1)",
    "extrema": "Q[m,e], K[n,e]) -> O:\n    top[n] = max[e](K)\n    least[n] = min[e](K)\n"
    "    S[m,n] = sum[e](Q * K) - top + least\n    O[m] = sum[n](sigmoid(S) * top)",
    "softmax": "Q[m,e], K[n,e], V[n,f]) -> O:\n    X[m,e] = softmax[e](Q)\n    Y[n,e] = softmax[e](K)\n"
    "    O[m,f] = sum[n](sum[e](X * Y) * V)",
    "norms": "Q[m,e], K[n,e], V[n,f]) -> O:\n    S[m,n] = sum[e](abs(Q - K)) / E\n    O[m,f] = softmax[n](-S) * V",
    "positions": "Q[m,e], K[n,e], V[n,f]) -> O:\n    S[m,n] = sum[e](Q * K * (e + 1) / E / 8 where e != 64)\n"
    "    P[m,f] = softmax[n](S) * V\n    O[m,f] = P + f",
    "names": "K_0[m,e], K_1[n,e], K__0[n,e_0]) -> K:\n    K[m,e_0] = softmax[n](sum[e](K_0 * K_1)) * K__0",
}


def test_parts_save_lanes_or_are_not_made() -> None:
    assert {extent: widths(extent) for extent in WIDTHS} == WIDTHS
    assert {extent: widths(extent) for extent in WHOLE} == {extent: (extent,) for extent in WHOLE}
    for extent in range(1, 700):
        found, padded = widths(extent), 1 << (extent - 1).bit_length()
        assert len(found) == 1 or extent <= sum(found) <= 0.75 * padded
        assert all(part & (part - 1) == 0 for part in found if len(found) > 1)


def shape(attention: Attention, e: int, f: int) -> dict[str, int]:
    usual = {"b": 1, "h": 2, "g": 1, "m": 5, "n": 32, "e": e, "f": f, "d": e, "e_0": f}
    used = {index for item in attention.program().stated.inputs for index in item.indices}
    return {index: extent for index, extent in usual.items() if index in used}


def kept(attention: Attention, e: int, f: int) -> None:
    inputs = draw(attention.program().stated, shape(attention, e, f), {}, torch.float32, e)
    outputs = outputs_on(attention, inputs, "sm_90")
    judged = references(attention.program().stated, inputs, {name: value.dtype for name, value in outputs.items()})
    for name, value in outputs.items():
        verdict = judge(name, value, judged[name])
        assert verdict.passed, f"{name}: {verdict.error} of {verdict.allowed}"


@pytest.mark.parametrize("name", INNER)
def test_what_is_done_along_an_axis_in_parts(name: str) -> None:
    attention = attnc.compile(f"attention p({INNER[name]}")
    assert attention.program().streams
    kept(attention, 80, 72)
    for target in ("cpu", "sm_90"):
        assert run_gradients(attention, shape(attention, 72, 80), 3, target=target).failures == ()


@pytest.mark.parametrize("spec", EXAMPLES, ids=lambda path: path.stem)
def test_examples(spec: Path) -> None:
    kept(attnc.load(spec), 96, 80)


def test_no_lane_is_idle() -> None:
    source = attnc.load(EXAMPLES[0]).kernels("sm_90", "bf16", {"e": 80, "f": 96})["forward"].source
    lanes = [int(width) for width in re.findall(r"o_[ef]\w* = .*tl\.arange\(0, (\d+)\)", source)]
    assert lanes == [64, 16, 64, 32]
    assert not re.search(r"o_[ef]\w* < ", source)

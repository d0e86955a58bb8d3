"""Parts of tiles that no row of a vector sees: leaving them out changes no bit."""

import pytest
import torch

import attnc
from attnc.codegen.cpp import render
from attnc.ir.target import find_target
from attnc.passes.lower import visits
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from tests.passes.lowered import kernel_for, only_stream, sizes_of
from tests.programs.run import outputs_on

HEAD = "Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]"
LAST = "    index N - M <= m < N\n    S[b,h,m,n] = Q * K / sqrt(E)\n"
SOFTMAX = "    O[b,h,m,f] = softmax[n](S where {seen}) * V\n"
SPECS = {
    "causal": f"attention NAME({HEAD}) -> O:\n{LAST}" + SOFTMAX.format(seen="n <= m"),
    "window": f"attention NAME({HEAD}) -> O:\n{LAST}" + SOFTMAX.format(seen="0 <= m - n < 37"),
    "narrow window": f"attention NAME({HEAD}) -> O:\n{LAST}" + SOFTMAX.format(seen="-2 <= m - n < 3"),
    "chunks": f"attention NAME({HEAD}) -> O:\n{LAST}" + SOFTMAX.format(seen="m // 24 == n // 24"),
    "window and first keys": f"attention NAME({HEAD}) -> O:\n{LAST}"
    + SOFTMAX.format(seen="n <= m and (m - n < 20 or n < 4)"),
    "ends of rows": f"attention NAME({HEAD}, a[m]: int, c[m]: int) -> O:\n{LAST}"
    + SOFTMAX.format(seen="a[m] <= n and n < c[m]"),
    "documents": f"attention NAME({HEAD}, x[b,m]: int, y[b,n]: int) -> O:\n{LAST}"
    + SOFTMAX.format(seen="n <= m and x == y"),
    "no softmax": f"attention NAME({HEAD}) -> O:\n{LAST}    O[b,h,m,f] = sum[n](tanh(S) * V where 0 <= m - n < 50)\n",
    "entropy": f"attention NAME({HEAD}) -> O, H1:\n{LAST}    A[b,h,m,n] = softmax[n](S where n <= m)\n"
    "    O[b,h,m,f] = A * V\n    H1[b,h,m] = -sum[n](xlogx(A))\n",
    "two maps": f"attention NAME({HEAD}, P[b,h,m,e]) -> O:\n{LAST}    T[b,h,m,n] = P * K\n"
    "    O[b,h,m,f] = (softmax[n](S where n <= m) - softmax[n](T where n <= m)) * V\n",
}
SIZES = {"b": 1, "h": 2, "m": 139, "n": 150, "e": 24, "f": 22}
SOME = ("window", "window and first keys", "ends of rows", "documents", "entropy")
QUICK = {(name, torch.float32) for name in SOME} | {("window", torch.float64)}
CASES = [(name, dtype) for name in SPECS for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16)]


def drawn(attention: Attention, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Inputs; documents in order, ends of rows that may cross."""
    inputs = draw(attention.program().stated, SIZES, {}, dtype, 0)
    dice = torch.Generator().manual_seed(0)
    for name, value in inputs.items():
        if not value.is_floating_point():
            inputs[name] = torch.randint(0, 5 if name in "xy" else 150, value.shape, generator=dice).sort(-1).values
    return inputs


@pytest.mark.parametrize(
    ("name", "dtype"),
    [pytest.param(*case, marks=() if case in QUICK else pytest.mark.exhaustive) for case in CASES],
    ids=str,
)
def test_what_is_left_out_changes_no_bit(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    attention = attnc.compile(SPECS[name].replace("NAME", "part"), strict=True)
    inputs = drawn(attention, dtype)
    found = outputs_on(attention, inputs, "cpu")
    monkeypatch.setattr(visits, "reach", lambda *_: None)
    whole = outputs_on(attnc.compile(SPECS[name].replace("NAME", "whole"), strict=True), inputs, "cpu")
    assert all(torch.equal(found[item], whole[item]) for item in found)


def test_unseen_values_do_not_reach_a_row() -> None:
    """A window's NaN and infinity are seen by its own rows alone, as far as whole vectors of rows go."""
    attention = attnc.compile(SPECS["window"].replace("NAME", "spoiled"), strict=True)
    inputs = drawn(attention, torch.float32)
    clean = outputs_on(attention, inputs, "cpu")["O"]
    inputs["V"][:, :, 0], inputs["V"][:, :, 1] = torch.nan, torch.inf
    first = 64 - (SIZES["n"] - SIZES["m"])
    assert torch.equal(outputs_on(attention, inputs, "cpu")["O"][:, :, first:], clean[:, :, first:])


@pytest.mark.parametrize("far", [3, (1 << 31) - 2])
def test_widths_as_large_as_32_bits_allow(far: int) -> None:
    text = SPECS["causal"].replace("NAME", "far").replace("n <= m", f"n - m <= {far}")
    attention = attnc.compile(text, strict=True)
    inputs = drawn(attention, torch.float32)
    rows, keys = torch.arange(SIZES["n"] - SIZES["m"], SIZES["n"])[:, None], torch.arange(SIZES["n"])
    scores = (inputs["Q"] @ inputs["K"].mT / SIZES["e"] ** 0.5).masked_fill(keys - rows > far, -torch.inf)
    assert torch.allclose(attention(**inputs), torch.softmax(scores, -1) @ inputs["V"], atol=1e-5)


@pytest.mark.parametrize("name", ["causal", "window", "documents", "entropy"])
def test_tiles_that_are_cut_leave_something_out(name: str) -> None:
    stream, cascade = only_stream(SPECS[name].replace("NAME", "a"))
    source = render(kernel_for(stream, cascade, find_target("cpu"), sizes_of(139, 150, 24, 22), "float32"))
    assert source.count("matmul_reached<") == source.count("matmul_over_reached<") == 1
    assert source.count("every row sees all of this tile") == (name in ("window", "documents"))  # else in other loops

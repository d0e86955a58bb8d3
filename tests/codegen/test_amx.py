"""Products of bfloat16 on tile registers: emulated as the manual describes them, and compiled for the real ones."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import attnc
from attnc.codegen.cpp_build import ISAS, compile_source
from attnc.contract import judge, references
from attnc.ir.kernel import DType
from attnc.ir.target import find_target, with_tiles
from attnc.passes.tiles import choose_tiles
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from attnc.runtime.machine import AMX, NEEDED, check_instructions, features
from tests.codegen.test_few_rows import MADE
from tests.codegen.test_widths import SOME, SPEC
from tests.gradients.run import run_gradients
from tests.programs.run import outputs_on

EMULATED = "amx-emulated"
PROBE = Path(__file__).parent / "products.cpp"
EXAMPLE = Path(__file__).parents[2] / "examples" / "01_causal_softmax.attn"
SHAPE = {"b": 1, "h": 2, "m": 150, "n": 150, "e": 40, "f": 40}
emulated = pytest.mark.skipif(not NEEDED[EMULATED] <= features(), reason="needs avx512_bf16")
Probe = ctypes.CDLL


@pytest.fixture(autouse=True)
def _isa(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNC_CPU_ISA", EMULATED)


@pytest.fixture(
    params=[EMULATED, pytest.param("amx", marks=pytest.mark.skipif(not features() >= AMX, reason="no AMX"))]
)
def registers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulated, and the processor's own where it has them."""
    monkeypatch.setenv("ATTNC_CPU_ISA", request.param)


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTNC_CPU_ISA", EMULATED)
        file = tmp_path_factory.mktemp("amx") / "products.so"
        file.write_bytes(compile_source(PROBE.read_text()))
    return ctypes.CDLL(str(file))


def address(tensor: torch.Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


# ---- one instruction ---------------------------------------------------------------------------


def flushed(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 2.0**-126, np.copysign(0.0, x), x).astype(np.float32)


def manual(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """TDPBF16PS as the manual has it; sums of a product and a float are exact in float64 as long as both are near."""
    even, odd = np.zeros((16, 16), np.float32), np.zeros((16, 16), np.float32)
    for k in range(16):
        for place, total in ((0, even), (1, odd)):
            left, right = flushed(a[:, 2 * k + place]), flushed(b[k, place::2])
            exact = left[:, None].astype(np.float64) * right[None, :] + total
            total[:] = flushed(exact.astype(np.float32))
    return flushed(flushed(c) + flushed(even + odd))


def bits(x: np.ndarray) -> np.ndarray:
    return (np.ascontiguousarray(x).view(np.uint32) >> 16).astype(np.uint16)


@emulated
@pytest.mark.parametrize(
    "scale", [1.0, 2.0**-62, 2.0**-66, 2.0**-127], ids=["usual", "some low", "most low", "all low"]
)
def test_the_instruction_is_what_the_manual_says(probe: Probe, scale: float) -> None:
    random = np.random.default_rng(0)
    a, b = (
        (random.uniform(0.5, 2, (16, 32)) * random.choice((-1, 1), (16, 32)) * scale).astype(np.float32)
        for _ in range(2)
    )
    a, b = ((x.view(np.uint32) & 0xFFFF0000).view(np.float32) for x in (a, b))
    c = (random.normal(size=(16, 16)) * scale * scale).astype(np.float32)
    expected, found = manual(a, b, c), c.copy()
    left, right = bits(a), bits(b)
    pointers = [x.ctypes.data_as(ctypes.c_void_p) for x in (left, right, found)]
    probe.multiply(*pointers)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))
    assert scale < 1 or found.all()


# ---- products ----------------------------------------------------------------------------------


def laid_out(w: torch.Tensor, layout: str) -> torch.Tensor:
    """The same values among NaN: rows or columns side by side, or neither."""
    rows, depth = w.shape
    room = torch.full((2 * rows + 9, 2 * depth + 9), torch.nan, dtype=w.dtype)
    match layout:
        case "rows":
            return room[:rows, :depth].copy_(w)
        case "columns":
            return room.T.contiguous()[:depth, :rows].T.copy_(w)
        case _:
            return room[: 2 * rows : 2, : 2 * depth : 2].copy_(w)


@emulated
@pytest.mark.parametrize("layout", ["rows", "columns", "neither"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("columns", [16, 48, 64])
def test_products(probe: Probe, columns: int, dtype: torch.dtype, layout: str) -> None:
    torch.manual_seed(0)
    for rows, depth in ((1, 1), (5, 3), (16, 32), (17, 33), (32, 64), (40, 31), (64, 320), (80, 257), (7, 0)):
        w = laid_out(torch.randn(rows, depth).to(dtype), layout)
        x = torch.full((depth + 3, columns), torch.nan)
        x[:depth] = torch.randn(depth, columns)
        stride = columns + 16 if dtype == torch.float32 else columns
        for keep in (None, torch.ones(columns), torch.rand(columns)):
            room = torch.full((rows + 2, stride), 7.0)
            start = torch.randn(rows, columns)
            room[1 : rows + 1, :columns] = start
            numbers = (ctypes.c_int64 * 5)(rows, depth, *w.stride(), stride)
            call = getattr(probe, f"{'narrow' if dtype == torch.bfloat16 else 'whole'}_{columns}")
            call(numbers, address(room[1]), address(w), address(x), address(keep))
            factors = [item.bfloat16().double() for item in (w, x[:depth])]
            kept = start.double() * (0 if keep is None else keep.double())
            exact, sizes = factors[0] @ factors[1] + kept, factors[0].abs() @ factors[1].abs() + kept.abs()
            error = (room[1 : rows + 1, :columns].double() - exact).abs()
            assert bool((error <= 2.0**-23 * (3 + depth / 16) * sizes).all()), (rows, depth, keep)
            room[1 : rows + 1, :columns] = 7.0
            assert bool((room == 7.0).all()), "nothing else is written"


# ---- attentions --------------------------------------------------------------------------------


def failures(
    attention: Attention, shape: dict[str, int], factor: float = 1.0, queries: torch.dtype = torch.bfloat16
) -> list[str]:
    cascade = attention.program().stated
    inputs = draw(cascade, shape, {}, torch.bfloat16, seed=shape["e"])
    inputs["Q"] = inputs["Q"].to(queries) * factor
    outputs = outputs_on(attention, inputs, "cpu")
    judged = references(cascade, inputs, {name: value.dtype for name, value in outputs.items()})
    verdicts = [judge(name, value, judged[name]) for name, value in outputs.items()]
    return [f"{v.output}: {v.error:.3g} > {v.allowed:.3g}" for v in verdicts if not v.passed]


@emulated
@pytest.mark.exhaustive
@pytest.mark.parametrize("widths", SOME, ids=str)
def test_widths_and_large_scores(widths: tuple[int, int]) -> None:
    attention = attnc.compile(SPEC, strict=True)
    for rows, factor in ((1, 1.0), (19, 8.0), (37, 1.0)):
        shape = {"b": 1, "h": 4, "g": 2, "m": rows, "n": 37, "e": widths[0], "f": widths[1]}
        assert failures(attention, shape, factor) == []


@emulated
@pytest.mark.exhaustive
@pytest.mark.parametrize("widths", [(40, 24), (256, 256)], ids=str)
def test_gradients(widths: tuple[int, int]) -> None:
    shape = SHAPE | {"e": widths[0], "f": widths[1]}
    assert run_gradients(attnc.load(EXAMPLE), shape, 3, torch.bfloat16).failures == ()


@emulated
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", MADE)
def test_what_is_made_on_the_way(name: str) -> None:
    attention = attnc.compile(f"attention p(Q[m,e], K[n,e], V[n,f]) -> O:\n{MADE[name]}")
    shape = {"m": 50, "n": 70, "e": 20, "f": 16}
    assert failures(attention, shape) == []
    assert run_gradients(attention, shape, 3, torch.bfloat16).failures == ()


NORMALISED = """attention p(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], bias[h,m,n]) -> O:
    R[b,h,m,n] = sum[e](Q * K) / sqrt(E) + bias
    A[b,h,m,n] = abs(R * (m % 2 == n % 2) + 0.25 where n <= m)
    O[b,h,m,f] = sum[n](A * V) / (sum[n](A) + 1e-3)
"""


@emulated
@pytest.mark.parametrize("seed", range(4))
def test_gradients_that_cancel_are_not_rounded_before(seed: int) -> None:
    """A row that sees one key: of its gradient through the normaliser little is left."""
    shape = {"b": 2, "h": 2, "m": 1, "n": 33, "e": 4, "f": 20}
    assert run_gradients(attnc.compile(NORMALISED), shape, seed, torch.bfloat16).failures == ()


def result() -> torch.Tensor:
    torch.manual_seed(0)
    attention, shape = attnc.load(EXAMPLE), tuple(SHAPE[index] for index in "bhne")
    found = attention(*(torch.randn(shape).bfloat16() for _ in range(3)))
    assert isinstance(found, torch.Tensor)
    return found


@emulated
@pytest.mark.usefixtures("registers")
def test_scores() -> None:
    attention = attnc.load(EXAMPLE)
    assert failures(attention, SHAPE) == failures(attention, SHAPE, 8.0) == []


LAYOUTS = {"rows": (0, 1, 2, 3), "heads inside": (0, 2, 1, 3), "positions last": (0, 1, 3, 2)}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread does all jobs, each after the one before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@emulated
@pytest.mark.usefixtures("registers", "one_thread")
@pytest.mark.parametrize("values", LAYOUTS)
@pytest.mark.parametrize("keys", LAYOUTS)
def test_tiles_that_are_kept_turned(keys: str, values: str) -> None:
    """Several tiles of rows and heads for each thread, cut ones at the end, factors that lie either way round."""
    torch.manual_seed(0)
    spec = """attention p(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:
    S[b,h,m,n] = Q * K / sqrt(E)
    O[b,h,m,f] = softmax[n](S where m - n <= 70 and n - m <= 20) * V
"""
    q, k, v = (torch.randn(2, 3, 150, 72).bfloat16() for _ in range(3))
    k, v = (
        x.permute(LAYOUTS[name]).contiguous().permute(tuple(map(LAYOUTS[name].index, range(4))))
        for x, name in ((k, keys), (v, values))
    )
    found = attnc.compile(spec)(q, k, v)
    assert isinstance(found, torch.Tensor)
    places = torch.arange(150)
    apart = places[:, None] - places
    scores = (q.double() @ k.double().mT / 72**0.5).masked_fill((apart > 70) | (apart < -20), -torch.inf)
    exact = scores.softmax(-1) @ v.double()
    assert (found.double() - exact).abs().max() < 2.0**-8 * exact.abs().max()
    assert torch.equal(found, attnc.compile(spec)(q, k.contiguous(), v.contiguous()))


@emulated
def test_nothing_is_rounded_beside_longer_inputs() -> None:
    assert failures(attnc.load(EXAMPLE), SHAPE, 1 / 3, torch.float32) == []


@emulated
@pytest.mark.exhaustive
def test_nothing_is_rounded_for_what_is_stored_in_32_bits() -> None:
    shape = {"b": 2, "h": 3, "m": 19, "n": 37, "e": 8, "f": 12, "j": 20}
    assert failures(attnc.load("std:attention_output_sae_dfa"), shape) == []


def test_powers_are_rough_only_where_all_that_is_stored_of_them_is() -> None:
    widths = {"e": 8, "f": 8}
    alone = attnc.load(EXAMPLE).kernels("cpu", "bf16", widths)["forward"].source
    beside = attnc.load("std:average_map").kernels("cpu", "bf16", widths)["forward"].source
    assert "narrow_exp2_(" in alone
    assert "narrow_exp2_(" not in beside  # whose sums of powers are stored in 32 bits


@emulated
def test_the_registers_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    found = result()
    monkeypatch.setenv("ATTNC_CPU_ISA", "avx512")
    assert not torch.equal(found, result()), "weights are rounded on the one way and not on the other"


# ---- the real instructions ---------------------------------------------------------------------


@pytest.mark.skipif("amx" not in ISAS or shutil.which("objdump") is None, reason="needs objdump")
def test_kernels_for_the_registers_have_their_instructions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATTNC_CPU_ISA", "amx")
    attention, shape = attnc.load(EXAMPLE), {"e": 40, "f": 40}
    for dtype, used in (("bf16", True), ("fp32", False)):
        file = tmp_path / f"{dtype}.so"
        file.write_bytes(compile_source(attention.kernels(target="cpu", dtype=dtype, shape=shape)["forward"].source))
        text = subprocess.run(["objdump", "-d", file], capture_output=True, text=True, check=True).stdout
        for name in ("ldtilecfg", "tileloadd", "tdpbf16ps", "tilestored", "tilerelease"):
            assert (name in text) == used, (dtype, name)


@pytest.mark.skipif(features() >= AMX, reason="they are not refused here")
@emulated
def test_kernels_for_the_registers_do_without_them_where_they_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnc.runtime.build.check_instructions", lambda: None)
    monkeypatch.setenv("ATTNC_CPU_ISA", "amx")
    assert failures(attnc.load(EXAMPLE), SHAPE) == []


def test_processors_without_the_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNC_CPU_ISA", "amx")
    monkeypatch.setattr("attnc.runtime.machine.features", lambda: AMX - {"amx_bf16"})
    with pytest.raises(attnc.AttnError, match="A511"):
        check_instructions()
    monkeypatch.setattr("attnc.runtime.machine.features", lambda: AMX)
    check_instructions()


def test_tiles_of_bfloat16_fit_the_nearest_cache_or_are_long() -> None:
    attention = attnc.load(EXAMPLE)
    program = attention.program()
    (stage,) = program.streams
    place = with_tiles(find_target("cpu"))
    expected: dict[tuple[DType, int], tuple[int, int]] = {("bfloat16", 64): (32, 64), ("bfloat16", 128): (64, 128)}
    for (dtype, width), sides in (expected | {("float16", 128): (64, 64), ("float32", 128): (64, 64)}).items():
        types = dict.fromkeys(("Q", "K", "V", "O"), dtype)
        tiles = choose_tiles(stage, program.explicit, place, types, {"e": width, "f": width})
        assert (tiles.parallel, tiles.stream) == sides

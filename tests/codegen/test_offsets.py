"""Offsets along tiles: 32 bits where that is proven at the launch, 64 otherwise, with the same values."""

from pathlib import Path

import pytest
import torch

import attnc
from attnc.contract import judge, references
from attnc.runtime import gpu
from attnc.runtime.draw import draw
from tests.programs.run import outputs_on

SPEC = Path(__file__).parents[2] / "examples" / "02_alibi.attn"
SHAPE = {"b": 2, "h": 2, "m": 20, "n": 40, "e": 16, "f": 16}


def views(strides: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Tensors of no memory; K lies as the strides say."""
    sizes = {"Q": (2, 2, 20, 16), "K": (2, 2, 40, 16), "V": (2, 2, 40, 16), "slope": (2,), "O": (2, 2, 20, 16)}
    found = {name: torch.empty(shape, device="meta") for name, shape in sizes.items()}
    return found | {"K": torch.empty_strided(sizes["K"], strides, device="meta")}


@pytest.mark.parametrize(
    ("strides", "bits"),
    [
        ((1280, 640, 16, 1), 32),
        ((0, 0, 0, 1), 32),
        ((1280, 640, (1 << 31) // 40 - 1, 1), 32),
        ((1280, 640, (1 << 31) // 40 + 1, 1), 64),
        ((1 << 40, 1 << 36, 16, 1), 32),
        ((1 << 40, 1 << 36, 1 << 31, 1), 64),
    ],
)
def test_the_launcher_proves_that_offsets_are_narrow(strides: tuple[int, ...], bits: int) -> None:
    kernel = attnc.load(SPEC).kernels(target="sm_90", dtype="bf16", shape={"e": 16, "f": 16})["forward"]
    places = gpu.offset_places(kernel.source)
    assert places == tuple((name, axis) for name in "KOQV" for axis in (2, 3))
    assert gpu.offset_type(places, views(strides)).primitive_bitwidth == bits


def test_wide_offsets_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import triton.language as tl

    attention = attnc.load(SPEC)
    cascade = attention.program().stated
    inputs = draw(cascade, SHAPE, {}, torch.float32, 3)
    narrow = outputs_on(attention, inputs, "sm_90")["O"]
    monkeypatch.setattr(gpu, "offset_type", lambda *_: tl.int64)
    wide = outputs_on(attention, inputs, "sm_90")["O"]
    assert torch.equal(narrow, wide)
    judged = references(cascade, inputs, {"O": wide.dtype})
    assert judge("O", wide, judged["O"]).passed

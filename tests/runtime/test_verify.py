"""Verification piece by piece says what verification as a whole says."""

from pathlib import Path

import pytest
import torch

import attnc
from attnc.runtime import pieces
from attnc.runtime.draw import draw
from attnc.runtime.verify import verify

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZES = {"b": 2, "h": 4, "g": 2, "m": 9, "n": 16, "e": 4, "f": 3}
INDEPENDENT = {
    "02_alibi": ("b", "h", "f"),
    "04_gqa_sink_window": ("b",),  # heads share keys
    "05_sigmoid": ("b", "h", "m", "f"),
    "06_documents": ("b", "h", "f"),
    "08_grouped_softmax": ("b", "h", "m", "f"),
    "10_entropy": ("b", "h"),
}
SPECS = {
    "attention x(X[b,i,d]) -> H:\n    H[b,0,d] = X[b,0,d]\n    H[b,i+1,d] = 0.5 * H[b,i,d] + X\n": ("b", "d"),
    "attention x(X[b,d]) -> O:\n    O[b,d] = X[b,d] - b\n": ("d",),
    "attention x(X[b,d]) -> O:\n    O[b,d] = X[B - 1 - b,d]\n": ("d",),
    "attention x(X[b,d], at[b]: int) -> O:\n    O[b,d] = X[b,at]\n": ("b",),
    "attention x(X[b,d]) -> O:\n    O[b,d] = X / D\n": ("b",),
    "attention x(X[b,d]) -> O, T:\n    O[b,d] = X\n    T[d] = sum[b](X)\n": ("d",),
    "attention x(X[b,d]) -> O:\n    index j <= B\n    O[b,d] = X\n    O[B,d] = 0\n": ("d",),
}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_what_is_independent_is_found(name: str) -> None:
    stated = attnc.load(EXAMPLES / f"{name}.attn").program().stated
    assert pieces.independent(stated) == INDEPENDENT[name]


@pytest.mark.parametrize("text", SPECS)
def test_what_is_shared_is_left_whole(text: str) -> None:
    assert pieces.independent(attnc.compile(text).program().stated) == SPECS[text]


@pytest.mark.parametrize("name", INDEPENDENT)
def test_pieces_give_the_verdict_of_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attention = attnc.load(EXAMPLES / f"{name}.attn")
    program = attention.program()
    sizes = {index: SIZES[index] for item in program.stated.inputs for index in item.indices}
    inputs = draw(program.stated, sizes, {}, torch.bfloat16, seed=5)
    results = attention(**inputs)
    names = program.stated.outputs
    outputs = dict(zip(names, results if len(names) > 1 else [results], strict=True))
    whole = verify(program, inputs, outputs)
    monkeypatch.setattr(pieces, "LARGE", 0)
    assert len(list(pieces.pieces(program.stated, sizes))) > 1
    in_pieces = verify(program, inputs, outputs)
    for one, other in zip(whole, in_pieces, strict=True):
        assert one.passed
        assert other.passed
        assert one.error == pytest.approx(other.error)
        assert one.allowed == pytest.approx(other.allowed, rel=1e-6)


def test_a_mistake_in_one_piece_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LARGE", 0)
    attention = attnc.std.causal_softmax
    x = torch.randn(2, 3, 5, 4)
    out = attention(x, x, x)
    out[1, 2, 3, 1] += 0.01
    (verdict,) = verify(attention.program(), {"Q": x, "K": x, "V": x}, {"O": out})
    assert not verdict.passed

"""Gradients of the examples, on both backends, by the contract."""

from pathlib import Path

import pytest
import torch

import attnc
from tests.gradients.run import backward_of, run_gradients
from tests.thinned import thinned

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[01]*.attn"))
EXAMPLES = [file for file in EXAMPLES if "wrong" not in file.stem]
SIZES = {"b": 2, "h": 4, "g": 2, "m": 37, "n": 48, "e": 16, "f": 24}
SMALL = SIZES | {"m": 18, "n": 16, "f": 8}
NARROW = {"01_causal_softmax", "04_gqa_sink_window", "07_differential", "10_entropy"}  # in bf16 in every run
TYPED = [(file, dtype) for file in EXAMPLES for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64)]


def quick(file: Path, dtype: torch.dtype) -> bool:
    return dtype is torch.float32 or (dtype is torch.bfloat16 and file.stem in NARROW)


EMPTY = SIZES | {"m": 0}


@pytest.mark.parametrize(
    ("file", "dtype"),
    [pytest.param(*case, marks=() if quick(*case) else pytest.mark.exhaustive) for case in TYPED],
    ids=lambda item: item.stem if isinstance(item, Path) else str(item),
)
def test_examples_in_cpp(file: Path, dtype: torch.dtype) -> None:
    assert run_gradients(attnc.load(file), SIZES, 3, dtype).failures == ()


@pytest.mark.parametrize("shape", [SMALL, EMPTY], ids=["small", "empty"])
@pytest.mark.parametrize("file", thinned(EXAMPLES, 2), ids=lambda file: file.stem)
def test_examples_on_other_shapes(file: Path, shape: dict[str, int]) -> None:
    assert run_gradients(attnc.load(file), shape, 5).failures == ()


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_examples_in_triton(file: Path) -> None:
    assert run_gradients(attnc.load(file), SMALL, 4, target="sm_90").failures == ()


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
def test_keys_beyond_the_first_tile_have_gradients(target: str) -> None:
    shape = {"b": 1, "h": 2, "g": 2, "m": 40, "n": 150, "e": 16, "f": 16}
    assert run_gradients(attnc.load(EXAMPLES[3]), shape, 4, target=target).failures == ()


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_heavy_stage_of_an_example_is_streamed(file: Path) -> None:
    programs = [program for _, program in backward_of(attnc.load(file)).steps]
    assert all(program is not None and not program.heavy for program in programs)


def test_groups_of_two_keys_have_gradients() -> None:
    text = EXAMPLES[7].read_text().replace("G: int = 16", "G: int = 2")
    shape = {"b": 1, "h": 2, "m": 3, "n": 4, "e": 2, "f": 2}
    assert run_gradients(attnc.compile(text, name="grouped"), shape, 2).failures == ()


BIASED = "sum[e](Q[b,h,m,e] * K[b,h,j*G + u,e]) / sqrt(E) + B[h,m,j*G + u]"
PLACED = "sum[e](Q[b,h,m,e] * K[b,h,j*G + u,e]) * A[h,m] + 0.3*(m - (j*G + u))"


@pytest.mark.parametrize("score", [BIASED, PLACED], ids=["biased", "placed"])
def test_the_best_key_of_a_group_is_found_again(score: str) -> None:
    text = EXAMPLES[7].read_text().partition("    check")[0]
    text = text.replace("Q[b,h,m,e] * K[b,h,j*G + u,e] / sqrt(E)", score)
    text = text.replace("V[b,h,n,f];", "V[b,h,n,f], B[h,m,n], A[h,m];")
    assert run_gradients(attnc.compile(text, name="grouped"), SIZES | {"e": 24}, 3).failures == ()

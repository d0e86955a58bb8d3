"""Triton kernels in the interpreter, and compiled for targets that are not here."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import attnc
from attnc.contract import judge, references
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from tests.codegen.offline import apart
from tests.programs.run import outputs_on

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[01]*.attn"))[:11]
SHAPES = (
    {"b": 1, "h": 2, "g": 2, "m": 40, "n": 64, "e": 40, "f": 24},
    {"b": 1, "h": 2, "g": 1, "m": 1, "n": 32, "e": 8, "f": 17},
    {"b": 1, "h": 2, "g": 2, "m": 50, "n": 16, "e": 16, "f": 16},
)


def failures(attention: Attention, shape: dict[str, int], dtype: torch.dtype, seed: int) -> list[str]:
    cascade = attention.program().stated
    sizes = {index: shape[index] for item in cascade.inputs for index in item.indices}
    inputs = draw(cascade, sizes, {}, dtype, seed)
    outputs = outputs_on(attention, inputs, "sm_90")
    judged = references(cascade, inputs, {name: value.dtype for name, value in outputs.items()})
    verdicts = [judge(name, value, judged[name]) for name, value in outputs.items()]
    return [f"{v.output}: {v.error} > {v.allowed}" for v in verdicts if not v.passed]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("spec", EXAMPLES, ids=lambda path: path.stem)
def test_examples_keep_the_contract(spec: Path, shape: dict[str, int]) -> None:
    assert failures(attnc.load(spec, strict=True), shape, torch.float32, seed=5) == []


def test_generated_python_parses_and_says_where_it_comes_from() -> None:
    kernel = attnc.load(EXAMPLES[1]).kernels(target="sm_90", dtype="bf16", shape={"e": 64, "f": 64})["forward"]
    ast.parse(kernel.source)
    assert "# line 8: O[b,h,m,f] = A * V" in kernel.source


@pytest.mark.parametrize("target", ["sm_90", "gfx942"])
def test_kernels_compile_for_targets_that_are_not_here(target: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "attnc", "compile", str(EXAMPLES[1]), "--target", target, "--dtype", "bf16"]
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [*command, "--shape", "e=64,f=64", "--json", "-o", str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"registers":' in done.stdout
    assert (tmp_path / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("01_causal_softmax", "b_seen = b_lane[None, :] <= b_limit[:, None]"),  # n <= m < N: the end needs no test
        ("03_softcap_window", "b_seen = (b_lane[None, :] <= b_limit[:, None]) & (b_limit2[:, None] < b_lane[None, :])"),
    ],
)
def test_a_pair_is_tested_by_lanes_of_its_tile(name: str, line: str) -> None:
    spec = next(path for path in EXAMPLES if path.stem == name)
    kernel = attnc.load(spec).kernels(target="sm_90", dtype="bf16", shape={"e": 64, "f": 64})["forward"]
    assert line in kernel.source


LAST_FIRST = {
    ("01_causal_softmax", "forward"): True,
    ("01_causal_softmax", "backward_Q"): True,
    ("01_causal_softmax", "backward_K"): False,  # its first tiles have the longest loops
    ("03_softcap_window", "forward"): False,  # its loops are all as long
    ("05_sigmoid", "forward"): False,
}


@pytest.mark.parametrize(("name", "role"), LAST_FIRST, ids=str)
def test_the_longest_programs_begin_first(name: str, role: str) -> None:
    (spec,) = (path for path in EXAMPLES if path.stem == name)
    source = attnc.load(spec).kernels("sm_90", "bf16", {"e": 64, "f": 64})[role].source
    assert ("_tiles - 1 - left %" in source) == LAST_FIRST[name, role]


def test_the_turns_of_an_inner_loop_with_products_are_not_known_to_the_compiler() -> None:
    """It would keep the operands of all turns in registers: 255 and some spilled, in place of 128."""
    (spec,) = (path for path in EXAMPLES if path.stem == "08_grouped_softmax")
    source = attnc.load(spec).kernels("sm_80", "bf16", {"e": 128, "f": 128})["forward"].source
    assert source.count("for i_u in range(0, 16 * tl.num_programs(1)):") == 6


def test_the_chunks_of_a_long_inner_axis_have_names_of_their_own() -> None:
    """A loop must not give a name lanes of another number: Triton refuses that, the interpreter does not."""
    text = "attention wide(X[n,c], M[n]) -> Y:\n    Y[n] = sum[c]((X - M) * (X - M))\n"
    wide = attnc.compile(text)
    source = wide.kernels("sm_90", "bf16", {"c": 260})["forward"].source
    assert "o_c = tl.arange(0, 512)" in source
    assert "c_lanes = c_first + tl.arange(0, 64)" in source
    assert source.count("o_c") == 1
    assert failures(wide, {"n": 20, "c": 260}, torch.float32, seed=1) == []


def test_no_tile_has_three_axes() -> None:
    """A maximum of values over the keys that a row sees: each key would bring a value for its row and its column."""
    text = (
        "attention top(Q[m,e], K[n,e], V[n,f]) -> O:\n"
        "    S[m,n] = Q * K\n"
        "    O[m,f] = max[n](V[n,f] where S[m,n] > 0)\n"
    )
    top = attnc.compile(text)
    source = top.kernels("sm_90", "bf16", {"e": 16, "f": 16})["forward"].source
    assert "for i_n in range(" in source
    assert "[:, :, None]" not in source
    assert failures(top, {"m": 20, "n": 17, "e": 8, "f": 4}, torch.float32, seed=2) == []


def test_rows_of_tables_that_a_pair_reads_are_added_side_by_side() -> None:
    """A loop over e would find the places anew each turn; and all kernels add the terms of a score in one order."""
    text = (
        "attention placed(Q[n,e], K[n,e], V[n,f], at[n,x]: int, T[x,l,e]) -> O:\n"
        "    index m < N, x < 2\n"
        "    at_pair[x,m,n] = clamp(at[m,x] - at[n,x] + L // 2, 0, L - 1)\n"
        "    S[m,n] = sum[e](Q[m,e] * (K[n,e] + sum[x](T[x,at_pair[x,m,n],e])))\n"
        "    O[m,f] = softmax[n](S) * V\n"
    )
    placed = attnc.compile(text)
    for role, kernel in placed.kernels("sm_90", "fp32", {"e": 16, "f": 16}).items():
        assert "for i_x in range(" not in kernel.source or "for i_e in range(" not in kernel.source, role
    inputs = {"n": 20, "x": 2, "l": 5, "e": 8, "f": 4}
    assert failures(placed, inputs, torch.float32, seed=3) == []


# The strides of what has no features, as L[b,h,m], are multiples of the length, and Triton compiles anew where one is a
# multiple of 16 or is not: three times for all lengths.
SPECIALISED = pytest.mark.xfail(strict=True, raises=AssertionError, reason="strides of L are told apart, see above")


@pytest.mark.parametrize(
    "example", ["01_causal_softmax", "02_alibi", pytest.param("04_gqa_sink_window", marks=SPECIALISED)]
)
def test_a_hundred_lengths_are_one_compilation(example: str) -> None:
    """By the key that Triton compiles a launch under, which holds what it has specialised for."""
    assert apart("-m", "tests.codegen.sweep", example).split() == ["100", "1"]

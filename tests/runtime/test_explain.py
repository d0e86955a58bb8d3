"""What `explain` says is counted, not guessed: against brute force, and the form of its record."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

import attnc
from attnc.cli import main
from tests.programs.direct import DIRECT

EXAMPLES = Path(__file__).parents[2] / "examples"
SHAPE = {"b": 2, "h": 4, "g": 2, "e": 24, "f": 40}
LENGTHS = [(64, 64), (1, 130), (70, 130), (130, 130), (5, 5), (0, 9)]

Seen = Callable[[int, int], bool]


def causal(m: int, n: int) -> bool:
    return n <= m


def everything(m: int, n: int) -> bool:
    return True


def window(m: int, n: int) -> bool:
    return 0 <= m - n < 20


def sinks(m: int, n: int) -> bool:
    return n <= m and (m - n < 20 or n < 3)


# The keys a row sees, and how many products of Q with K and of weights with V there are.
MASKS: dict[str, tuple[Seen, int, int, dict[str, Any]]] = {
    "01_causal_softmax": (causal, 1, 1, {}),
    "02_alibi": (causal, 1, 1, {}),
    "03_softcap_window": (window, 1, 1, {"W": 20}),
    "04_gqa_sink_window": (sinks, 1, 1, {"W": 20, "SINK": 3}),
    "05_sigmoid": (everything, 1, 1, {}),
    "07_differential": (causal, 2, 2, {}),
    "09_l2_normalised": (causal, 1, 1, {}),
    "10_entropy": (causal, 1, 1, {}),
    "11_score_moments": (causal, 1, 1, {}),
}


def facts(name: str, m: int, n: int, dtype: str = "fp32", **options: Any) -> dict[str, Any]:
    attention = attnc.load(EXAMPLES / f"{name}.attn")
    indices = {index for item in attention.program(options).stated.inputs for index in item.indices}
    shape = {index: extent for index, extent in {**SHAPE, "m": m, "n": n}.items() if index in indices}
    found: dict[str, Any] = attention.explain(shape=shape, dtype=dtype, **options).facts
    return found


def seen(mask: Seen, m: int, n: int) -> torch.Tensor:
    """Which keys each row sees, by asking for every pair; the queries are the last positions."""
    return torch.tensor([[mask(row, key) for key in range(n)] for row in range(n - m, n)]).reshape(m, n)


@pytest.mark.parametrize(("m", "n"), LENGTHS)
@pytest.mark.parametrize("name", MASKS)
def test_operations_are_those_of_the_points_that_are_seen(name: str, m: int, n: int) -> None:
    mask, scores, values, options = MASKS[name]
    if mask is everything:
        n = max(m, n)
    points = int(seen(mask, m, n).sum())
    per_point = 2 * scores * SHAPE["e"] + 2 * values * SHAPE["f"]
    found = facts(name, m, n, **options)
    assert found["flops"] == SHAPE["b"] * SHAPE["h"] * points * per_point
    assert all(row["points"] == points and row["exact"] for row in found["masks"])


@pytest.mark.parametrize(("m", "n"), LENGTHS)
@pytest.mark.parametrize("name", ["01_causal_softmax", "03_softcap_window", "05_sigmoid"])
def test_shares_are_those_of_the_tiles(name: str, m: int, n: int) -> None:
    mask, _, _, options = MASKS[name]
    found = facts(name, m, n, **options)
    rows, keys = (found["stages"][0]["tiles"][name] for name in ("parallel", "stream"))
    pairs = seen(mask, m, n)
    tiles = [pairs[i : i + rows, j : j + keys] for i, j in product(range(0, m, rows), range(0, n, keys))]
    kinds = {
        "empty": sum(not tile.any() for tile in tiles),
        "full": sum(bool(tile.all()) for tile in tiles),
        "partial": sum(bool(tile.any()) and not tile.all() for tile in tiles),
    }
    (row,) = found["masks"]
    assert row["tiles"] == {kind: count / max(1, len(tiles)) for kind, count in kinds.items()}


@pytest.mark.parametrize(("m", "n"), [(64, 64), (128, 192), (1, 130), (5, 5), (0, 9)])
def test_tiles_of_pairs_are_counted_as_they_are_visited(m: int, n: int) -> None:
    """The gradient of a bias, summed over the batch: every tile that is seen reads its operands in every turn."""
    shape = {"b": 2, "h": 4, "m": m, "n": n, "e": 24, "f": 40}
    found: dict[str, Any] = attnc.compile(DIRECT["bias"]).explain(shape=shape, dtype="fp32").facts
    rows, pairs = found["stages"]
    assert (rows["tiles"], pairs["stream"], pairs["columns"]) == ({"parallel": rows["tiles"]["parallel"]}, "b", "n")
    mask, height, width = seen(causal, m, n), pairs["tiles"]["parallel"], pairs["tiles"]["columns"]
    assert found["flops"] == 2 * 4 * int(mask.sum()) * 2 * (24 + 40)
    corners = product(range(0, m, height), range(0, n, width))
    tiles = [tile for i, j in corners if (tile := mask[i : i + height, j : j + width]).any()]
    along = sum((24 + 40 + 2) * tile.shape[0] + (24 + 40) * tile.shape[1] for tile in tiles)  # Q, dO, L, D; K, V
    bias = sum(tile.numel() for tile in tiles)
    delta = 2 * 4 * m * (2 * 40 + 1)
    assert found["bytes"]["moved"] == 4 * (delta + 4 * (2 * along + bias + m * n))


def test_the_plan_names_what_is_tiled() -> None:
    lines = str(attnc.compile(DIRECT["bias"]).explain()).splitlines()
    assert "  D: tiles of m" in lines
    assert "  G: stream over b, tiles of m and n" in lines
    assert "  G over n: n < m + 1" in lines


def test_points_that_data_decide_are_a_bound() -> None:
    (row,) = facts("06_documents", 32, 32)["masks"]
    assert not row["exact"]
    assert row["points"] == 32 * 33 // 2
    assert row["tested"] == ["doc_q[b,m] == doc_k[b,n]"]


# ---- bytes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "width"), [("fp32", 4), ("bf16", 2), ("fp64", 8)])
def test_bytes_are_those_of_the_type(dtype: str, width: int) -> None:
    b, h, m, n, e, f = 2, 4, 256, 512, 24, 40
    attention = attnc.std.softmax_attention
    shape = {"b": b, "h": h, "m": m, "n": n, "e": e, "f": f}
    found = attention.explain(shape=shape, dtype=dtype).facts
    rows = found["stages"][0]["tiles"]["parallel"]
    queries, keys = b * h * m * (e + f) * width, b * h * n * (e + f) * width
    assert found["bytes"]["compulsory"] == queries + keys
    assert found["bytes"]["moved"] == queries + -(-m // rows) * keys
    assert found["bytes"]["peak"] == queries + keys


def test_shared_heads_are_read_by_each_query_head() -> None:
    shape = {"b": 1, "h": 8, "g": 2, "m": 64, "n": 64, "e": 16, "f": 16}
    found = attnc.std.causal_softmax_gqa.explain(shape=shape).facts["bytes"]
    assert found["compulsory"] == 4 * 64 * 16 * (8 + 2 + 2 + 8)
    assert found["moved"] == 4 * 64 * 16 * (8 + 8 + 8 + 8)


def test_the_peak_counts_what_lies_between_stages() -> None:
    spec = "attention w(Q[m,e], K[n,e]) -> A:\n    S[m,n] = Q * K\n    A[m,n] = softmax[n](S)\n"
    shape = {"m": 100, "n": 50, "e": 8}
    found = attnc.compile(spec).explain(shape=shape).facts
    assert not any(stage["heavy"] for stage in found["stages"])
    assert found["bytes"]["peak"] == 4 * (100 * 8 + 50 * 8 + 2 * 100 + 100 * 50)


def test_without_extents_nothing_is_made_up() -> None:
    found = attnc.std.alibi.explain().facts
    assert found["flops"] is None
    assert set(found["bytes"].values()) == {None}
    assert found["stages"][0]["tiles"] is None
    assert found["masks"][0]["tiles"] is None


def test_very_long_rows_are_not_counted_one_by_one() -> None:
    shape = {"b": 1, "h": 1, "m": 10**9, "n": 10**9, "e": 64, "f": 64}
    found = attnc.std.causal_softmax.explain(shape=shape).facts
    assert found["masks"][0]["points"] is None
    assert found["bytes"]["compulsory"] == 4 * 10**9 * 64 * 4


# ---- the record ------------------------------------------------------------------------------


def test_the_state_of_a_softmax() -> None:
    (monoid,) = attnc.std.causal_softmax.explain().facts["monoids"]
    kinds = {item["name"]: (item["op"], item["axes"], item["reference"]) for item in monoid["state"]}
    assert kinds == {"A_max": ("max", ["m"], True), "A_sum": ("sum", ["m"], False), "O": ("sum", ["m", "f"], False)}
    assert monoid["init"] == {"A_max": "-inf", "A_sum": 0, "O": 0}
    assert monoid["merge"]["A_max"] == "max of both"
    assert monoid["merge"]["O"] == "sum of both sides, each corrected to exp(A_max.shift) * O"
    assert "O / A_sum" in monoid["finalise"]["O"]
    assert monoid["commutative"] is True


def test_passes_are_keyed_by_index() -> None:
    row = attnc.std.causal_softmax.explain().facts["passes"]["n"]
    assert (row["as_written"], row["derived"], row["bounds"]) == (3, 1, {"cascade": 3, "rewrite": 1, "function": 1})


def test_a_refusal_names_both_places() -> None:
    spec = Path(__file__).parents[1] / "errors" / "A310.attn"
    found = attnc.compile(spec.read_text()).explain().facts
    (row,) = [item for item in found["refusals"] if item["code"] == "STATE"]
    assert len(row["spans"]) == 2
    assert all(span["line"] for span in row["spans"])
    assert row["reason"]
    assert {stage["refusal"] for stage in found["stages"] if stage["heavy"]} == {"STATE"}


def test_what_ran_is_told_after_a_call() -> None:
    x = torch.randn(1, 2, 8, 4)
    attention = attnc.load("std:causal_softmax")
    assert attention.explain().facts["ran"] == []
    attention(x, x, x)
    (row,) = attention.explain(x, x, x).facts["ran"]
    assert (row["name"], row["plan"], row["backend"], row["refusal"]) == ("O", "stream", "cpp", None)
    assert "the last call ran" in str(attention.explain(x, x, x))


def test_tensors_give_shape_and_types() -> None:
    x = torch.randn(1, 2, 8, 4, dtype=torch.bfloat16)
    found = attnc.std.causal_softmax.explain(x, x, x).facts
    assert found["shape"] == {"b": 1, "h": 2, "m": 8, "n": 8, "e": 4, "f": 4}
    assert set(found["dtypes"].values()) == {"bfloat16"}
    assert found["bytes"]["compulsory"] == 4 * 2 * x.numel()


KEYS = ["attention", "passes", "monoids", "refusals", "stages", "masks", "backward", "bytes", "flops", "shape", "ran"]


@pytest.mark.parametrize(
    "spec", [file for file in sorted(EXAMPLES.glob("*.attn")) if "wrong" not in file.stem], ids=lambda path: path.stem
)
def test_the_command_prints_the_record(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(spec), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(KEYS) <= set(found)
    for stage in found["stages"]:
        assert {"name", "plan", "backend", "tiles", "footprint", "refusal"} <= set(stage)


@pytest.mark.parametrize("target", ["sm_90", "gfx942"])
def test_another_machine_has_other_tiles(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    shape = "b=1,h=8,m=4096,n=4096,e=64,f=64"
    assert main(["explain", "std:alibi", "--shape", shape, "--dtype", "bf16", "--target", target, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["target"] == target
    assert found["stages"][0]["backend"] == "triton"

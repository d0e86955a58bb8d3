"""What a row means is said in the language and in PyTorch's terms: both agree, and areas are as counted by hand."""

import pytest
import torch

from attnc.bench.case import Case
from attnc.bench.formula import at_rows, formula
from attnc.bench.rows import DOCUMENTS, ROWS, Row, chosen
from attnc.bench.suite import Suite

N, D = 64, 8
SQUARE = N * N
TRIANGLE = N * (N + 1) // 2
LENGTHS = [length * N // sum(DOCUMENTS) for length in DOCUMENTS]
AREAS = {
    "full": 8 * SQUARE,
    "documents": 8 * sum(length * (length + 1) // 2 for length in LENGTHS),
    "sigmoid": 8 * SQUARE,
    "relu-squared": 8 * SQUARE,
    "differential": 2 * 8 * TRIANGLE,
    "decode-1x8": 8 * N,
    "decode-1x1": N,
    "decode-16x8": 8 * (16 * (N - 16) + 16 * 17 // 2),
    "decode-batch": 16 * 16 * N,
    "decode-gqa": 16 * 32 * N,
    "decode-long": 16 * N,
}


def case_of(row: Row, keys: int = N, batch: int = 2) -> Case:
    (case,) = Suite((row,), (keys,), (D,), (torch.float32,), batch=batch).cases()
    return case


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_formula_is_what_the_spec_means(row: Row) -> None:
    case = case_of(row)
    inputs = case.inputs()
    exact = case.attention.reference(**inputs)
    rows = torch.tensor([0, case.queries // 3, case.queries - 1])
    given = at_rows(case, inputs, rows)
    torch.testing.assert_close(formula(case, given, rows, torch.float64), exact[:, :, rows], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_area_is_that_of_the_visible_scores(row: Row) -> None:
    case = case_of(row, batch=1)
    assert case.area(case.inputs()) == AREAS.get(row.name, 8 * TRIANGLE)


def test_a_window_sees_no_more_than_its_width() -> None:
    case = case_of(chosen(["window"])[0], keys=600, batch=3)
    assert case.area(case.inputs()) == 3 * 8 * sum(min(row + 1, 256) for row in range(600))


def test_rows_have_heads_and_keys_of_their_own() -> None:
    cases = {case.row.name: case for case in Suite(ROWS, heads=4, dtypes=(torch.float32,)).cases()}
    assert (cases["full"].heads, cases["full"].keys, cases["full"].queries) == (4, 4096, 4096)
    assert (cases["decode-1x1"].heads, cases["decode-1x1"].keys, cases["decode-1x1"].queries) == (1, 16384, 1)
    assert (cases["decode-16x8"].heads, cases["decode-16x8"].queries) == (8, 16)
    assert (cases["decode-batch"].batch, cases["decode-batch"].heads, cases["full"].batch) == (16, 16, 1)


def test_a_gpu_has_as_many_queries_at_every_length() -> None:
    suite = Suite(chosen(["full", "decode-1x8"]), (1024, 16384, 65536), heads=4, device="cuda")
    batches = {(case.row.name, case.keys): case.batch for case in suite.cases()}
    assert [batches["full", keys] for keys in (1024, 16384, 65536)] == [16, 1, 1]
    assert {batches["decode-1x8", keys] for keys in (1024, 16384, 65536)} == {1}
    assert [row.key_heads(8) for row in chosen(["gqa", "full"])] == [8, 2]
    assert chosen(["gqa"])[0].key_heads(6) == 3

"""Conditions that leave several stretches of the stream: every position is visited once, wherever their ends lie."""

import pytest
import torch

import attnc
from attnc.contract import judge, references
from tests.programs.run import outputs_on

TESTS = {
    "start, middle, end": "n < a or (a <= n and n < c) or n >= c",
    "with gaps": "n < a or (a + 2 <= n and n < c - 1) or n > c",
    "start and end": "n < a or n >= c",
    "two in the middle": "(a <= n and n < a + 3) or (c <= n and n < c + 5)",
    "by row": "n < m - c or (m - a <= n and n <= m) or n >= m + c",
}
ENDS = ((0, 0), (3, 5), (3, 70), (64, 64), (60, 130), (100, 190), (200, 200), (130, 7))


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
@pytest.mark.parametrize("name", TESTS)
def test_every_position_is_visited_once(name: str, target: str) -> None:
    spec = "attention p(Q[m,e], K[n,e], V[n,f], a[]: int, c[]: int) -> O:\n    S[m,n] = Q * K\n"
    spec += f"    A[m,n] = sigmoid(S) where {TESTS[name]}\n    O[m,f] = A * V"
    attention = attnc.compile(spec, strict=True)
    dice = torch.Generator().manual_seed(1)
    given = {"Q": (37, 8), "K": (197, 8), "V": (197, 16)}
    inputs = {item: torch.randn(shape, generator=dice) for item, shape in given.items()}
    for ends in ENDS:
        inputs |= {item: torch.tensor(end) for item, end in zip("ac", ends, strict=True)}
        found = outputs_on(attention, inputs, target)
        wanted = references(attention.program().stated, inputs, {item: value.dtype for item, value in found.items()})
        verdicts = [judge(item, value, wanted[item]) for item, value in found.items()]
        assert all(verdict.passed for verdict in verdicts), (ends, verdicts)


LOOPS = {
    "n <= m": (2, 0),  # whole tiles, the last one
    "n <= m and m - n < 90": (1, 1),
    "n < 3 or m - n < 90": (3, 1),  # the first two of a stretch of its own
    "x == y": (1, 1),
    "n <= m and m - n < 90 and x == y": (1, 1),
}


@pytest.mark.parametrize("test", LOOPS)
def test_what_is_done_with_a_tile_is_printed_once_for_cut_ones_and_once_for_whole_ones(test: str) -> None:
    spec = "attention p(Q[m,e], K[n,e], V[n,f], x[m]: int, y[n]: int) -> O:\n    S[m,n] = Q * K\n"
    spec += f"    A[m,n] = sigmoid(S) where {test}\n    O[m,f] = A * V"
    source = attnc.compile(spec).kernels(shape={"e": 8, "f": 16})["forward"].source
    loops, joined = LOOPS[test]
    assert source.count("for (int64_t n_first") == loops
    assert source.count("if (v_whole)") == joined
    assert source.count("if (!v_whole)") == joined

"""uniform: Philox-4x32-10 at the coordinates, against plain integers and published vectors; dropout."""

from __future__ import annotations

import pytest
import torch

from attnc.ir.interpret.randomness import philox
from tests.ir.oracle import normal, one, oracle, same

F = torch.float64
MASK = 0xFFFFFFFF

# Random123 1.14, examples/kat_vectors: philox4x32 with 10 rounds; counter, key, the four words
KNOWN = (
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((MASK,) * 4, (MASK,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)


def plain(counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    """Philox-4x32-10 as its paper has it (Salmon et al., 2011), on Python integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c[0], 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c[2], 2**32)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return tuple(c)


def number(coordinates: tuple[int, ...], seed: int) -> float:
    counter = tuple(c & MASK for c in (*coordinates, 0, 0, 0, 0)[:4])
    return (plain(counter, (seed & MASK, (seed >> 32) & MASK))[0] >> 8) * 2.0**-24


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_published_vectors(counter: tuple[int, ...], key: tuple[int, int], words: tuple[int, ...]) -> None:
    assert plain(counter, key) == words
    found = philox([torch.tensor(c) for c in counter], (torch.tensor(key[0]), torch.tensor(key[1])))
    assert int(found) == words[0]


@pytest.mark.parametrize("seed", [0, 1, 42, 2**31, 2**40 + 17, -1, -(2**63), 2**63 - 1])
def test_every_coordinate_in_the_order_written(seed: int) -> None:
    text = """
    attention noise(X[b,h,m,n], seed[]: int) -> four, two, swapped, zero:
        four[b,h,m,n] = uniform[b,h,m,n](seed)
        two[m,n] = uniform[m,n](seed)
        swapped[m,n] = uniform[n,m](seed)
        zero[b] = uniform[b](seed)
    """
    found = oracle(text, X=normal(2, 3, 2, 4), seed=seed)
    for m in range(2):
        for n in range(4):
            assert float(found["four"][1, 2, m, n]) == number((1, 2, m, n), seed)
            assert float(found["two"][m, n]) == number((m, n), seed)
            assert float(found["swapped"][m, n]) == number((n, m), seed)
    assert found["zero"].tolist() == [number((b,), seed) for b in range(2)]


def test_coordinates_are_positions_and_wrap() -> None:
    text = """
    attention tail(Q[m], K[n], seed[]: int) -> O:
        index N - M <= m < N
        O[m] = uniform[m](seed)
    """
    found = one(text, Q=normal(5), K=normal(2), seed=7)
    assert found.tolist() == [number((m,), 7) for m in (-3, -2, -1, 0, 1)]  # -1 is 2^32 - 1


def test_a_seed_for_each_row() -> None:
    text = "attention rows(X[m,n], seed[m]: int) -> O:\n    O[m,n] = uniform[n](seed[m])"
    found = one(text, X=normal(2, 3), seed=torch.tensor([3, 2**33]))
    assert found.tolist() == [[number((n,), seed) for n in range(3)] for seed in (3, 2**33)]


def test_it_is_uniform() -> None:
    found = one("attention many(X[n], seed[]: int) -> O:\n    O[n] = uniform[n](seed)", X=torch.zeros(40000), seed=5)
    assert 0 <= float(found.min()) < 1e-3
    assert 1 - 1e-3 < float(found.max()) < 1
    assert abs(float(found.mean()) - 0.5) < 4 * (1 / 12 / 40000) ** 0.5
    assert abs(float(found.var()) - 1 / 12) < 1e-3


def test_dropout_keeps_or_scales() -> None:
    text = """
    use std.random: dropout
    attention drop(A[m,n], V[n,f], seed[]: int; p: real = 0.25) -> D, O:
        D[m,n] = dropout[m,n](A, seed; p = p)
        O[m,f] = D * V
    """
    A, V = normal(6, 50).abs() + 0.1, normal(50, 2)
    found = oracle(text, A=A, V=V, seed=11)
    keep = torch.tensor([[number((m, n), 11) >= 0.25 for n in range(50)] for m in range(6)])
    same(found["D"], torch.where(keep, A / 0.75, 0.0))
    same(found["O"], torch.where(keep, A / 0.75, 0.0) @ V)


def test_the_lengths_zero_and_one() -> None:
    text = "attention short(X[n], seed[]: int) -> O:\n    O[n] = uniform[n](seed)"
    assert one(text, X=torch.zeros(0), seed=3).tolist() == []
    assert one(text, X=torch.zeros(1), seed=3).tolist() == [number((0,), 3)]

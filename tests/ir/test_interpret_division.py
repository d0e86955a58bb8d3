"""Division: 0 / 0 is 0, other divisions by 0 are IEEE; // and % floor, and by 0 they are absent."""

from __future__ import annotations

import math

import torch

from tests.ir.oracle import normal, one, oracle, same

F = torch.float64
INF, NAN = math.inf, math.nan
PAIRS = [(a, b) for a in (-7, -6, -1, 0, 1, 6, 7) for b in (-3, -2, -1, 0, 1, 2, 3)]
A = torch.tensor([a for a, _ in PAIRS])
B = torch.tensor([b for _, b in PAIRS])


def test_quotients_of_reals() -> None:
    text = "attention quotient(a[i], b[i]) -> O, at:\n    O[i] = a / b\n    at[i] = exists(a / b)"
    a = torch.tensor([0.0, -0.0, 0.0, 1.0, -1.0, 1.0, INF, NAN, 0.0, INF, 6.0], dtype=F)
    b = torch.tensor([0.0, 0.0, -0.0, 0.0, 0.0, -0.0, 0.0, 0.0, NAN, INF, 4.0], dtype=F)
    found = oracle(text, a=a, b=b)
    same(found["O"], [0.0, 0.0, 0.0, INF, -INF, -INF, INF, NAN, NAN, NAN, 1.5])
    assert found["at"].all()  # existence never depends on the value of a real


def test_integers_divided_are_real() -> None:
    text = "attention real(a[i]: int, b[i]: int) -> O:\n    O[i] = a / b"
    wanted = [0.0 if a == b == 0 else math.copysign(INF, a) if b == 0 else a / b for a, b in PAIRS]
    same(one(text, a=A, b=B), torch.tensor(wanted, dtype=F))


def test_floor_and_remainder_of_every_sign() -> None:
    text = """
    attention whole(a[i]: int, b[i]: int) -> q, r, at, back:
        q[i] = a // b
        r[i] = a % b
        at[i] = exists(a // b) and exists(a % b)
        back[i] = a // b * b + a % b
    """
    found = oracle(text, a=A, b=B)
    same(found["q"], [a // b if b else -1 for a, b in PAIRS])
    same(found["r"], [a % b if b else -1 for a, b in PAIRS])
    assert found["at"].tolist() == [b != 0 for _, b in PAIRS]
    same(found["back"], [a if b else -1 for a, b in PAIRS])


def test_by_zero_is_absent_for_a_fold_too() -> None:
    text = """
    attention fold(a[i]: int, b[i]: int) -> O, n:
        O[] = sum[i](a // b)
        n[] = sum[i](1 if exists(a % b) else 0)
    """
    found = oracle(text, a=A, b=B)
    same(found["O"], sum(a // b for a, b in PAIRS if b))
    same(found["n"], sum(1 for _, b in PAIRS if b))


def test_an_empty_row_of_a_written_softmax_is_zero() -> None:
    text = """
    attention written(S[m,n], V[n,f], len[m]: int) -> O, P:
        E1[m,n] = exp(S) where n < len[m]
        O[m,f] = sum[n](E1 * V) / sum[n](E1)
        P[m,f] = sum[n](E1[m,n] / sum[n](E1[m,n]) * V[n,f])
    """
    S, V = normal(3, 4), normal(4, 2)
    found = oracle(text, S=S, V=V, len=torch.tensor([0, 2, 4]))
    wanted = torch.stack([torch.zeros(2, dtype=F), torch.softmax(S[1, :2], 0) @ V[:2], torch.softmax(S[2], 0) @ V])
    same(found["O"], wanted)
    same(found["P"], wanted)  # a division may be moved out of a sum


def test_a_division_of_nothing_by_nothing_inside_a_product_is_zero() -> None:
    text = "attention share(W[m,n], V[n,f]) -> O:\n    D[m] = sum[n](W)\n    O[m,f] = sum[n](W / D * V)"
    W, V = torch.tensor([[0.0, 0.0], [1.0, 3.0]], dtype=F), normal(2, 2)
    same(one(text, W=W, V=V), torch.stack([torch.zeros(2, dtype=F), 0.25 * V[0] + 0.75 * V[1]]))


def test_a_quotient_inside_a_summed_product() -> None:
    text = "attention inside(a[n], b[n], c[n]) -> O, P:\n    O[] = sum[n](a * b / c)\n    P[] = sum[n](a / c * b)"
    a, b = torch.tensor([0.0, 2.0, 3.0], dtype=F), torch.tensor([5.0, 7.0, 0.0], dtype=F)
    found = oracle(text, a=a, b=b, c=torch.tensor([0.0, 4.0, 0.0], dtype=F))
    same(found["O"], 3.5)  # 0 / 0, 14 / 4, 0 / 0
    same(found["P"], NAN)  # 3 / 0 is inf, times 0


def test_infinity_minus_infinity_stays_visible() -> None:
    text = "attention gap(a[i], b[i]) -> O:\n    O[i] = exp(a - b)"
    a, b = torch.tensor([-INF, INF, -INF, 1.0], dtype=F), torch.tensor([-INF, INF, 1.0, -INF], dtype=F)
    same(one(text, a=a, b=b), [NAN, NAN, 0.0, INF])


def test_the_lengths_zero_and_one() -> None:
    text = "attention quotient(a[i]: int, b[i]: int) -> O:\n    O[i] = a // b / (a % b)"
    nothing = torch.zeros(0, dtype=torch.int64)
    same(one(text, a=nothing, b=nothing), torch.zeros(0, dtype=F))
    same(one(text, a=torch.tensor([7]), b=torch.tensor([3])), [2.0])

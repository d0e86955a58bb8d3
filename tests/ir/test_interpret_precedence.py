"""The table of precedence, loosest first: every pair of neighbours, by numbers that tell the readings apart."""

from __future__ import annotations

import pytest
import torch

from tests.ir.oracle import one, oracle, same

F = torch.float64
a, b, c = 7.0, 3.0, 2.0
i, j, k = 7, 3, 2

NUMBERS = {
    # + - to the left, * / // % to the left and tighter
    "a - b - c": (a - b) - c,
    "a - b + c": (a - b) + c,
    "a + b * c": a + (b * c),
    "a / b / c": (a / b) / c,
    "a / b * c": (a / b) * c,
    "i * j // k": (i * j) // k,
    "i // j * k": (i // j) * k,
    "i % j * k": (i % j) * k,
    "i - j % k": i - (j % k),
    # the unary minus is tighter than a product, ** tighter than it and to the right
    "-i % j": (-i) % j,
    "-i // j": (-i) // j,
    "a * -b": a * (-b),
    "a - -b": a - (-b),
    "--a": a,
    "+a": a,
    "-c ** 2": -(c**2),
    "c ** -1": c**-1,
    "c ** b ** c": c ** (b**c),
    "-c ** b": -(c**b),
    "c * b ** c": c * (b**c),
    # if else is looser than all arithmetic, and to the right
    "1 if a > b else 2 + 10": 1.0,
    "1 if a < b else 2 + 10": 12.0,
    "a + 1 if a < b else c": c,
    "1 if a < b else 2 if a < c else 3": 3.0,
    # brackets and calls are tightest
    "-abs(-a) ** 2": -(a**2),
    "(a - b) * c": (a - b) * c,
    "T[0] ** 2": a**2,
    "-T[1]": -b,
}
TRUTHS = {
    # or looser than and, and looser than not, not looser than comparisons
    "true or true and false": True,
    "(true or true) and false": False,
    "not false and false": False,
    "not (false and false)": True,
    "not a < b": True,
    "not a > b or a > b": True,
    "a > b and b > c or a < c": True,
    "a < c or b > c and a < b": False,
    # comparisons are looser than arithmetic and chain
    "a - b > c + 1": True,
    "c < b < a": True,
    "c < a < b": False,
    "a > b > c > 1": True,
    "a == b + 2 * c": True,
    "c < b == true": None,  # a chain: c < b and b == 1
    # if else is looser than or
    "false if a > b or a < b else true": False,
    "true or false if a < b else false": False,
}


def value(expression: str) -> torch.Tensor:
    text = f"""
    attention reading(a[], b[], c[], i[]: int, j[]: int, k[]: int, T[n]) -> O:
        O[] = {expression}
    """
    return one(text, a=a, b=b, c=c, i=i, j=j, k=k, T=torch.tensor([a, b, c], dtype=F))


@pytest.mark.parametrize("expression", NUMBERS)
def test_numbers(expression: str) -> None:
    same(value(expression).double(), NUMBERS[expression])


@pytest.mark.parametrize("expression", [text for text in TRUTHS if TRUTHS[text] is not None])
def test_truths(expression: str) -> None:
    assert bool(value(expression)) is TRUTHS[expression]


def test_where_is_loosest() -> None:
    text = """
    attention loose(x[n], y[n]) -> whole, inner, choice:
        whole[n] = x + y where n < 2
        inner[n] = x + default((y where n < 2), 100)
        choice[n] = x if n < 1 else y where n < 2
    """
    x, y = torch.tensor([1.0, 2.0, 3.0], dtype=F), torch.tensor([10.0, 20.0, 30.0], dtype=F)
    found = oracle(text, x=x, y=y)
    same(found["whole"], [11.0, 22.0, 0.0])
    same(found["inner"], [11.0, 22.0, 103.0])
    same(found["choice"], [1.0, 20.0, 0.0])


def test_where_applies_after_implied_sums() -> None:
    text = """
    attention implied(A[m,n], V[n]) -> O, P:
        O[m] = A * V where m < 1
        P[m] = 1 + sum[n](A * V where m < 1)
    """
    A, V = torch.ones(2, 3, dtype=F), torch.tensor([1.0, 2.0, 4.0], dtype=F)
    found = oracle(text, A=A, V=V)
    same(found["O"], [7.0, 0.0])
    same(found["P"], [8.0, 0.0])  # the condition does not mention n: it stays

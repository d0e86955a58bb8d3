"""Which subscripts are provably inside their axes, which are tested at run time, and which are refused."""

import pytest

from tests.names.resolved import axes_tested, refused, resolved

INSIDE = [
    ("Q[b,h,m,e], K[b,g,n,e]", ["require H % G == 0", "r = H // G"], "Y[b,h,m,n] = Q * K[b,h // r,n,e]"),
    ("Q[b,h,m,e], K[b,g,n,e]", ["require G >= 1"], "Y[b,h,m,n] = Q * K[b,h % G,n,e]"),
    ("X[n]", [], "Y[n] = X[(n + 1) % N]"),
    ("X[n]", [], "Y[n] = X[N - 1 - n]"),
    ("X[n]", ["index c < N // 4, j < 4"], "Y[c,j] = X[4*c + j]"),
    ("X[n]", ["require N % 4 == 0", "index c < ceil(N / 4), j < 4"], "Y[c,j] = X[4*c + j]"),
    ("X[i,j]", ["index n < I * J"], "Y[n] = X[n // J,n % J]"),
    ("X[n], P[c]", ["require C == ceil(N / 16)"], "Y[n] = X * P[n // 16]"),
    ("X[n], Z[k]", ["require extent(k) >= N"], "Y[n] = X * Z[n]"),
    ("X[n], Z[k]", ["require N % 2 == 0 and extent(k) == N // 2"], "Y[n] = X * Z[n // 2]"),
    ("X[n]", [], "Y[n] = X[n - 1] where n >= 1"),
    ("X[n]", [], "Y[n] = X[n - 1] if n > 0 else 0"),
    ("X[n]", [], "Y[n] = X[max(n - 1, 0)]"),
    ("X[n]", [], "Y[n] = X[min(n + 1, N - 1)]"),
    ("X[n]", [], "Y[n] = X[clamp(n - 3, 0, N - 1)]"),
    ("X[n]", [], "Y[n] = X[n + 1 if n + 1 < N else n]"),
    ("X[n], T[p]", ["require P == 2 * N - 1", "index m < N"], "Y[m] = sum[n](X * T[m - n + N - 1])"),
    ("X[n]", ["A[n + 1] = X", "A[0] = 1"], "Y[n] = A[n] * A[n + 1]"),
]
UNDECIDED = [
    ("X[n]", [], "Y[n] = X[n - 1]", "X[n - 1]"),
    ("X[n]", ["index c < ceil(N / 4), j < 4"], "Y[c,j] = X[4*c + j]", "X[4*c + j]"),
    ("X[n], at[m]: int", [], "Y[m] = X[at]", "X[at]"),
    ("X[n]", [], "Y = X[0]", "X[0]"),
    # What is loaded under an `if` is guarded by it only where the two share an index.
    ("X[n]", [], "Y[n] = X[0] if n == 0 else X[n - 1]", "X[0]"),
    # A condition that mentions more than the subscript is folded, or kept, where the test would not be.
    ("X[n], Z[k]", ["require N == extent(k)"], "Y[n] = sum[k](X[n + 1] * Z where n + 1 + k < N)", "X[n + 1]"),
]
OUTSIDE = [
    ("X[n]", [], "Y[n] = X[n + N]"),
    ("X[n]", [], "Y[n] = X[n - 1] where n < 1"),
    ("X[n]", ["require N == 3"], "Y[n] = X * X[3]"),
    ("X[n]", [], "Y[n] = X[-1 - n]"),
]


def spec(inputs: str, head: list[str], line: str) -> str:
    return "\n".join([f"attention t({inputs}) -> Y:", *(f"    {item}" for item in (*head, line))]) + "\n"


@pytest.mark.parametrize(("inputs", "head", "line"), INSIDE, ids=str)
def test_needs_no_test(inputs: str, head: list[str], line: str) -> None:
    assert axes_tested(resolved(spec(inputs, head, line))) == []


@pytest.mark.parametrize(("inputs", "head", "line", "read"), UNDECIDED, ids=str)
def test_is_tested_at_run_time(inputs: str, head: list[str], line: str, read: str) -> None:
    assert axes_tested(resolved(spec(inputs, head, line))) == [(read, (0,))]


@pytest.mark.parametrize(("inputs", "head", "line"), OUTSIDE, ids=str)
def test_is_refused(inputs: str, head: list[str], line: str) -> None:
    assert refused(spec(inputs, head, line)).code == "A212"


@pytest.mark.parametrize("line", ["Y[n] = default(X[n + N], 0)", "Y[n] = X * exists(X[n + N])"])
def test_what_is_never_inside_may_be_asked_for(line: str) -> None:
    assert axes_tested(resolved(spec("X[n]", [], line))) == [("X[n + N]", (0,))]


def test_an_extent_that_an_option_makes_one_refuses_nothing() -> None:
    text = "attention t(X[n]; W: int = 1) -> Y:\n    index j < W\n    T[j] = 1.0 * j\n    Y[n] = X + sum[j](T[j - 1])\n"
    assert axes_tested(resolved(text)) == [("T[j - 1]", (0,))]


def test_an_expression_read_elsewhere_is_decided_where_it_is_read() -> None:
    text = "def before[n](x) = x[n = n - 1]\n\nattention t(X[n]) -> Y:\n    Y[n] = before[n](X)\n"
    assert [axes for _, axes in axes_tested(resolved(text))] == [(0,)]


def test_the_extent_of_an_index_is_never_negative() -> None:
    text = "attention t(X[n]) -> Y:\n    index c < N - 2\n    Y[n] = X * C\n"
    assert "max(0, N - 2)" in str_of(text)


def str_of(text: str) -> str:
    from attnc.ir.print_cascade import show_cascade

    return show_cascade(resolved(text))

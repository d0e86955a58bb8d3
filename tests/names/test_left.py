"""Left sides: each point once, and parts that do not meet."""

import pytest

from tests.names.resolved import refused, resolved

APART = [
    ("A[n], B[k], C[j]", ["Y[n] = A", "Y[N + k] = B[k]", "Y[N + extent(k) + j] = C[j]"]),
    ("A[p]", ["Y[2*p] = A", "Y[2*p + 1] = -A"]),
    ("A[p]", ["Y[3*p] = A", "Y[3*p + 1] = -A", "Y[3*p + 2] = 2 * A"]),
    ("A[s,r]", ["Y[s*R + r] = A[s,r]"]),
    ("A[s,r], g[s]", ["Y[s*(R + 1) + r] = A[s,r]", "Y[s*(R + 1) + R] = g"]),
    ("A[i,j,k]", ["Y[(i*J + j)*extent(k) + k] = A"]),
    ("A[n], z[]", ["Y[n + 1] = A", "Y[0] = z"]),
    ("A[n], z[]", ["Y[N - 1 - n] = A", "Y[N] = z"]),
    ("A[m,n], z[m]", ["Y[m,n] = A[m,n]", "Y[m,N] = z"]),
    ("A[m,n], z[m]", ["Y[m,0] = z", "Y[m,n + 1] = A[m,n]"]),
]
REFUSED = [
    ("A[p,q]", ["Y[2*p + q] = A"], "A211"),
    ("A[s,r]", ["Y[4*s + r] = A[s,r]"], "A211"),
    ("A[s,r]", ["Y[s*S + r] = A[s,r]"], "A211"),
    ("A[n]", ["Y[n] = A", "Y[n] = -A"], "A205"),
    ("A[n]", ["Y[n] = A", "Y[n + 1] = A"], "A205"),
    ("A[n]", ["Y[n] = A", "Y[N - 1] = 0"], "A205"),
    ("A[p]", ["Y[2*p] = A", "Y[4*p + 2] = A"], "A205"),
    ("A[n], B[k]", ["Y[n] = A", "Y[extent(k) + k] = B[k]"], "A205"),
    ("A[n]", ["Y[n // 2] = A"], "A208"),
    ("A[n]", ["Y[n * n] = A"], "A208"),
    ("A[n]", ["Y[n % 3] = A"], "A208"),
    ("A[n]", ["Y[n,n] = A"], "A109"),
    ("A[n]", ["Y[0.5 * n] = A"], "A136"),
]


def spec(inputs: str, lines: list[str]) -> str:
    return "\n".join([f"attention t({inputs}) -> Y:", *(f"    {line}" for line in lines)]) + "\n"


@pytest.mark.parametrize(("inputs", "lines"), APART, ids=str)
def test_each_point_is_defined_once(inputs: str, lines: list[str]) -> None:
    (tensor,) = resolved(spec(inputs, lines)).tensors
    assert len(tensor.parts) == len(lines)


@pytest.mark.parametrize(("inputs", "lines", "code"), REFUSED, ids=str)
def test_refused(inputs: str, lines: list[str], code: str) -> None:
    assert refused(spec(inputs, lines)).code == code


def test_where_two_parts_meet_is_told() -> None:
    mistake = refused(spec("A[n]", ["Y[n] = A", "Y[N - 1] = 0"]))
    assert "two statements define `Y` at n = N - 1 (lines 2 and 3)" in str(mistake)


def test_the_axis_of_a_tensor_by_parts_spans_them_all() -> None:
    (tensor,) = resolved(spec("A[n], z[]", ["Y[n + 1] = A", "Y[0] = z"])).tensors
    assert [str(end) for end in map(_shown, tensor.axes[0])] == ["0", "N + 1"]


def _shown(end: object) -> str:
    from attnc.ir.print_expression import show

    return show(end)  # type: ignore[arg-type]

"""Calls of attentions: of the file, of modules, with slices, options, other starts; what is wrong with them."""

from pathlib import Path

import pytest
import torch

from tests.names.resolved import evaluated, refused, resolved

TWICE = "attention twice(X[a]; by: int = 2) -> Y:\n    Y[a] = by * X\n\n"
Q, K, V = (torch.randn(1, 2, length, 3, dtype=torch.float64) for length in (3, 5, 5))


def test_a_call_reaches_the_attentions_of_a_module() -> None:
    text = (
        "use std.attention: causal_softmax\n\nattention t(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> Y:\n"
        "    A[b,h,m,f] = causal_softmax(Q, K, V)\n    Y[b,h,m,f] = 2 * A\n"
    )
    scores = Q @ K.transpose(-1, -2) / 3**0.5
    seen = torch.arange(5) <= torch.arange(2, 5)[:, None]  # the queries are the last positions
    wanted = 2 * scores.masked_fill(~seen, -torch.inf).softmax(-1) @ V
    assert torch.allclose(evaluated(text, Q=Q, K=K, V=V), wanted)


def test_a_call_reaches_the_spec_s_own_folder(tmp_path: Path) -> None:
    (tmp_path / "parts.attn").write_text("def half(x) = 0.5 * x\n\nattention halved(X[n]) -> Y:\n    Y[n] = half(X)\n")
    text = "use parts: halved\n\nattention t(X[m]) -> Y:\n    Y[m] = halved(X)\n"
    assert torch.equal(evaluated(text, tmp_path, X=torch.ones(3)), torch.full((3,), 0.5, dtype=torch.float64))


def test_modules_that_use_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.attn").write_text("use two\n\ndef f(x) = x\n")
    (tmp_path / "two.attn").write_text("use one\n\ndef g(x) = x\n")
    assert refused("use one\n\nattention t(X[n]) -> Y:\n    Y[n] = f(X)\n", tmp_path).code == "A116"


def test_a_mistake_in_a_module_is_told_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "parts.attn").write_text("def f(x) = x * gain\n")
    mistake = refused("use parts: f\n\nattention t(X[n]) -> Y:\n    Y[n] = f(X)\n", tmp_path)
    assert [item.span.source.name for item in mistake.diagnostics if item.span] == ["parts"]


def test_names_of_the_callee_are_not_the_caller_s() -> None:
    text = TWICE + (
        "attention t(X[n], twice_Y[n]) -> Z:\n    index twice_a < 4\n    Y[n] = twice_Y\n"
        "    Z[n] = twice(X)\n    W[twice_a] = X[twice_a + 0] + Y[twice_a + 0]\n"
    )
    x = torch.arange(3, dtype=torch.float64)
    assert torch.equal(evaluated(text, X=x, twice_Y=-x), 2 * x)


def test_slices_are_batches() -> None:
    text = TWICE + "attention t(X[r,s,n]) -> Z:\n    Z[s,n,r] = twice(X[r,s,:]; by = 3)\n"
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    assert torch.equal(evaluated(text, X=x), 3 * x.permute(1, 2, 0))


def test_tensors_may_be_given_by_name() -> None:
    text = "attention less(X[a], Y[a]) -> Z:\n    Z[a] = X - Y\n\nattention t(A[n], B[n]) -> Z:\n"
    x, y = torch.ones(2), torch.zeros(2)
    assert evaluated(text + "    Z[n] = less(Y = A, X = B)\n", A=x, B=y).tolist() == [-1, -1]


def test_an_option_may_be_a_size_of_the_caller() -> None:
    text = (
        "attention blurred(X[a]; W: int = 2) -> Y:\n    index w < W\n    Y[a] = sum[w](X[a - w]) / W\n\n"
        "attention t(X[n], taps[k]) -> Y:\n    Y[n] = blurred(X; W = extent(k))\n"
    )
    assert evaluated(text, X=torch.ones(4), taps=torch.ones(2)).tolist() == [0.5, 1, 1, 1]


def test_a_divisor_is_told_in_the_caller_s_names() -> None:
    text = (
        "attention shared(X[a]; W: int = 2) -> Y:\n    Y[a] = X[a // W]\n\n"
        "attention t(X[n], taps[k]) -> Y:\n    Y[n] = shared(X; W = extent(k))\n"
    )
    mistake = refused(text)
    assert mistake.code == "A209"
    assert "require K >= 1" in str(mistake)
    resolved(text.replace("Y:\n    Y[n]", "Y:\n    require extent(k) >= 1\n    Y[n]"))


def test_positions_are_counted_from_where_each_axis_starts() -> None:
    text = (
        "attention numbered(X[a], Z[c]) -> Y:\n    index C - A <= a < C\n    Y[a] = X + a\n\n"
        "attention t(X[n], Z[c]) -> Y:\n    Y[n] = numbered(X, Z)\n"
    )
    assert evaluated(text, X=torch.zeros(2), Z=torch.zeros(5)).tolist() == [3, 4]


def test_a_call_within_a_call() -> None:
    text = TWICE + (
        "attention again(X[c]) -> Y:\n    A[c] = twice(X; by = 3)\n    Y[c] = twice(A)\n\n"
        "attention t(X[m]) -> Y:\n    Y[m] = again(X)\n"
    )
    assert evaluated(text, X=torch.ones(2)).tolist() == [6, 6]


@pytest.mark.parametrize(
    ("head", "line", "code"),
    [
        ("X[n]", "Y[n] = twice(X; byy = 3)", "A101"),
        ("X[n]", "Y[n] = twice(X; by = 2.5)", "A114"),
        ("X[n], by[n]: int", "Y[n] = twice(X; by = by[n] + 1)", "A138"),
        ("X[n]", "Y[n] = twice()", "A130"),
        ("X[n]", "Y[n] = twice(X, X)", "A126"),
        ("X[n]", "Y[n] = twice(X, X = X)", "A126"),
        ("X[n]", "Y[n] = twice(X * 2)", "A133"),
        ("X[n]", "Y[n] = twice(X) where n > 2", "A133"),
        ("X[n]", "Y[n] = 1 + twice(X)", "A133"),
        ("X[n]", "Y[n], Z[n] = twice(X)", "A126"),
        ("X[b,n]", "Y[n] = twice(X[b,:])", "A108"),
        ("X[b,n]", "Y[b,n] = twice(X)", "A105"),
        ("X[b,n]", "Y[b,n] = twice(X[b])", "A105"),
        ("X[b,n]", "Y[n] = twice(X[B,:])", "A212"),
        ("X[b,n], Z[c]", "Y[c,n] = twice(X[c,:])", "A207"),
        ("X[n], Z[m]", "Y[m] = twice(X)", "A139"),
        ("X[n]", "Y[n] = t(X)", "A128"),
        ("X[n]", "Y[n] = twice(Z)", "A101"),
    ],
)
def test_a_wrong_call_is_refused(head: str, line: str, code: str) -> None:
    assert refused(f"{TWICE}attention t({head}) -> Y:\n    {line}\n").code == code

"""Defs see their own names alone; masks are booleans, scores are reals."""

import pytest
import torch

from tests.names.resolved import evaluated, refused, resolved

X = torch.arange(4, dtype=torch.float64) + 1


@pytest.mark.parametrize(
    ("define", "call"),
    [
        ("def f(x) = x * gain", "f(X)"),  # a tensor of the caller
        ("def f(x) = x * n", "f(X)"),  # an index
        ("def f(x) = x / N", "f(X)"),  # an extent
        ("def f(x) = x * W", "f(X)"),  # an option
        ("def f(x) = sum[n](x)", "f(X)"),  # an index in brackets
    ],
)
def test_a_def_does_not_see_its_caller(define: str, call: str) -> None:
    text = f"{define}\n\nattention t(X[n], gain[n]; W: int = 2) -> Y:\n    Y[n] = {call}\n"
    assert refused(text).code == "A101"


def test_an_index_of_a_def_is_not_the_caller_s() -> None:
    text = (
        "def thrice(x):\n    index n < 3\n    return sum[n](x * (n + 1))\n\n"
        "attention t(X[n]) -> Y:\n    Y[n] = thrice(X) + n\n"
    )
    assert torch.equal(evaluated(text, X=X), 6 * X + torch.arange(4))


def test_a_local_name_of_a_def_is_not_the_caller_s() -> None:
    text = (
        "def f(x):\n    half = 0.5 * x\n    return half\n\nattention t(X[n], half[n]) -> Y:\n    Y[n] = half + f(X)\n"
    )
    assert torch.equal(evaluated(text, X=X, half=X), 1.5 * X)


def test_a_def_of_a_module_calls_the_module_s_own(tmp_path: object) -> None:
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    (tmp_path / "helpers.attn").write_text("def base(x) = 10 * x\n\ndef more(x) = base(x) + 1\n")
    text = "use helpers: more\n\ndef base(x) = 0 * x\n\nattention t(X[n]) -> Y:\n    Y[n] = more(X) + base(X)\n"
    assert torch.equal(evaluated(text, tmp_path, X=X), 10 * X + 1)


def test_a_use_brings_what_it_names_and_nothing_else() -> None:
    text = "use std.masks: causal\n\nattention t(Q[m,e], K[n,e]) -> S:\n    S[m,n] = Q * K where window(m, n; W = 3)\n"
    assert refused(text).code == "A101"
    resolved(text.replace(": causal", ""))


def test_one_formal_index_may_stand_for_several() -> None:
    text = "def scale[d](x) = sqrt(sum[d](x * x) / D)\n\nattention t(X[n,d,e]) -> Y:\n    Y[n] = scale[d,e](X)\n"
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    assert torch.allclose(evaluated(text, X=x), (x * x).mean((1, 2)).sqrt())


def test_what_a_def_requires_its_callers_require() -> None:
    text = "use std.position: rope\n\nattention t(X[n,e]) -> Y:\n    Y[n,e] = rope[e](X, n)\n"
    assert [item.span.text for item in resolved(text).requires] == ["require E % 2 == 0"]


@pytest.mark.parametrize(
    ("define", "call", "refused_"),
    [
        ("mask f(a, b) = a - b", "X where f(n, 2)", True),
        ("mask f(a, b) = a < b", "X where f(n, 2)", False),
        ("mask f(a) = a", "X where f(n < 2)", False),
        ("mask f(a) = a", "X where f(n)", True),
        ("score f(a) = a > 0", "f(X)", True),
        ("score f(a) = tanh(a)", "f(X)", False),
        ("score f(a) = a + 1", "f(X)", False),
        ("score f(a) = a + 1", "f(n)", True),
        ("mask f(a, b) = a - b", "X", True),  # no call is needed
        ("score f(a) = not a", "X", True),
    ],
)
def test_masks_are_boolean_and_scores_real(define: str, call: str, refused_: bool) -> None:
    text = f"{define}\n\nattention t(X[n]) -> Y:\n    Y[n] = {call}\n"
    if refused_:
        assert refused(text).code == "A135"
    else:
        resolved(text)


def test_what_calls_multiply_to_is_limited() -> None:
    deep = "x"
    for _ in range(40):
        deep = f"twice({deep})"
    text = f"def twice(x) = x + x\n\ndef f(x) = {deep}\n\nattention t(X[n]) -> Y:\n    Y[n] = f(X)\n"
    assert refused(text).code == "A117"

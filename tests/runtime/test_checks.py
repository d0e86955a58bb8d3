"""Check clauses: what holds, what fails and says how, and how closely kernels are held to them."""

from pathlib import Path

import pytest
import torch

from attnc.cli import main
from attnc.library import Spec
from attnc.runtime import checks
from attnc.runtime.checks import Tensors, run_checks
from attnc.source import Source

HEAD = "attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], seg[b,n]: int = 0; W: int = 3) -> O, L:\n"
BODY = """    index N - M <= m < N
    S[b,h,m,n] = Q * K / sqrt(E)
    O[b,h,m,f] = softmax[n](S where n <= m and m - n < W and seg >= 0) * V
    L[b,h,m] = logsumexp[n](S where n <= m)
"""
HOLDS = (
    "with W = N equals causal_softmax(Q, K, V)",
    "with W = max(N, 1) + 2 ** 3 equals causal_softmax(Q, K, V)",
    "with W = 2 equals window_softmax(Q, K, V; W = 1 + 1)",
    "with W = 2 equals window_softmax(Q; W = 2, V = V, K = K)",
    "with W = N, seg = n // 2 + B equals causal_softmax(Q, K, V)",
    "with W = N, seg = 0 if n < 3 else 7 equals causal_softmax(Q, K, V)",
    "with Q = [[0],[0]], K = [[1],[1]], V = [[1],[3]] gives O = [[1],[2]]",
    "with Q = [[0],[0]], K = [[1],[1]], V = [[1],[3]], W = N - 1 gives O = [[1],[3]]",
    "with Q = [[0],[0]], K = [[1],[1]], V = [[1],[3]] gives L = [0, 0.6931] within 1e-4",
    "with Q = [[0],[0]], K = [[1],[1]], V = [[1],[3]] gives O[0,0,1,:] = [2], S = [[0,0],[0,0]]",
)
TWO = HOLDS[2]
FAILS = (
    ("with W = 1 equals causal_softmax(Q, K, V)", "compared with `causal_softmax`"),
    ("with Q = [[0],[0]], K = [[1],[1]], V = [[1],[3]] gives O = [[1],[2.001]]", "O is off by 0.001"),
    ("with Q = [[0],[0]], K = [[1],[1]], V = [[1],[3]] gives O = [[1],[2],[3]]", "O has shape"),
    ("with Q = [[0],[0]], K = [[1],[1]], V = [[1],[3]] gives O[0,0,2,:] = [1]", "lies outside"),
)


SHIFTED = """attention {}(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], x[] = {}) -> O:
    O[b,h,m,f] = sum[n](sigmoid(sum[e](Q * K) + {} * x) * V)
"""


@pytest.mark.parametrize("times", [1, 2])
def test_an_input_that_a_clause_passes_on_is_drawn_where_it_has_a_default(times: int) -> None:
    text = SHIFTED.format("other", 0, times) + SHIFTED.format("a", 0, 1) + "    check it: equals other(Q, K, V, x)\n"
    (found,) = run_checks(Spec(Source("a.attn", text), "a", None), "a", "oracle")
    assert found.passed == (times == 1)


def results(clause: str, backend: checks.Backend, requires: str = "") -> list[checks.CheckResult]:
    text = HEAD + requires + BODY + f"    check it: {clause}\n"
    return run_checks(Spec(Source("a.attn", text), "a", None), "a", backend)


@pytest.mark.parametrize("clause", HOLDS)
def test_what_holds_holds_by_the_definition(clause: str) -> None:
    (found,) = results(clause, "oracle")
    assert found.passed, found.message


@pytest.mark.parametrize("clause", [TWO, *HOLDS[6:]])
def test_what_holds_holds_for_kernels(clause: str) -> None:
    (found,) = results(clause, "kernels")
    assert found.passed, found.message


@pytest.mark.parametrize("backend", ["oracle", "kernels"])
@pytest.mark.parametrize(("clause", "message"), FAILS)
def test_what_fails_says_how(clause: str, message: str, backend: checks.Backend) -> None:
    (found,) = results(clause, backend)
    assert not found.passed
    assert message in found.message


def test_extents_are_mended_until_the_requirements_hold() -> None:
    requires = "    require N % 4 == 0 and N >= 8 and M == N // 2 and F == 2 * E + 1\n"
    (found,) = results("with W = N equals causal_softmax(Q, K, V)", "oracle", requires)
    assert found.passed, found.message


def test_a_check_that_cannot_be_tried_does_not_hold() -> None:
    (found,) = results("with W = N equals causal_softmax(Q, K, V)", "oracle", "    require N == N + 1\n")
    assert not found.passed
    assert "no extents" in found.message


@pytest.mark.parametrize("error", [3e-5, 1e-3])
@pytest.mark.parametrize("clause", [TWO, HOLDS[6]])
def test_kernels_are_held_to_the_contract(clause: str, error: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed tolerance of 2e-4 would let the smaller error pass."""
    real = checks.on_kernels

    def worse(*arguments: object) -> Tensors:
        return {name: value * (1 + error) for name, value in real(*arguments).items()}  # type: ignore[arg-type]

    monkeypatch.setattr(checks, "on_kernels", worse)
    (found,) = results(clause, "kernels")
    assert not found.passed
    assert "is off by" in found.message


def test_a_wider_tolerance_of_the_clause_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    real = checks.on_kernels
    monkeypatch.setattr(checks, "on_kernels", lambda *a: {name: value + 1e-3 for name, value in real(*a).items()})
    for within, passed in (("1e-2", True), ("1e-5", False)):
        (found,) = results(f"{HOLDS[6]} within {within}", "kernels")
        assert found.passed is passed


def test_a_result_that_is_no_number_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    real = checks.on_kernels
    nothing = float("nan")
    monkeypatch.setattr(checks, "on_kernels", lambda *a: {n: torch.full_like(v, nothing) for n, v in real(*a).items()})
    (found,) = results(HOLDS[6], "kernels")
    assert not found.passed


def test_the_command_says_so_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.attn"
    file.write_text(HEAD + BODY + "    check narrow: with W = 1 equals causal_softmax(Q, K, V)\n")
    assert main(["check", str(file)]) == 1
    said = capsys.readouterr().out
    assert said.startswith("a: well-formed\n  check narrow FAILS on the oracle: at B = ")
    assert "check narrow FAILS on the kernels" in said

"""Symbolic work stops at its time limit, with an error of its own, in any thread, and never later."""

import threading
import time

import pytest

import attnc
from attnc.passes.derive.limit import TooLongError, limited

SPEC = (
    "attention p(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:\n"
    "    S[b,h,m,n] = Q * K / sqrt(E)\n"
    "    O[b,h,m,f] = softmax[n](S) * V\n"
)


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_a_derivation_that_takes_too_long_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNC_SYMBOLIC_SECONDS", "0.0001")
    with pytest.raises(attnc.AttnError, match="A302") as found:
        attnc.compile(SPEC.replace("sqrt(E)", "sqrt(E + 1)")).program()
    assert "ATTNC_SYMBOLIC_SECONDS" in str(found.value)
    assert "O[b,h,m,f]" in str(found.value)


def test_work_in_time_is_left_alone() -> None:
    with limited(30):
        done = True
    assert done


def test_another_thread_is_stopped_as_well() -> None:
    heard: list[str] = []

    def work() -> None:
        try:
            with limited(0.05):
                spin(20)
        except TooLongError:
            heard.append("stopped")
        spin(0.2)
        heard.append("went on")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert heard == ["stopped", "went on"]


def test_nothing_arrives_after_the_end() -> None:
    for _ in range(20):
        try:
            with limited(0.002):
                spin(0.002)
        except TooLongError:
            pass
        spin(0.003)

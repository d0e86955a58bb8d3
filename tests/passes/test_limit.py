"""Symbolic work stops at its time limit, with an error of its own, in any thread, and never later."""

import threading
import time
from contextlib import suppress

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
    assert limited(30, lambda: 7) == 7


def test_what_the_work_raises_is_passed_on() -> None:
    with pytest.raises(ZeroDivisionError):
        limited(30, lambda: 1 // 0)


def test_time_in_which_the_thread_does_not_work_is_not_counted() -> None:
    """A busy machine, a stopped process: what can be derived stays the same."""

    def halted() -> str:
        time.sleep(0.4)
        return "derived"

    assert limited(0.2, halted) == "derived"


def test_another_thread_is_stopped_as_well() -> None:
    heard: list[str] = []

    def work() -> None:
        try:
            limited(0.05, lambda: spin(20))
        except TooLongError:
            heard.append("stopped")
        spin(0.2)
        heard.append("went on")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert heard == ["stopped", "went on"]


def test_a_swallowed_exception_is_sent_again() -> None:
    def stubborn() -> None:
        for _ in range(2):
            with suppress(TooLongError):
                spin(20)
        spin(20)

    start = time.monotonic()
    with pytest.raises(TooLongError):
        limited(0.02, stubborn)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.002, 0.003])
def test_nothing_arrives_after_the_end(delay: float) -> None:
    """Work that ends just as its time does: the exception comes before the end, or never."""
    before = threading.active_count()
    for _ in range(15):
        with suppress(TooLongError):
            limited(0.002, lambda: spin(delay))
        spin(0.003)
    spin(0.2)
    assert threading.active_count() <= before


def test_work_inside_work_is_stopped_at_the_nearer_limit() -> None:
    def inner() -> str:
        with suppress(TooLongError):
            limited(0.02, lambda: spin(20))
        return "inner stopped"

    assert limited(30, inner) == "inner stopped"

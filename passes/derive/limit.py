"""A time limit on symbolic work, in any thread."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

SECONDS = 60.0
TICK = 0.05  # seconds between looks, and between exceptions: a callback that ignores them may swallow the first

Result = TypeVar("Result")


class TooLongError(BaseException):
    """The work was stopped; no `except Exception` inside a library swallows it."""


def seconds_allowed() -> float:
    """The limit for one stage, in seconds of a processor's time: ATTNC_SYMBOLIC_SECONDS, or a minute."""
    try:
        given = float(os.environ["ATTNC_SYMBOLIC_SECONDS"])
    except (KeyError, ValueError):
        return SECONDS
    return given if given > 0 else SECONDS


def clock_of_this_thread() -> Callable[[], float]:
    """The seconds that this thread has worked: what can be derived must not depend on what else the machine does."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.monotonic
    clock = time.pthread_getcpuclockid(threading.get_ident())

    def worked() -> float:
        try:
            return time.clock_gettime(clock)
        except OSError:  # the thread has ended between a look at its flags and this one
            return 0.0

    return worked


@dataclass
class _Watch:
    """What the worker and its watcher tell each other, in plain flags: an exception could leave a lock held."""

    thread: int
    worked: Callable[[], float]
    over: bool = False  # the work has ended
    sent: bool = False  # an exception was sent, or is about to be
    gone: bool = False  # nothing is sent any more


def limited(seconds: float, work: Callable[[], Result]) -> Result:
    """What the work gives, if it ends within this many seconds of its thread's own time; else `TooLongError`.

    Another thread raises it in this one: signals would serve the main thread only, and belong to the caller.
    An exception from outside arrives between two instructions, anywhere. So the watcher starts inside `try`, the
    first thing after the work is the flag that stops it, and at most one exception is then still on its way.
    """
    worked = clock_of_this_thread()
    watch = _Watch(threading.get_ident(), worked)
    try:
        threading.Thread(target=_stop, args=(watch, worked() + seconds), daemon=True).start()
        return work()
    finally:
        watch.over = True
        try:  # noqa: SIM105 - `suppress` would be a call before the block: one more place for it to arrive
            _await_the_last(watch)
        except TooLongError:
            pass


def _await_the_last(watch: _Watch) -> None:
    """Whatever has been sent has arrived, or never will."""
    while watch.sent and not watch.gone:
        time.sleep(0.001)
    if watch.sent:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(watch.thread), None)


def _stop(watch: _Watch, end: float) -> None:
    """Raise `TooLongError` in the watched thread from `end` on, until its work is over."""
    while not watch.over:
        left = end - watch.worked()
        if left <= 0:
            watch.sent = True  # first said, then looked: either this sees the end, or the end sees this
            if not watch.over:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(watch.thread), ctypes.py_object(TooLongError))
        time.sleep(min(left, TICK) if left > 0 else TICK)
    watch.gone = True

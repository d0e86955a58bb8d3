"""A time limit on symbolic work, in any thread."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SECONDS = 60.0


class TooLongError(BaseException):
    """The work was stopped; no `except Exception` inside a library swallows it."""


def seconds_allowed() -> float:
    """The limit for one stage: ATTNC_SYMBOLIC_SECONDS, or a minute."""
    try:
        return float(os.environ["ATTNC_SYMBOLIC_SECONDS"])
    except (KeyError, ValueError):
        return SECONDS


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """The body, stopped with `TooLongError` after this many seconds.

    A timer raises it in this thread: signals would serve the main thread only, and belong to the caller.
    """
    thread, lock, state = threading.get_ident(), threading.Lock(), {"over": False, "raised": False}

    def stop() -> None:
        with lock:
            if not state["over"]:
                state["raised"] = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TooLongError))

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            state["over"] = True
        if state["raised"]:
            _received()


def _received() -> None:
    """Wait for an exception that is on its way: it must not arrive later, in the caller."""
    with suppress(TooLongError):
        for _ in range(100):
            time.sleep(0.001)

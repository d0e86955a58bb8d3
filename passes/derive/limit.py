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
    thread, over, sent = threading.get_ident(), threading.Event(), threading.Event()

    def stop() -> None:
        wait = seconds
        while not over.wait(wait):  # again, should a callback that ignores exceptions have swallowed it
            sent.set()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TooLongError))
            wait = 0.1

    threading.Thread(target=stop, daemon=True).start()
    try:
        yield
    finally:
        _end(over, sent)


def _end(over: threading.Event, sent: threading.Event) -> None:
    """Nothing is sent from now on, and what is on its way arrives here, not later in the caller."""
    while not over.is_set():
        with suppress(TooLongError):
            over.set()
    with suppress(TooLongError):
        for _ in range(100 if sent.is_set() else 0):
            time.sleep(0.001)

"""Many tasks of correctness by several processes: kernels take longer to compile than to run."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, TimeoutError, as_completed
from time import perf_counter

import torch

from attnc.bench.correct import Outcome, Task, outcome

LATE = "not done: time was up"


def outcomes(every: list[Task], seconds: float | None = None, processes: int | None = None) -> Iterator[Outcome]:
    """What comes of each task, as it comes; those that are not done after so many seconds say so."""
    processes = _processes() if processes is None else processes
    if processes < 2:
        yield from _in_turn(every, seconds)
        return
    context = multiprocessing.get_context("spawn")  # a process that has met a GPU cannot be forked
    pool = ProcessPoolExecutor(processes, context, initializer=torch.set_num_threads, initargs=(1,))
    waiting = {pool.submit(outcome, task): task for task in every}
    try:
        for done in as_completed(list(waiting), timeout=seconds):
            task = waiting.pop(done)
            failure = done.exception()  # a process that was killed
            yield done.result() if failure is None else Outcome(task, remark=f"{type(failure).__name__}: {failure}")
    except TimeoutError:
        yield from (Outcome(task, remark=LATE) for task in waiting.values())
    finally:
        workers = list((getattr(pool, "_processes", None) or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()


def _in_turn(every: list[Task], seconds: float | None) -> Iterator[Outcome]:
    start = perf_counter()
    for task in every:
        late = seconds is not None and perf_counter() - start > seconds
        yield Outcome(task, remark=LATE) if late else outcome(task)


def _processes() -> int:
    return min(12, os.cpu_count() or 1)

"""How many threads a kernel may use: PyTorch's number, and one where a fork has lost the pool.

OpenMP's pool of threads does not survive a fork, and a child that waits for it waits for ever.
"""

from __future__ import annotations

import os

import torch

_STATE = {"several at fork": False, "pool is lost": False}


def threads() -> int:
    """PyTorch's number of threads; one in a child of a process that had several."""
    return 1 if _STATE["pool is lost"] else torch.get_num_threads()


def _before() -> None:
    try:
        several = len(os.listdir("/proc/self/task")) > 1
    except OSError:  # no such list: assume the worst
        several = True
    _STATE["several at fork"] = several or _STATE["pool is lost"]


def _in_child() -> None:
    _STATE["pool is lost"] = _STATE["several at fork"]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_child=_in_child)

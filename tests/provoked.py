"""Errors that files, tools and calls provoke: a page begins with the commands, and the rest is what they say.

`$ NAME=value attnc ..` is a command line, `>>> ..` an expression of Python, in a folder with two specs, a
damaged file and two compilers that do not work.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import shlex
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

import attnc
import attnc.integrations.transformers
import attnc.nn
from attnc import AttnError, compiler
from attnc.cli import main
from attnc.cli.reference import run_file
from attnc.codegen import cpp_build
from attnc.ir.target import find_target
from attnc.runtime import build, place, streams
from attnc.runtime.attention import Attention
from attnc.runtime.bind import bind
from attnc.runtime.compiled import CompiledAttention
from attnc.runtime.execute import execute

EXAMPLES = Path(__file__).parents[1] / "examples"
MISTAKES = Path(__file__).parent / "trace" / "mistakes.py"
BROKEN = "#!/bin/sh\necho 'cc1plus: fatal error: this compiler is an empty shell' >&2\nexit 1\n"
REFUSES = (
    '#!/bin/sh\nfor word in "$@"; do case "$word" in *.cpp) source=$word;; esac; done\n'
    'if [ -n "$source" ] && grep -q attnc_run "$source"; then echo "$source:1:1: error: no" >&2; exit 1; fi\n'
    'exec g++ "$@"\n'
)


def heads(page: str) -> list[str]:
    """The commands at the head of a page."""
    return [line for line in page.split("\n") if line.startswith(("$ ", ">>> "))]


def provoked(page: str, folder: Path, patch: pytest.MonkeyPatch) -> str:
    """The page with what its commands say here and now."""
    _furnish(folder, patch)
    lines = heads(page)
    said = [_shell(line[2:], patch) if line.startswith("$ ") else _python(line[4:]) for line in lines]
    return "\n".join([*lines, said[-1].rstrip()])


def _furnish(folder: Path, patch: pytest.MonkeyPatch) -> None:
    for name, example in (("causal", "01_causal_softmax"), ("window", "03_softcap_window")):
        (folder / f"{name}.attn").write_text((EXAMPLES / f"{example}.attn").read_text())
    links = "".join(f"    T{place + 1}[m] = T{place} + X\n" for place in range(2000))
    (folder / "chain.attn").write_text(f"attention chain(X[m]) -> T2000:\n    T0[m] = X\n{links}")
    (folder / "mistakes.py").write_text(MISTAKES.read_text())
    (folder / "fails.py").write_text("import attnc\n\nattention = atnc.jit\n")
    (folder / "damaged.npz").write_text("no archive")
    for name, script in (("broken", BROKEN), ("refuses", REFUSES)):
        (folder / name).write_text(script)
        (folder / name).chmod(0o700)
    patch.chdir(folder)
    patch.setenv("ATTNC_CACHE", str(folder / "cache"))
    patch.delenv("TRITON_INTERPRET", raising=False)
    patch.setitem(sys.modules, "transformers", None)
    patch.setattr(build, "_BUILT", {})
    patch.setattr(import_module("attnc.passes.derive.remembered"), "_KNOWN", {})  # no matter what ran before
    patch.setattr(cpp_build, "compiler", cpp_build.compiler.__wrapped__)


def _shell(line: str, patch: pytest.MonkeyPatch) -> str:
    """What a command line says on standard error; a variable may ask for bad luck."""
    words = shlex.split(line)
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        patch.setenv(name, value)
    if os.environ["ATTNC_CACHE"] == "/full/disk":
        patch.setattr(place, "write", lambda *_: False)
    if os.environ["ATTNC_CACHE"] == "/noexec/disk":
        patch.setattr(ctypes, "CDLL", _cannot_be_loaded)
        patch.setenv("ATTNC_CACHE", "cache")
    if os.environ["ATTNC_CACHE"] == "/no/matplotlib":
        patch.setitem(sys.modules, "matplotlib.figure", None)
    if os.environ["ATTNC_CACHE"] == "/some/bug":
        patch.setattr(compiler, "planned", _fails)
    assert words[0] == "attnc"
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        main(words[1:])
    return said.getvalue()


def _cannot_be_loaded(*_: object) -> None:
    raise OSError("failed to map segment from shared object: Operation not permitted")


def _fails(*_: object) -> None:
    raise KeyError("n")


def _with_less_memory(attention: Attention, *tensors: torch.Tensor) -> None:
    """A call on a GPU that has less shared memory than any tile needs."""
    from triton.runtime.errors import OutOfResources

    def too_large(*_: object) -> None:
        raise OutOfResources(98304, 65536, "shared memory")

    program = attention.program()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "_launch", too_large)
        execute(program, bind(program.stated, tensors, {}), find_target("sm_90"))


def _python(line: str) -> str:
    """What an expression raises."""
    q = torch.zeros(1, 2, 8, 4)
    names = {"attnc": attnc, "Q": q, "K": q.clone(), "V": q.clone(), "causal": attnc.load("causal.attn")}
    if Path("built").is_dir():
        names["compiled"] = CompiledAttention(Path("built"))
    names |= {
        "CompiledAttention": CompiledAttention,
        "Path": Path,
        "torch": torch,
        "make_fx": make_fx,
        "on_a_gpu_with_less_memory": _with_less_memory,
    }
    if "mistakes." in line:
        names["mistakes"] = run_file(Path("mistakes.py").resolve())
    try:
        eval(line, names)
    except AttnError as mistake:
        return str(mistake)
    return ""

"""Pages that are run: what a document shows is what is printed.

A block of `python` runs, all of a page in one module. What it prints stands in the block of `text` that follows, so
does the error of attnc that ends it where its last line says `# an error`. A line `$ attnc ..` in a block is a command,
through a pipe perhaps, with what it prints below it. A block with the name of a file is written to that file.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from attnc import AttnError
from attnc.cli import main

_BLOCK = re.compile(r"^```(?P<kind>\w+)(?: (?P<file>\S+))?\n(?P<text>.*?)^```\n", re.MULTILINE | re.DOTALL)
_SAID = re.compile(r"\n```text\n(?!\$ ).*?^```\n", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (attnc .*)$", re.MULTILINE)


def replayed(page: str, name: str = "page") -> str:
    """The page with what its blocks print here and now; files lie in the current folder."""
    session, parts, end = Session(name), [], 0
    for block in _BLOCK.finditer(page):
        if block.start() < end:
            continue  # what a block of Python printed
        parts.append(page[end : block.start()])
        said = _SAID.match(page, block.end())
        runs = block["kind"] == "python" and block["file"] is None
        end = said.end() if runs and said else block.end()
        parts.append(_shown(block, session))
    return "".join([*parts, page[end:]])


def _shown(block: re.Match[str], session: Session) -> str:
    """A block as it is now, with what it prints."""
    if block["file"] is not None:
        Path(block["file"]).write_text(block["text"])
        return block[0]
    if block["kind"] == "python":
        said = session.run(block["text"])
        return block[0] + (f"\n```text\n{said}```\n" if said else "")
    commands = _COMMAND.findall(block["text"])
    return f"```{block['kind']}\n{''.join(map(printed, commands))}```\n" if commands else block[0]


def printed(command: str) -> str:
    """A command line and what it prints; what follows a pipe is the shell's."""
    line, pipe, rest = command.partition(" | ")
    said = _heard(lambda: _command(shlex.split(line)[1:]))
    if pipe:
        said = subprocess.run(rest, shell=True, check=True, input=said, stdout=subprocess.PIPE, text=True).stdout
    return f"$ {command}\n{said}"


def _command(words: list[str]) -> None:
    assert main(words) != 3, f"a bug in attnc ends {words}"


@dataclass
class Session:
    """The Python of a page: one module, and one file in whose lines errors have their places."""

    name: str
    text: str = ""

    def __post_init__(self) -> None:
        """The module is one that others can import, as compilers do."""
        sys.modules[self.name] = ModuleType(self.name)

    def run(self, code: str) -> str:
        """What a block prints."""
        file, before = f"{self.name}.py", self.text.count("\n")
        self.text += code
        linecache.cache[file] = (len(self.text), None, self.text.splitlines(keepends=True), file)
        run = compile("\n" * before + code, file, "exec")
        return _heard(lambda: self._runs(run, fails=code.endswith("# an error\n")))

    def _runs(self, code: CodeType, *, fails: bool) -> None:
        """Runs a block that fails as it should, or not at all."""
        try:
            exec(code, vars(sys.modules[self.name]))
        except AttnError as mistake:
            if not fails:
                raise
            print(mistake)
        else:
            assert not fails, "this should be an error"


def _heard(run: Callable[[], Any]) -> str:
    """What is printed, on both streams; warnings are no part of a page."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run()
    return said.getvalue()

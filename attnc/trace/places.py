"""Places in a Python program: what a frame evaluates, and where a parameter stands; looked up when asked for."""

from __future__ import annotations

import ast
import linecache
import os
import sys
from types import CodeType, FrameType
from typing import Any

from attnc.source import NOWHERE, Source, Span

_Extent = tuple[Source, int, int]
_ROADS = ("attnc", "torch", "functools", "contextlib")  # modules whose frames are on the way, never the user's


class Place(Span):
    """A piece of a function: what the instruction at `at` evaluates, or the parameter of that name.

    Most are never asked for, so that nothing is read before one is.
    """

    __slots__ = ("at", "code", "names")

    code: CodeType
    names: dict[str, Any]
    at: int | str

    def __init__(self, code: CodeType, names: dict[str, Any], at: int | str) -> None:
        """Keeps the function's code and the names of its module."""
        for name, value in (("code", code), ("names", names), ("at", at)):
            object.__setattr__(self, name, value)

    def _extent(self) -> _Extent:
        return _found(self.code, self.names, self.at)

    @property
    def source(self) -> Source:
        """The Python file, or what stands for one that is not at hand."""
        return self._extent()[0]

    @property
    def start(self) -> int:
        """The offset of the first character."""
        return self._extent()[1]

    @property
    def end(self) -> int:
        """The offset behind the last character."""
        return self._extent()[2]


def user_frame() -> FrameType | None:
    """The user's innermost function that runs now."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _ROADS:
            return frame
        frame = frame.f_back
    return None


def here() -> Span:
    """What the user's innermost function evaluates now."""
    frame = user_frame()
    return NOWHERE if frame is None else Place(frame.f_code, frame.f_globals, frame.f_lasti)


def _found(code: CodeType, names: dict[str, Any], at: int | str) -> _Extent:
    lines = linecache.getlines(code.co_filename, names)
    if len(lines) < _line_of(code, at):  # or it was cut short since
        return _not_at_hand(code, at)
    source = Source(_shown(code.co_filename), "".join(lines))
    if isinstance(at, str):
        return _parameter(source, code, at)
    return _evaluated(source, code, at)


def _shown(path: str) -> str:
    """A path as it is said: relative to the working folder where it lies in it."""
    folder = os.path.join(os.getcwd(), "")
    return path.removeprefix(folder)


def _line_of(code: CodeType, at: int | str) -> int:
    line = None if isinstance(at, str) else list(code.co_positions())[at // 2][0]
    return line or code.co_firstlineno


def _not_at_hand(code: CodeType, at: int | str) -> _Extent:
    """A function typed into an interpreter: its name and line are all there is."""
    line = _line_of(code, at)
    text = f"(in `{code.co_name}`, whose source is not at hand)"
    return Source(code.co_filename, "\n" * (line - 1) + text), line - 1, line - 1 + len(text)


def _evaluated(source: Source, code: CodeType, at: int) -> _Extent:
    first, last, column, end = list(code.co_positions())[at // 2]
    if first is None or column is None or end is None:  # Python was told to keep no columns
        return _whole(source, _line_of(code, at))
    return source, _offset(source, first, column), _offset(source, min(last or first, len(source.lines)), end)


def _offset(source: Source, line: int, column: int) -> int:
    """The offset of a column, which Python counts in bytes."""
    before = source.lines[line - 1].encode()[:column].decode(errors="replace")
    return source.starts[line - 1] + len(before)


def _whole(source: Source, line: int) -> _Extent:
    text = source.lines[line - 1]
    start = source.starts[line - 1]
    return source, start + len(text) - len(text.lstrip()), start + len(text)


def _parameter(source: Source, code: CodeType, name: str) -> _Extent:
    """Where a function's parameter is declared, else the function's head."""
    function = _definition(source, code)
    if function is None:
        return _whole(source, code.co_firstlineno)
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    for item in every:
        if item.arg == name:
            start = _offset(source, item.lineno, item.col_offset)
            return source, start, _offset(source, item.end_lineno or item.lineno, item.end_col_offset or 0)
    return _whole(source, function.lineno)


def _definition(source: Source, code: CodeType) -> ast.FunctionDef | None:
    try:
        tree = ast.parse(source.text)
    except (SyntaxError, ValueError):  # a line of a notebook that is no Python
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
            if first <= code.co_firstlineno <= node.lineno:
                return node
    return None

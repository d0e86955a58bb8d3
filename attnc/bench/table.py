"""Measurements as lines of text, as Markdown, and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import torch

from attnc.bench.header import Header
from attnc.bench.measure import OURS, Measurement
from attnc.bench.suite import TYPES

LEFT = ("row", "type", "pass")
DASH = "-"
UNITS = {"cpu": ("GF/s", 1e9), "cuda": ("TF/s", 1e12)}
CASE = {"row": 13, "B": 3, "H": 5, "M": 5, "N": 6, "D": 3, "type": 4, "pass": 8}
LEGEND = (
    "x NAME: its time over attnc's; medians of interleaved rounds.",
    "F/s: 4 D operations forward and 10 D backward for each visible score, counted one by one.",
    "peak: the share of PyTorch's best matrix product in the same type, which need not be the fastest that there is.",
    "error: the largest over what the numerics contract allows; up to 1 passes, and only then a time counts.",
)


def type_name(dtype: torch.dtype) -> str:
    """The name of a type in the table."""
    return next(name for name, known in TYPES.items() if known == dtype)


@dataclass(frozen=True)
class Layout:
    """The columns of a table on a device, beside these peers."""

    device: str
    peers: tuple[str, ...]

    @property
    def widths(self) -> dict[str, int]:
        """The columns and how wide they are printed."""
        ratios = {f"x {name}": max(6, len(name) + 2) for name in self.peers}
        times = {f"{name} ms": max(8, len(name) + 3) for name in (OURS, *self.peers)}
        return {**CASE, **ratios, UNITS[self.device][0]: 6, "peak": 5, **times, "error": 5}

    @property
    def head(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.widths)

    def cells(self, item: Measurement, head: Header) -> tuple[str, ...]:
        """The cells of one line, in the order of the columns."""
        case = item.case
        heads = f"{case.heads}:{case.key_heads}" if case.key_heads != case.heads else str(case.heads)
        extents = (str(case.batch), heads, str(case.queries), str(case.keys), str(case.width))
        ratios = (_ratio(item.times(name)) for name in self.peers)
        rate = (_rate(item, UNITS[self.device][1]), _share(item, head))
        times = (_milliseconds(item, name) for name in (OURS, *self.peers))
        error = f"{item.errors[OURS]:.2f}" if item.passed else f"FAILS {item.errors[OURS]:.3g}"
        return (case.row.name, *extents, type_name(case.dtype), item.direction, *ratios, *rate, *times, error)

    def line(self, texts: Iterable[str]) -> str:
        """Cells as one line of text."""
        pairs = zip(self.widths.items(), texts, strict=True)
        parts = (f"{text:<{width}}" if name in LEFT else f"{text:>{width}}" for (name, width), text in pairs)
        return " ".join(parts).rstrip()


def _ratio(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"


def _rate(item: Measurement, unit: float) -> str:
    return DASH if item.rate is None else f"{item.rate / unit:.1f}"


def _share(item: Measurement, head: Header) -> str:
    peak = head.peaks[type_name(item.case.dtype)]
    return DASH if item.rate is None else f"{100 * item.rate / peak:.0f} %"


def _milliseconds(item: Measurement, name: str) -> str:
    if name not in item.seconds or (name == OURS and not item.passed):
        return DASH
    value = 1e3 * item.seconds[name]
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def remarks(items: Iterable[Measurement]) -> Iterator[str]:
    """Why a cell is a dash, which results fail, and which peers err by more than attnc may; each said once."""
    said: dict[tuple[str, str], dict[str, None]] = {}
    for item in items:
        name, kind = item.case.row.name, f"{type_name(item.case.dtype)} {item.direction}"
        for peer, reason in item.missing.items():
            said.setdefault((peer, reason), {})[name] = None
        for peer, error in item.errors.items():
            if peer != OURS and not error <= 1:
                said.setdefault((peer, "errs by more than the contract allows"), {})[
                    f"{name} ({kind}, {error:.3g})"
                ] = None
        if not item.passed and OURS not in item.missing:
            said.setdefault((OURS, "FAILS the numerics contract, its time does not count"), {})[f"{name} ({kind})"] = (
                None
            )
    for (peer, reason), names in said.items():
        yield f"{peer}, {', '.join(names)}: {reason}"


def markdown(
    head: Header, layout: Layout, items: list[Measurement], before: Iterable[str], notes: Iterable[str]
) -> str:
    """The whole table as a page of Markdown, with other parts before it and notes after it."""
    rows = [layout.cells(item, head) for item in items]
    marks = (":--" if name in LEFT else "--:" for name in layout.head)
    table = [f"| {' | '.join(texts)} |" for texts in (layout.head, tuple(marks), *rows)]
    legend, facts, told = map(_points, (LEGEND, head.lines(), notes))
    title = f"# attnc beside PyTorch on a {'CPU' if layout.device == 'cpu' else 'GPU'}"
    return "\n\n".join(filter(None, (title, legend, facts, *before, "\n".join(table), told))) + "\n"


def _points(texts: Iterable[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)


def plain(head: Header, layout: Layout, items: Iterable[Measurement]) -> dict[str, Any]:
    """The table as values for JSON; times in milliseconds, rates in operations a second."""
    return {**asdict(head), "measurements": [_plain(item, layout.peers) for item in items]}


def _plain(item: Measurement, peers: Iterable[str]) -> dict[str, Any]:
    case = item.case
    extents = {name: getattr(case, name) for name in ("batch", "heads", "key_heads", "queries", "keys", "width")}
    return {
        "row": case.row.name,
        **extents,
        "dtype": type_name(case.dtype),
        "device": case.device,
        "direction": item.direction,
        "passed": item.passed,
        "ratios": {peer: item.times(peer) for peer in peers},
        "rate": item.rate,
        "operations": item.operations,
        "rounds": item.rounds,
        "milliseconds": {name: 1e3 * value for name, value in item.seconds.items()},
        "fastest": {name: 1e3 * value for name, value in item.fastest.items()},
        "errors": {name: value if isfinite(value) else None for name, value in item.errors.items()},
        "missing": dict(item.missing),
    }

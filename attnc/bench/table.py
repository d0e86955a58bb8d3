"""Measurements as lines of text, as Markdown, and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from math import isfinite
from typing import Any

import torch

from attnc.bench.header import Header
from attnc.bench.measure import FLEX, OURS, SDPA, Measurement

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
HEAD = (
    *("row", "B", "H", "M", "N", "D", "type", "pass", "x SDPA", "x Flex", "GF/s", "peak"),
    *("attnc ms", "SDPA ms", "Flex ms", "error"),
)
WIDTHS = (13, 2, 4, 5, 5, 3, 4, 8, 6, 6, 6, 5, 8, 8, 8, 5)
LEFT = ("row", "type", "pass")
DASH = "-"
LEGEND = (
    "x SDPA, x Flex: their time over attnc's; medians of interleaved rounds.",
    "GF/s: 4 D operations forward and 10 D backward for each visible score, counted one by one.",
    "peak: the share of PyTorch's best matrix product in the same type, which need not be the fastest that there is.",
    "error: the largest over what the numerics contract allows; up to 1 passes, and only then a time counts.",
)


def type_name(dtype: torch.dtype) -> str:
    """The name of a type in the table."""
    return next(name for name, known in TYPES.items() if known == dtype)


def cells(item: Measurement, head: Header) -> tuple[str, ...]:
    """The cells of one line, in the order of HEAD."""
    case = item.case
    heads = f"{case.heads}:{case.key_heads}" if case.key_heads != case.heads else str(case.heads)
    extents = (str(case.batch), heads, str(case.queries), str(case.keys), str(case.width))
    ratios = (_ratio(item.times(SDPA)), _ratio(item.times(FLEX)))
    rate = (_rate(item), _share(item, head))
    times = (_milliseconds(item, name) for name in (OURS, SDPA, FLEX))
    error = f"{item.errors[OURS]:.2f}" if item.passed else f"FAILS {item.errors[OURS]:.3g}"
    return (case.row.name, *extents, type_name(case.dtype), item.direction, *ratios, *rate, *times, error)


def _ratio(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"


def _rate(item: Measurement) -> str:
    return DASH if item.rate is None else f"{item.rate / 1e9:.1f}"


def _share(item: Measurement, head: Header) -> str:
    peak = head.peaks[type_name(item.case.dtype)]
    return DASH if item.rate is None else f"{100 * item.rate / peak:.0f} %"


def _milliseconds(item: Measurement, name: str) -> str:
    counts = name in item.seconds and (item.passed or name != OURS)
    return f"{1e3 * item.seconds[name]:.2f}" if counts else DASH


def line(texts: Iterable[str]) -> str:
    """Cells as one line of text."""
    pairs = zip(HEAD, WIDTHS, texts, strict=True)
    return " ".join(f"{text:<{width}}" if name in LEFT else f"{text:>{width}}" for name, width, text in pairs).rstrip()


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
        if not item.passed:
            said.setdefault((OURS, "FAILS the numerics contract, its time does not count"), {})[f"{name} ({kind})"] = (
                None
            )
    for (peer, reason), names in said.items():
        yield f"{peer}, {', '.join(names)}: {reason}"


def markdown(head: Header, items: list[Measurement]) -> str:
    """The whole table as a page of Markdown."""
    rows = [cells(item, head) for item in items]
    marks = (":--" if name in LEFT else "--:" for name in HEAD)
    table = [f"| {' | '.join(texts)} |" for texts in (HEAD, tuple(marks), *rows)]
    legend, facts, notes = map(_points, (LEGEND, head.lines(), remarks(items)))
    parts = (f"# attnc beside PyTorch on a {items[0].case.device.upper()}", legend, facts, "\n".join(table), notes)
    return "\n\n".join(filter(None, parts)) + "\n"


def _points(texts: Iterable[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)


def plain(head: Header, items: Iterable[Measurement]) -> dict[str, Any]:
    """The table as values for JSON; times in milliseconds, rates in operations a second."""
    return {**asdict(head), "measurements": [_plain(item) for item in items]}


def _plain(item: Measurement) -> dict[str, Any]:
    case = item.case
    extents = {name: getattr(case, name) for name in ("batch", "heads", "key_heads", "queries", "keys", "width")}
    return {
        "row": case.row.name,
        **extents,
        "dtype": type_name(case.dtype),
        "device": case.device,
        "direction": item.direction,
        "passed": item.passed,
        "ratios": {peer: item.times(peer) for peer in (SDPA, FLEX)},
        "rate": item.rate,
        "operations": item.operations,
        "rounds": item.rounds,
        "milliseconds": {name: 1e3 * value for name, value in item.seconds.items()},
        "fastest": {name: 1e3 * value for name, value in item.fastest.items()},
        "errors": {name: value if isfinite(value) else None for name, value in item.errors.items()},
        "missing": dict(item.missing),
    }

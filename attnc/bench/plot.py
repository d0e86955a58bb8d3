"""The ratios of a table as bars, a panel for each type and width."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attnc.bench.header import Header
from attnc.bench.measure import Measurement
from attnc.bench.table import Layout, type_name
from attnc.diagnostics import error


def canvas() -> Any:
    """matplotlib's figure class; error A510 where it is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        helps = ("pip install 'attnc[bench]'",)
        raise error("A510", "`--plot` needs matplotlib, which is not installed", helps=helps) from None
    return Figure


def plot(head: Header, layout: Layout, items: Iterable[Measurement], path: Path) -> None:
    """Write the picture, PNG or SVG by the file's ending."""
    panels: dict[tuple[str, int], list[Measurement]] = {}
    for item in items:
        panels.setdefault((type_name(item.case.dtype), item.case.width), []).append(item)
    figure = canvas()(figsize=(11, 3.6 * len(panels) + 0.6), layout="constrained")
    figure.suptitle(f"their time over attnc's: {head.place}", fontsize=10)
    places = figure.subplots(len(panels), squeeze=False)[:, 0] if panels else ()
    for axes, ((dtype, width), group) in zip(places, panels.items(), strict=True):
        _bars(axes, group, layout.peers)
        axes.set_title(f"{dtype}, D = {width}", fontsize=9)
    figure.savefig(path)


def _bars(axes: Any, items: list[Measurement], peers: tuple[str, ...]) -> None:
    labels = list(dict.fromkeys(_label(item) for item in items))
    series = [(direction, peer) for direction in ("forward", "backward") for peer in peers]
    measured = {(item.direction, peer) for item in items for peer in item.seconds}
    series = [pair for pair in series if pair in measured]
    step = 0.8 / max(len(series), 1)
    for place, (direction, peer) in enumerate(series):
        own = [item for item in items if item.direction == direction]
        values = {_label(item): item.times(peer) for item in own}
        at = [number + step * (place - (len(series) - 1) / 2) for number in range(len(labels))]
        axes.bar(at, [values.get(label) or 0.0 for label in labels], 0.93 * step, label=f"{peer}, {direction}")
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(labels)), labels, rotation=20, ha="right", fontsize=8)
    axes.legend(fontsize=8)


def _label(item: Measurement) -> str:
    return f"{item.case.row.name} {item.case.keys}"

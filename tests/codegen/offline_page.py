"""The page on compiled kernels: a table for each target, and how much of the whole it tells of."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping

from tests.codegen.offline import ROOT, TARGETS, Entry, Row

HEAD = (
    *("attention", "D", "kernel", "tile", "warps", "registers", "spills", "shared", "occupancy", "cycles", "a score"),
    *("matrix", "functions", "real", "shared ops", "global", "other"),
)
OTHER = ("control", "conversions", "integer")


Found = Mapping[Entry, list[Row] | str | None]


def page(found: Found) -> str:
    """The report: how much of the whole it tells of, a table for each target, a line for each kernel."""
    lines = ["# Kernels compiled for GPUs", "", *_introduction(), "", *_extent(found)]
    for target in TARGETS:
        rows = [(entry, row) for entry, own in found.items() if entry.target == target for row in _rows(own)]
        if rows:
            head = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
            lines += ["", f"## {target}", "", *_summary(rows), "", *head]
            lines += ["| " + " | ".join(_cells(entry, row)) + " |" for entry, row in rows]
    return "\n".join(lines) + "\n"


def _rows(own: list[Row] | str | None) -> list[Row]:
    return own if isinstance(own, list) else []


def _introduction() -> Iterator[str]:
    version = importlib.metadata.version("triton")
    yield f"bf16, by Triton {version}, on a machine without a GPU: no figure on this page was measured on one. A row is"
    yield "a kernel with the tiles that a call would settle on: what it takes, and what a turn of the loop over whole"
    yield "tiles is made of, counted in the disassembly. `cycles` is what `passes/tile_model.py` expects for"
    yield "a score and multiprocessor; `a score` are the instructions of all threads."
    yield "Written by `.venv/bin/python -m tests.codegen.offline`."


def _extent(found: Found) -> Iterator[str]:
    """How many of the kernels there are have been compiled, and which cannot be."""
    yield "| target | forward compiled | of | backward compiled | of |"
    yield "| --- | --- | --- | --- | --- |"
    for target in TARGETS:
        counts = []
        for backward in (False, True):
            own = [rows for entry, rows in found.items() if (entry.target, entry.backward) == (target, backward)]
            counts += [str(sum(isinstance(rows, list) for rows in own)), str(len(own))]
        yield f"| {target} | {' | '.join(counts)} |"
    yield ""
    yield "Counted are attentions at a width, forward and backward apart; what has not been compiled has no row."
    faults = {str(entry): own for entry, own in found.items() if isinstance(own, str)}
    if faults:
        yield f"{len(faults)} cannot be compiled: " + "; ".join(
            f"{name} (`{_short(own)}`)" for name, own in faults.items()
        )


def _short(fault: str) -> str:
    return fault.splitlines()[0][:120].replace("`", "'").replace("|", "/")


def _summary(own: list[tuple[Entry, Row]]) -> Iterator[str]:
    spilled = [(entry, row) for entry, row in own if row["resources"]["spills"]]
    kinds = sorted({kind for _, row in own for kind in row["report"].get("matrix", ())})
    told = f"{len(spilled)} spill" if spilled else "none spills"
    yield f"{len(own)} kernels; {told}. Matrix instructions: {', '.join(kinds)}."
    if spilled:
        yield ""
    for entry, row in spilled:
        name = f"{entry.name} D = {entry.width} {row['role']}"
        yield f"- {name}: {row['resources']['spills']} bytes; {_reason(row)}"


def _reason(row: Row) -> str:
    """Why a kernel spills, as far as what the model of tiles expects of it tells."""
    if row["expected"] is None:
        return "it has no tiles to choose from"
    needed, given = row["expected"]
    why = "more than there are" if needed > given else "the assembler takes more"
    return f"{needed} of {given} registers by the model, {why}; of the tiles tried this one spills least"


def _cells(entry: Entry, row: Row) -> tuple[str, ...]:
    took, told = row["resources"], row["report"]
    loop: dict[str, int] = told.get("loop", {})
    counts = [loop.get(kind, 0) for kind in ("matrix", "functions", "real", "shared", "global")]
    counts.append(sum(loop.get(kind, 0) for kind in OTHER))
    return (
        *(entry.name, str(entry.width), row["role"], " x ".join(map(str, told["tile"])), str(told["warps"])),
        *(str(took["registers"]), str(took["spills"]), f"{took['shared'] / 1024:.0f} KiB", f"{took['occupancy']:.3g}"),
        *(f"{told['cycles']:.3g}", f"{told['per_score']}" if loop else "-"),
        *(str(count) if loop else "-" for count in counts),
    )


def write_page(found: Found) -> None:
    """Write docs/triton.md."""
    (ROOT / "docs" / "triton.md").write_text(page(found), encoding="utf-8")

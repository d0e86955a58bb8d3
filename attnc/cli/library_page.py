"""The page of the library: a line and a picture for each entry, and for each mask; written by `attnc list --pages`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from attnc.diagnostics import AttnError
from attnc.grammar.read import read
from attnc.library import Spec, find, module_name, standard_files
from attnc.runtime.catalogue import Entry
from attnc.runtime.picture import Picture, picture
from attnc.source import Source

HEAD = """# The standard library

Written by `attnc list --pages docs`; edit the specs, not this file. `std:NAME` is an attention, `std:FILE` the last one
of a file. Passes are as written / as derived / the least that any way needs. *Fused* is what runs by generated kernels
alone beside steps over single positions, on CPUs and on GPUs; codes say why something does not, or not in one pass.
`attnc explain std:NAME` tells all of it. Pictures have a row for each query and a column for each key. How fast entries
are on a CPU beside plain PyTorch stands in [library-speed.md](library-speed.md).
"""
COLUMNS = "| | mask | passes | fused | codes |\n|---|---|---|---|---|"
NOTES = {
    "probes": """Measures of one call, given out beside its output; docstrings say how many passes they add. What is no
function of one call is not here: scores of benchmarks (of CAB, the test of causality is made of every causal entry by
the tests), how measures move in training, effects that compare several runs of a model, maximum flow.""",
}
# what the parameters of masks stand for in their pictures
SHOWN = {"W": 6, "SINK": 2, "B": 6, "D": 3, "len": 8, "own": "m // 8", "other": "n // 8"}


def write_pages(entries: Iterable[Entry], folder: Path) -> None:
    """`library.md` in a folder, and the pictures beside it."""
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    for old in (folder / "masks").glob("*.svg"):
        old.unlink()
    lines = [HEAD, *_masks(folder), *_entries(entries, folder)]
    (folder / "library.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _entries(entries: Iterable[Entry], folder: Path) -> Iterator[str]:
    family = None
    for item in entries:
        if item.family != family:
            family = item.family
            note = f"{NOTES[family]}\n\n" if family in NOTES else ""
            yield f"\n## {family}\n\n{note}{COLUMNS}"
        yield _line(item, _drawn(picture(find(f"std:{item.name}")), item.name, folder))


def _line(item: Entry, mask: str) -> str:
    passes = ", ".join(f"{row['written']}/{row['derived']}/{row['bound']} {n}" for n, row in item.passes.items())
    fused = ", ".join(way for way, whole in item.fused.items() if whole) or "no"
    others = [f"`{name}`" for name in item.attentions if name != item.name]
    more = f"<br>with {', '.join(others)}" if others else ""
    paper = f"<br>*{item.paper}*" if item.paper and item.paper not in item.summary else ""
    sure = f"<br>confidence: {item.confidence}" if item.confidence != "high" else ""
    said = _cell(f"`{item.name}` {item.summary}{paper}{more}{sure}")
    return f"| {said} | {mask or ', '.join(item.patterns)} | {passes} | {fused} | {', '.join(item.refusals)} |"


def _drawn(found: Picture | None, name: str, folder: Path) -> str:
    """The picture as the page shows it; its file is written."""
    if found is None:
        return ""
    (folder / "masks" / f"{name}.svg").write_text(found.svg, encoding="utf-8")
    options = ", ".join(f"{option} = {value}" for option, value in found.options.items())
    return f"![{name}](masks/{name}.svg){f'<br>{options}' if options else ''}"


# ---- masks --------------------------------------------------------------------------------------


def _masks(folder: Path) -> Iterator[str]:
    yield "\n## Masks\n\n| `use` | mask | |\n|---|---|---|"
    for file in standard_files():
        for name, parameters, value in re.findall(r"^mask (\w+)\(([^)]*)\) = (.*)$", read(file).text, re.MULTILINE):
            shown = _drawn(picture_of_mask(module_name(file), name, parameters), f"mask_{name}", folder)
            yield f"| `{module_name(file)}: {name}({parameters})` | {shown} | `{_cell(value)}` |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def picture_of_mask(module: str, name: str, parameters: str) -> Picture | None:
    """A mask over plain scores, its further parameters as `SHOWN` has them."""
    plain, _, options = parameters.partition(";")
    names = [item.strip() for item in plain.split(",")]
    values = [item if item in ("m", "n") else str(SHOWN.get(item, 4)) for item in names]
    asked = [item.partition(":")[0].strip() for item in options.split(",") if item.strip() and "=" not in item]
    named = [f"{item} = {SHOWN.get(item, 4)}" for item in asked]
    call = f"{name}({', '.join(values)}{'; ' + ', '.join(named) if named else ''})"
    text = (
        f"use {module}: {name}\nattention shown(Q[m,e], K[n,e], V[n,f]) -> O:\n    index N - M <= m < N\n"
        f"    O[m,f] = softmax[n](sum[e](Q * K) where {call}) * V\n"
    )
    try:
        return picture(Spec(Source(name, text), None, None))
    except AttnError:  # of what its parameters stand for nothing is known
        return None

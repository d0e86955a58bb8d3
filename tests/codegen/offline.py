"""Every example and library entry compiled for GPUs that are not here: rows of facts, kept between runs, and a page.

A row is kept in .offline/ under a name that depends on the compiler, the library and Triton, so that a run that was cut
off goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import attnc
from attnc.library import standard_attentions, standard_files
from attnc.runtime.cache import compiler_digest
from attnc.runtime.explain_backward import whole_backward
from attnc.runtime.folder import entry as facts
from attnc.runtime.kernels import kernels, report, settled

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".offline"
TARGETS = ("sm_80", "sm_90", "sm_100", "gfx942")
WIDTHS = (64, 128)
SMALL = 16
EXAMPLES = sorted((ROOT / "examples").glob("[01]*.attn"))[:11]
Row = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One attention at one width for one target."""

    spec: str
    width: int
    target: str

    def __str__(self) -> str:
        """The entry's name in the tests."""
        return f"{self.name}-{self.width}-{self.target}"

    @property
    def name(self) -> str:
        """What a reader calls it."""
        return self.spec if self.spec.startswith("std:") else Path(self.spec).stem

    def rows(self) -> list[Row]:
        """A row for each kernel, forward and backward; compiled now unless they are kept."""
        key = (compiler_digest(), _texts(), importlib.metadata.version("triton"), self.spec, self.width, self.target)
        file = KEPT / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}.json"
        if not file.exists():
            text = json.dumps(self._compiled())
            KEPT.mkdir(exist_ok=True)
            file.write_text(text)
        found: list[Row] = json.loads(file.read_text())
        return found

    def _compiled(self) -> list[Row]:
        words = ("--target", self.target, "--dtype", "bf16", "--backward", "--report", "--json")
        environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
        shape = ",".join(f"{index}={extent}" for index, extent in self._extents().items())
        options = [word for name in attnc.load(self.spec).signature.needed for word in ("--option", f"{name}=2")]
        command = [sys.executable, "-m", "attnc", "compile", self.spec, *words, *options]
        done = subprocess.run(
            [*command, *(["--shape", shape] if shape else [])],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stderr
        found: list[Row] = json.loads(done.stdout)
        return found

    def _extents(self) -> dict[str, int]:
        """What is compiled in: the last axes of tensors as wide as asked, anything else small."""
        attention = attnc.load(self.spec)
        program = attention.program(dict.fromkeys(attention.signature.needed, 2))
        steps = [own for _, own in whole_backward(program).steps if own is not None]
        every = [
            index for one in (program, *steps) for stage in one.streams for index in one.needs[stage.name].compiled_in
        ]
        last = {item.indices[-1] for item in program.stated.inputs if item.type == "real" and len(item.indices) > 1}
        known = {index for item in program.stated.inputs for index in item.indices}
        return {i: self.width if i in last else SMALL for i in dict.fromkeys(every) if i in known}


def _texts() -> str:
    files = [*standard_files(), *EXAMPLES]
    return hashlib.sha256("".join(file.read_text() for file in sorted(files)).encode()).hexdigest()


def entries(specs: Iterable[str], widths: Iterable[int] = WIDTHS, targets: Iterable[str] = TARGETS) -> list[Entry]:
    """Every combination."""
    return [Entry(spec, width, target) for spec in specs for width in widths for target in targets]


def examples() -> list[str]:
    """The examples that can be compiled, as paths from the root."""
    return [str(path.relative_to(ROOT)) for path in EXAMPLES]


def library() -> list[str]:
    """The library's attentions; one without a streamed stage has no kernel, and no row."""
    return [f"std:{name}" for name in sorted(standard_attentions())]


def forward(specs: Iterable[str], widths: Collection[int], target: str) -> Iterator[Row]:
    """The forward kernels' rows, compiled in this process."""
    for spec in specs:
        program = attnc.load(spec).program()
        indices = {index for item in program.stated.inputs for index in item.indices} & {"d", "e", "f"}
        for width in widths:
            for kernel in kernels(program, target, "bf16", dict.fromkeys(indices, width)).values():
                made, _, resources = settled(kernel)
                yield {"spec": spec, "width": width, **facts(made, resources), "report": report(made)}


# ---- the page -----------------------------------------------------------------------------------

HEAD = (
    *("attention", "D", "kernel", "tile", "warps", "registers", "spills", "shared", "occupancy", "cycles", "a score"),
    *("matrix", "functions", "real", "shared ops", "global", "other"),
)
OTHER = ("control", "conversions", "integer")


def page(found: dict[Entry, list[Row]]) -> str:
    """The report: a table for each target, a line for each kernel."""
    lines = ["# Kernels compiled for GPUs", "", *_introduction()]
    for target in dict.fromkeys(entry.target for entry in found):
        own = [(entry, row) for entry, rows in found.items() if entry.target == target for row in rows]
        lines += [
            "",
            f"## {target}",
            "",
            *_summary(own),
            "",
            "| " + " | ".join(HEAD) + " |",
            "|" + " --- |" * len(HEAD),
        ]
        lines += ["| " + " | ".join(_cells(entry, row)) + " |" for entry, row in own]
    return "\n".join(lines) + "\n"


def _introduction() -> Iterator[str]:
    version = importlib.metadata.version("triton")
    yield f"bf16, by Triton {version}, on a machine without a GPU: what the compiled kernels take, and what a turn of"
    yield "the loop over whole tiles is made of, counted in the disassembly. `cycles` is what the model of"
    yield "`passes/tiles.py` expects for a score and multiprocessor; `a score` are the instructions of all threads."
    yield "Written by `.venv/bin/python -m tests.codegen.offline`."


def _summary(own: list[tuple[Entry, Row]]) -> Iterator[str]:
    spilled = [f"{entry.name} D = {entry.width} {row['role']}" for entry, row in own if row["resources"]["spills"]]
    kinds = sorted({kind for _, row in own for kind in row["report"].get("matrix", ())})
    told = f"; {len(spilled)} spill: {', '.join(spilled)}" if spilled else "; none spills"
    yield f"{len(own)} kernels{told}. Matrix instructions: {', '.join(kinds)}."


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


def write_page(file: Path = ROOT / "docs" / "triton.md") -> None:
    """Compile what is not kept, and write the report."""
    specs = [*examples(), *library()]
    found = {entry: entry.rows() for target in TARGETS for entry in entries(specs, targets=[target])}
    file.parent.mkdir(exist_ok=True)
    file.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":  # away from a process that interprets: nothing, or TARGET WIDTH,.. SPEC .. for rows as JSON
    if len(sys.argv) == 1:
        write_page()
    else:
        widths = [int(width) for width in sys.argv[2].split(",")]
        print(json.dumps(list(forward(sys.argv[3:], widths, sys.argv[1]))))

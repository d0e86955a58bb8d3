"""Every example and library entry compiled for GPUs that are not here: facts of each kernel, kept between runs.

What a kernel takes is kept in .offline/ under a digest of what its machine code is made from: the generated source, its
signature, its warps and stages, the target and Triton. A run that was cut off goes on where it stopped, and a change of
the compiler costs the kernels whose text it changes.

`python -m tests.codegen.offline` compiles everything that is not kept, examples first, and writes docs/triton.md, also
where it is interrupted, of what there is then;
`.. --kept` writes it from what is kept; `.. NAME ..` compiles the entries of these names, as the tests print them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import attnc
from attnc.codegen.offline import Resources, identity
from attnc.codegen.triton_values import Printer
from attnc.library import standard_attentions
from attnc.runtime.explain_backward import whole_backward
from attnc.runtime.folder import entry as described
from attnc.runtime.kernels import (
    GeneratedKernel,
    backward_kernels,
    chosen,
    instructions,
    kernels,
    over,
    told,
)
from attnc.runtime.program import Program

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".offline"
TARGETS = ("sm_80", "sm_90", "sm_100", "gfx942")
WIDTHS = (64, 128)
SMALL = 16
EXAMPLES = sorted((ROOT / "examples").glob("[01]*.attn"))[:11]
Row = dict[str, Any]


class MissingError(Exception):
    """A kernel that is not kept, in a process that may not compile it."""


@dataclass(frozen=True)
class Entry:
    """The forward or the backward of one attention at one width for one target."""

    spec: str
    width: int
    target: str
    backward: bool = False

    def __str__(self) -> str:
        """The entry's name in the tests."""
        return f"{self.name}-{self.width}-{self.target}" + ("-backward" if self.backward else "")

    @property
    def name(self) -> str:
        """What a reader calls it."""
        return self.spec if self.spec.startswith("std:") else Path(self.spec).stem

    def rows(self, *, make: bool = True) -> list[Row]:
        """A row for each kernel; what is not kept is compiled, or a `MissingError`."""
        program = program_of(self.spec)
        made = (backward_kernels if self.backward else kernels)(program, self.target, "bf16", self._extents(program))
        return [row(kernel, make=make) for kernel in made.values()]

    def _extents(self, program: Program) -> dict[str, int]:
        """What is compiled in: the last axes of tensors as wide as asked, anything else small."""
        last = {item.indices[-1] for item in program.stated.inputs if item.type == "real" and len(item.indices) > 1}
        known = {index for item in program.stated.inputs for index in item.indices}
        return {i: self.width if i in last else SMALL for i in _compiled_in(program) if i in known}


@cache
def program_of(spec: str) -> Program:
    """The program of a spec, each option that it needs 2."""
    attention = attnc.load(spec)
    return attention.program(dict.fromkeys(attention.signature.needed, 2))


@cache
def _compiled_in(program: Program) -> tuple[str, ...]:
    steps = [own for _, own in whole_backward(program).steps if own is not None]
    return tuple(
        {
            index: None
            for one in (program, *steps)
            for stage in one.streams
            for index in one.needs[stage.name].compiled_in
        }
    )


# ---- one kernel ---------------------------------------------------------------------------------


def row(kernel: GeneratedKernel, *, make: bool = True) -> Row:
    """The kernel that a call would settle on: what it is, takes, and is made of."""
    kernel = chosen(kernel, lambda item: over(item, _resources(item, make)))
    counted = {name: value for name, value in facts(kernel, make=make).items() if name in ("matrix", "loop")}
    found = described(kernel, _resources(kernel, make)) | {"report": told(kernel, counted)}
    return found | {"fewest_rows": fewest_rows(kernel), "expected": expected(kernel)}


def expected(kernel: GeneratedKernel) -> tuple[int, int] | None:
    """The registers of a thread by the model of tiles and those that there are; None where it tells of none."""
    told = re.search(r"^# tile .* (\d+) of (\d+) registers", kernel.source, re.MULTILINE)
    return (int(told[1]), int(told[2])) if told else None


def fewest_rows(kernel: GeneratedKernel) -> int | None:
    """The rows of the matrix product with the fewest, by its first operand; None where there is no product."""
    printer = Printer(kernel.signature)
    operands = re.findall(r"tl\.dot\((tl\.trans\()?b_(\w+)", kernel.source)
    sides = (printer.named[name].axes[-1 if turned else 0] for turned, name in operands)
    return min(map(printer.width, sides), default=None)


def _resources(kernel: GeneratedKernel, make: bool) -> Resources:
    taken, target = kept(kernel, ("taken",), make=make)["taken"], kernel.target
    occupancy = target.occupancy(taken["registers"], taken["shared"], kernel.signature.warps)
    return Resources(**taken, occupancy=occupancy)


def facts(kernel: GeneratedKernel, *, make: bool = True) -> dict[str, Any]:
    """What the machine code of a kernel takes and is made of, from what is kept if it is there."""
    return kept(kernel, ("taken", "matrix"), make=make)


def kept(kernel: GeneratedKernel, asked: tuple[str, ...], *, make: bool = True) -> dict[str, Any]:
    """What is kept of a kernel, made first where it lacks what is asked: of a rival nobody counts the instructions."""
    file = KEPT / f"{identity(kernel.source, kernel.signature, kernel.target)[:32]}.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    if all(name in found for name in asked):
        return found
    if not make:
        raise MissingError(kernel.role)
    found |= {"taken": {name: getattr(kernel.resources, name) for name in ("registers", "spills", "shared")}}
    found |= instructions(kernel) if "matrix" in asked else {}
    KEPT.mkdir(exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(found))
    part.rename(file)
    return found


# ---- all of them --------------------------------------------------------------------------------


def entries(
    specs: Iterable[str], widths: Iterable[int] = WIDTHS, targets: Iterable[str] = TARGETS, *, backward: bool = False
) -> list[Entry]:
    """Every combination."""
    return [Entry(spec, width, target, backward) for spec in specs for target in targets for width in widths]


def everything() -> list[Entry]:
    """All that there is to compile: the examples, the library's forward, its backward."""
    shown, kept = examples(), library()
    return [entry for specs in (shown, kept) for back in (False, True) for entry in entries(specs, backward=back)]


def examples() -> list[str]:
    """The examples that can be compiled, as paths from the root."""
    return [str(path.relative_to(ROOT)) for path in EXAMPLES]


def library() -> list[str]:
    """The library's attentions; one without a streamed stage has no kernel, and no row."""
    return [f"std:{name}" for name in sorted(standard_attentions())]


def apart(*command: str) -> str:
    """What a command says in a process that interprets no kernels."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def found(made: Iterable[Entry], *, make: bool) -> Iterator[tuple[Entry, list[Row] | str | None]]:
    """The rows of each entry; what went wrong where one cannot be compiled, None where one is not kept."""
    for entry in made:
        try:
            yield entry, entry.rows(make=make)
        except MissingError:
            yield entry, None
        except Exception as fault:
            yield entry, f"{type(fault).__name__}: {fault}"


def main(words: list[str]) -> None:
    """Compile, print or write; see the docstring of the module."""
    from tests.codegen.offline_page import write_page

    make, named = words != ["--kept"], {str(entry): entry for entry in everything()}
    asked = [named[word] for word in words] if words and make else list(named.values())
    rows: dict[Entry, list[Row] | str | None] = dict.fromkeys(asked)
    try:
        for entry, own in found(asked, make=make):
            rows[entry] = own
            if make:
                print(entry, brief(own), flush=True)
    except KeyboardInterrupt:
        print("interrupted: what has been compiled is written")
    if len(asked) == len(named):
        write_page(rows)
    elif failed := [f"{entry} {brief(own)}" for entry, own in rows.items() if isinstance(own, str)]:
        sys.exit("\n".join(failed))


def brief(own: list[Row] | str | None) -> str:
    """What a line of progress says of an entry."""
    took = [(row["role"], row["resources"]) for row in own] if isinstance(own, list) else []
    told = (f"{role}: {one['registers']} registers, {one['spills']} bytes spilled" for role, one in took)
    return "; ".join(told) if isinstance(own, list) else f"fails: {own}"


if __name__ == "__main__":  # in a process that does not interpret kernels
    main(sys.argv[1:])

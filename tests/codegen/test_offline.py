"""Kernels compile for GPUs that are not here, spill nothing forward, and multiply on the matrix units."""

from pathlib import Path

import pytest

from attnc.ir.target import find_target
from tests.codegen.offline import Entry, MissingError, Row, apart, entries, everything, examples
from tests.programs.generate import variants, written

UNITS = {"sm_80": "HMMA", "sm_90": "HGMMA", "sm_100": "UTC", "gfx942": "v_mfma"}
MOST = 64
"""Bytes that a backward kernel may spill."""
SIX = examples()[:6]
QUICK = {
    "every-sm_90": ("sm_90", (64,), examples()),
    "every-gfx942": ("gfx942", (64,), examples()),
    "wide-sm_90": ("sm_90", (128,), SIX),
    "wide-gfx942": ("gfx942", (128,), SIX),
    "six-sm_80": ("sm_80", (64, 128), SIX),
    "six-sm_100": ("sm_100", (64, 128), SIX),
}


def check(row: Row, target: str) -> None:
    spills, told = row["resources"]["spills"], row["report"]
    assert spills <= (MOST if row["role"].startswith("backward") else 0), row
    assert row["resources"]["shared"] <= find_target(target).onchip, row
    assert all(kind.startswith(units(row, target)) for kind in told.get("matrix", ())), row


def units(row: Row, target: str) -> tuple[str, ...]:
    """The instructions of the matrix unit; backward of the one before, where a product has fewer rows than it takes."""
    rows = row["fewest_rows"] if row["role"].startswith("backward") else None
    few = rows is not None and rows < find_target(target).unit
    return (UNITS[target], UNITS["sm_80"]) if few else (UNITS[target],)


def rows(*made: Entry) -> dict[Entry, list[Row]]:
    """The rows of each entry; this process interprets kernels, so that what is not kept is compiled by another."""
    try:
        return {entry: entry.rows(make=False) for entry in made}
    except MissingError:
        apart("-m", "tests.codegen.offline", *map(str, made))
        return {entry: entry.rows(make=False) for entry in made}


@pytest.mark.parametrize("name", QUICK)
def test_examples_compile_forward(name: str) -> None:
    target, widths, specs = QUICK[name]
    made = entries(specs, widths, [target])
    for entry, own in rows(*made).items():
        assert own, entry
        for row in own:
            assert row["report"]["matrix"], row
            check(row, target)


@pytest.mark.offline
@pytest.mark.parametrize("entry", everything(), ids=str)
def test_kernels_compile_and_keep_their_state_in_registers(entry: Entry) -> None:
    for row in rows(entry)[entry]:
        check(row, entry.target)


@pytest.mark.offline
@pytest.mark.parametrize("target", ["sm_90", "gfx942"])
@pytest.mark.parametrize("spec", variants(), ids=lambda path: path.stem)
def test_variants_compile(spec: Path, target: str) -> None:
    extents = ",".join(f"{index}={extent}" for index, extent in written(spec).shape.items())
    words = ("--target", target, "--dtype", "bf16", "--json", "--shape", extents)
    assert '"registers":' in apart("-m", "attnc", "compile", str(spec), *words)

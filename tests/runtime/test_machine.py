"""What is asked of the machine when a call runs: the cache that tiles may fill."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from attnc.ir.target import find_target
from attnc.runtime import build, machine
from tests.passes.test_tiles import chosen, example

CPU = torch.device("cpu")


def system(folder: Path, *caches: tuple[str, str, str]) -> Path:
    """A folder that lists caches as the system does: processor, level, size."""
    for place, (processor, level, size) in enumerate(caches):
        file = folder / processor / "cache" / f"index{place}"
        file.mkdir(parents=True)
        (file / "level").write_text(f"{level}\n")
        (file / "size").write_text(f"{size}\n")
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    monkeypatch.setattr(machine, "PROCESSORS", tmp_path)
    monkeypatch.setenv("ATTNC_CPU_ISA", "generic")  # without taller tiles wherever this runs
    machine.level_two.cache_clear()
    yield tmp_path
    machine.level_two.cache_clear()


def test_tiles_fill_the_least_second_level_cache(asked: Path) -> None:
    system(asked, ("cpu0", "1", "48K"), ("cpu0", "2", "2048K"), ("cpu1", "2", "512K"), ("cpu1", "3", "266240K"))
    assert build.target_of(CPU).onchip == 512 << 10


def test_a_system_that_does_not_tell_has_the_usual_cache(asked: Path) -> None:
    system(asked, ("cpu0", "1", "48K"), ("cpu0", "2", "much"))
    assert build.target_of(CPU) == find_target("cpu")


def test_wide_heads_get_smaller_tiles_where_the_cache_is_small(asked: Path) -> None:
    system(asked, ("cpu0", "2", "256K"))
    small, usual = (chosen(example("causal"), target, 1024) for target in (build.target_of(CPU), find_target("cpu")))
    assert small.footprint <= 256 << 10 < usual.footprint
    assert small.parallel < usual.parallel

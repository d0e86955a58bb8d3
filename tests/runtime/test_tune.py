"""Tiles on a GPU: the model's, the fastest that were measured, or smaller ones where a device has less room."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from triton.runtime.errors import OutOfResources

import attnc
from attnc import AttnError
from attnc.ir.target import Target, find_target
from attnc.runtime import build, tune
from attnc.runtime.attention import Attention
from attnc.runtime.bind import bind
from attnc.runtime.execute import execute
from attnc.runtime.replay import Launched, Replay, Tape

SHAPE = (1, 1, 40, 16)
CAUSAL = Path(__file__).parents[2] / "examples" / "01_causal_softmax.attn"


@pytest.fixture(autouse=True)
def _nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNC_CACHE", str(tmp_path))
    monkeypatch.setattr(tune, "_KNOWN", {})


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The tiles that were measured; those of the fewest rows are the fastest."""
    found: list[tuple[int, int]] = []

    def seconds(call: Callable[[], tuple[build.Built, int]]) -> float:
        kernel, _ = call()
        tiles = tuple(axis.tile for axis in kernel.kernel.axes if axis.extent is None)
        found.append((tiles[0], kernel.kernel.stages))
        return float(tiles[0]) - ("descriptors" in kernel.kernel.schedule)

    monkeypatch.setattr(tune, "seconds", seconds)
    return found


@pytest.fixture
def attention() -> Attention:
    return attnc.load(CAUSAL)


def rows_of_the_tile(attention: Attention, length: int = 40) -> int:
    """What runs in the interpreter, which has to be right, and how many rows its tile has."""
    generator = torch.Generator().manual_seed(length)
    q, k, v = (torch.randn(1, 1, length, 16, generator=generator) for _ in range(3))
    program = attention.program()
    bound = bind(program.stated, (q, k, v), {})
    outputs, (run,) = execute(program, bound, find_target("sm_90"))
    torch.testing.assert_close(outputs["O"].double(), attention.reference(q, k, v), atol=1e-5, rtol=1e-5)
    (kernel,) = [kept.kernel for kept in build._BUILT.values() if kept.key == run.kernel]
    return next(axis.tile for axis in kernel.axes if axis.extent is None)


def test_nothing_is_measured_unasked(attention: Attention, measured: list[tuple[int, int]]) -> None:
    rows_of_the_tile(attention)
    assert measured == []


def test_the_fastest_of_a_few_is_kept_for_later_processes(
    attention: Attention, measured: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = rows_of_the_tile(attention)
    monkeypatch.setenv("ATTNC_TUNE", "1")
    rows = rows_of_the_tile(attention)
    assert 1 < len(set(measured)) <= 6
    assert rows == min(tile for tile, _ in measured) < usual
    count = len(measured)
    monkeypatch.delenv("ATTNC_TUNE")
    tune._KNOWN.clear()  # as a new process begins
    assert rows_of_the_tile(attention) == rows
    assert rows_of_the_tile(attention, 41) == rows
    assert len(measured) == count


def test_other_lengths_are_measured_anew(
    attention: Attention, measured: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTNC_TUNE", "1")
    rows_of_the_tile(attention, 40)
    count = len(measured)
    rows_of_the_tile(attention, 50)
    assert len(measured) == count
    rows_of_the_tile(attention, 200)
    assert len(measured) > count


def test_what_was_tried_for_its_time_is_not_replayed(
    attention: Attention, measured: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = attention.program()
    tensors = tuple(torch.randn(SHAPE) for _ in range(3))
    bound = bind(program.stated, tensors, {})

    def replay() -> Replay | None:
        tape = Tape(tuple(bound.tensors.values()))
        outputs, _ = execute(program, bound, find_target("sm_90"), (), None, tape)
        return tape.replay(tuple(outputs.values()))

    monkeypatch.setenv("ATTNC_TUNE", "1")
    assert replay() is None
    assert measured
    again = replay()
    assert again is not None
    assert sum(isinstance(step, Launched) for step in again.steps) == 1


def test_lengths_within_a_factor_of_four_are_alike() -> None:
    assert tune.bucket([16, 4096]) == tune.bucket([31, 8191]) == (2, 6)
    assert tune.bucket([16]) != tune.bucket([64])


# ---- tiles that do not do -----------------------------------------------------------------------


def job(tried: list[int], fits: int = 1024, spills: dict[int, int] | None = None) -> tune.Job:
    """A stage whose tiles of more than `fits` rows do not fit, and of which some spill."""
    place = find_target("sm_90")
    rivals = [replace(place, rows=(rows,)) for rows in (128, 64, 32)]

    def launch(target: Target) -> tuple[build.Built, int]:
        rows = target.rows[0]
        tried.append(rows)
        if rows > fits:
            raise OutOfResources(1000 * rows, 1000 * fits, "shared memory")
        return cast(build.Built, rows), (spills or {}).get(rows, 0)

    return tune.Job(("job", fits), replace(place, has=()), lambda: [replace(rival, has=()) for rival in rivals], launch)


def rows_of(task: tune.Job) -> int:
    return cast(int, tune.run(task))


def test_the_models_tiles_are_launched_once_where_they_do() -> None:
    tried: list[int] = []
    task = job(tried)
    assert rows_of(task) == rows_of(task) == 128
    assert tried == [128, 128]


def test_smaller_tiles_are_tried_where_the_device_has_less_room_and_kept() -> None:
    tried: list[int] = []
    task = job(tried, fits=32)
    assert rows_of(task) == rows_of(task) == 32
    assert tried == [128, 64, 32, 32, 32]


def test_tiles_that_spill_give_way_to_such_as_do_not() -> None:
    tried: list[int] = []
    task = job(tried, spills={128: 40})
    assert rows_of(task) == rows_of(task) == 64
    assert tried == [128, 64, 64, 64]


def test_where_all_spill_the_least_is_kept_and_launched_last() -> None:
    tried: list[int] = []
    task = job(tried, spills={128: 8, 64: 40, 32: 40})
    assert rows_of(task) == rows_of(task) == 128
    assert tried == [128, 64, 32, 128, 128]


def test_where_nothing_fits_the_error_has_the_numbers() -> None:
    with pytest.raises(AttnError) as failure:
        tune.run(job([], fits=8))
    assert failure.value.code == "A512"
    assert "needs 128000 of shared memory, and the device has 8000" in str(failure.value)


def test_what_does_not_fit_takes_no_part_in_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNC_TUNE", "1")
    monkeypatch.setattr(tune, "seconds", lambda call: -float(call()[0]))
    tried: list[int] = []
    assert rows_of(job(tried, fits=64)) == 64
    assert tried == [128, 64, 64, 32, 32, 64]


# ---- schedules ----------------------------------------------------------------------------------


def scheduled(wrong: str = "", broken: str = "") -> tune.Job:
    """A stage whose output is the same under every schedule but `wrong`, and that has no kernel under `broken`."""
    place, written = replace(find_target("sm_100"), rows=(64,)), torch.zeros(2)

    def launch(target: Target) -> tuple[build.Built, int]:
        if broken in target.schedule:
            raise RuntimeError("PassManager::run failed")
        written.fill_(1.0 if wrong in target.schedule else float("nan"))
        return cast(build.Built, target.schedule), 0

    return tune.Job(("scheduled", wrong, broken), place, lambda: [place], launch, lambda: [written])


@pytest.mark.parametrize(
    ("wrong", "broken", "fastest"),
    [
        ("", "", ("persistent", "descriptors")),
        ("descriptors", "", ("persistent",)),
        ("persistent", "", ("descriptors",)),
        ("", "descriptors", ("persistent",)),
        ("persistent", "descriptors", ()),
    ],
)
def test_the_fastest_schedule_that_gives_the_same_bits_is_kept(
    wrong: str, broken: str, fastest: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTNC_TUNE", "1")
    monkeypatch.setattr(tune, "seconds", lambda call: -float(len(call()[0])))
    task = scheduled(wrong or "none", broken or "none")
    assert cast(tuple[str, ...], tune.run(task)) == fastest
    monkeypatch.delenv("ATTNC_TUNE")
    tune._KNOWN.clear()
    assert cast(tuple[str, ...], tune.run(task)) == fastest

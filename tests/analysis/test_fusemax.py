"""The closed forms give the published numbers to the digits printed."""

from __future__ import annotations

import pytest

from attnc.analysis.fusemax import (
    BANDWIDTH,
    CLOCK,
    LENGTHS,
    WORKLOADS,
    Row,
    flat,
    fusemax,
    fusemax_traffic,
    query_tiles,
    summary,
    table,
    utilisation,
)

SPEEDUPS = {
    "BERT": (6.65, 7.21, 7.37, 7.41, 8.57, 8.57),
    "TrXL": (6.65, 7.21, 7.37, 7.41, 8.57, 8.57),
    "T5": (6.65, 7.21, 7.37, 7.41, 8.57, 8.57),
    "XLM": (3.44, 3.74, 3.82, 3.84, 4.58, 4.58),
}


def rows(workload: str) -> list[Row]:
    return [row for row in table() if row.workload == workload]


@pytest.mark.parametrize("workload", SPEEDUPS)
def test_speedup_over_flat_at_each_length(workload: str) -> None:
    assert tuple(round(row.fusemax, 2) for row in rows(workload)) == SPEEDUPS[workload]


def test_means_over_all_workloads_and_lengths() -> None:
    means = summary()
    assert round(means.fusemax, 2) == 6.72
    assert round(means.over_unfused, 2) == 10.05
    assert round(means.fusemax_geometric, 2) == 6.46


def test_range_of_speedups() -> None:
    speedups = [row.fusemax for row in table()]
    assert (round(min(speedups), 2), round(max(speedups), 2)) == (3.44, 8.57)


def test_each_step_towards_fusemax() -> None:
    means = summary()
    assert (round(means.cascade, 2), round(means.architecture, 2)) == (0.91, 2.18)


def test_one_pass_on_the_old_hardware_is_slower_at_short_lengths() -> None:
    assert all(row.cascade < 1 for row in table() if row.length <= 2**16)


def test_table_has_every_workload_at_every_length() -> None:
    assert [(row.workload, row.length) for row in table()] == [
        (work.name, length) for work in WORKLOADS for length in LENGTHS
    ]


def test_the_array_is_busy_at_long_lengths() -> None:
    bert = WORKLOADS[0]
    assert utilisation(bert, 2**20) == pytest.approx(137 / 138, abs=1e-3)


def test_queries_that_stay_on_chip() -> None:
    long = 2**20
    assert [query_tiles(work, long) for work in WORKLOADS] == [128, 128, 128, 64]


def test_fusemax_never_waits_for_memory() -> None:
    for work in WORKLOADS:
        for length in LENGTHS:
            assert fusemax_traffic(work, length) / BANDWIDTH < fusemax(work, length)


def test_flat_waits_for_memory_only_once_rows_do_not_fit() -> None:
    bert = WORKLOADS[0]
    short, long = (flat(bert, length) * CLOCK / bert.scores(length) for length in (2**16, 2**18))
    assert short == pytest.approx(4 / 256)
    assert long > 4 / 256

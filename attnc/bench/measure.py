"""A case measured: the contestants called in turns, attnc's results judged, forward and backward."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TypeVar

import torch

from attnc.bench.case import BACKWARD, FORWARD, Case
from attnc.bench.judge import Sample, gradients, leaves, ratio, sample, whole, whole_backward, worst
from attnc.bench.peers import Call, Peer, UnableError, ours
from attnc.bench.rows import Tensors
from attnc.bench.timing import Budget, Clock, Timed, WallClock, interleaved
from attnc.contract import Verdict

T = TypeVar("T")

OURS = "attnc"


@dataclass(frozen=True)
class Plan:
    """What is measured besides the cases: the rounds, the peers, the backward, and the clock."""

    budget: Budget = field(default_factory=Budget)
    peers: tuple[Peer, ...] = ()
    backward: bool = True
    clock: Clock = field(default_factory=WallClock)


@dataclass(frozen=True)
class Measurement:
    """One line of the table: medians and fastest rounds of a case in one direction, and the verdict on attnc's results.

    `operations` are those of the visible scores; `errors` the ratios of error and allowance at the sampled rows, for
    attnc the worst of all; `missing` says why a contestant has no time.
    """

    case: Case
    direction: str
    operations: int
    rounds: int
    seconds: Mapping[str, float]
    fastest: Mapping[str, float]
    errors: Mapping[str, float]
    passed: bool
    missing: Mapping[str, str]

    def times(self, peer: str) -> float | None:
        """How many times as long a peer takes; None where it has no time, or attnc's counts for nothing."""
        return self.seconds[peer] / self.seconds[OURS] if self.passed and peer in self.seconds else None

    @property
    def rate(self) -> float | None:
        """Operations a second of attnc, where its time counts."""
        return self.operations / self.seconds[OURS] if self.passed else None


def measured(case: Case, plan: Plan) -> Iterator[Measurement]:
    """The forward of a case and then its backward, where it is asked for and there are queries enough to train on.

    What attnc cannot run is a failed measurement that says why; one that fails tells nothing of the other.
    """
    inputs = case.inputs()
    area = case.area(inputs) * case.width
    try:
        calls, missing = _contestants(case, inputs, plan)
        rows = sample(case, inputs)
        yield _forward(case, plan, calls, missing, rows, FORWARD * area)
    except Exception as failure:  # a device stands behind it: the other lines are wanted all the same
        yield _failed(case, "forward", FORWARD * area, failure)
        return
    if plan.backward and case.row.queries is None:
        try:
            yield _backward(case, plan, calls, missing, rows, BACKWARD * area)
        except Exception as failure:
            yield _failed(case, "backward", BACKWARD * area, failure)


def _failed(case: Case, direction: str, operations: int, failure: Exception) -> Measurement:
    reason = f"FAILS: {_first_line(failure)}"
    return Measurement(case, direction, operations, 0, {}, {}, {OURS: inf}, False, {OURS: reason})


def _contestants(case: Case, inputs: Tensors, plan: Plan) -> tuple[dict[str, Call], dict[str, str]]:
    """The contestants that can run the case, called once; and why the others cannot."""
    calls, missing = {OURS: ours(case, inputs)}, {}
    with torch.no_grad():
        calls[OURS](inputs)
        for peer in plan.peers:
            try:
                calls[peer.name] = _working(peer.prepare(case, inputs), inputs)
            except UnableError as reason:
                missing[peer.name] = str(reason)
            except Exception as failure:  # a compiler of its own stands behind it: whatever it says is its reason
                missing[peer.name] = f"fails: {_first_line(failure)}"
    return calls, missing


def _working(call: Call, inputs: Tensors) -> Call:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call(inputs)
    return call


def _first_line(failure: Exception) -> str:
    text = str(failure).strip().partition("\n")[0]
    return f"{type(failure).__name__}: {text}"[:200]


def _forward(
    case: Case, plan: Plan, calls: Mapping[str, Call], missing: Mapping[str, str], rows: Sample, operations: int
) -> Measurement:
    inputs, right = rows.inputs, rows.output()
    with torch.no_grad():
        turns = {name: lambda call=call: call(inputs) for name, call in calls.items()}
        timed = interleaved(turns, plan.budget, plan.clock)
    verdicts = {name: rows.judged(item.value, right) for name, item in timed.items()}
    verdicts[OURS] = worst((verdicts[OURS], whole(case)))
    return _measurement(case, "forward", operations, timed, verdicts, missing)


def _backward(
    case: Case, plan: Plan, calls: Mapping[str, Call], missing: Mapping[str, str], rows: Sample, operations: int
) -> Measurement:
    given = leaves(case, rows.inputs)
    outputs = {OURS: calls[OURS](given)}
    incoming = torch.randn(outputs[OURS].shape, generator=torch.Generator().manual_seed(1)).to(outputs[OURS])
    without = dict(missing)
    for peer in (peer for peer in plan.peers if peer.name in calls):
        if peer.no_backward:
            without[peer.name] = peer.no_backward
            continue
        try:
            outputs[peer.name] = calls[peer.name](given)
            gradients(case, outputs[peer.name], given, incoming)
        except Exception as failure:
            outputs.pop(peer.name, None)
            without[peer.name] = f"its backward fails: {_first_line(failure)}"
    turns = {name: lambda out=out: gradients(case, out, given, incoming) for name, out in outputs.items()}
    timed = interleaved(turns, plan.budget, plan.clock)
    right, verdicts = rows.gradients(incoming), {}
    for name, item in timed.items():
        alone = gradients(case, outputs[name], given, rows.only(incoming))
        verdicts[name] = rows.judged_gradients(item.value, alone, right)
    verdicts[OURS] = worst((verdicts[OURS], whole_backward(case)))
    return _measurement(case, "backward", operations, timed, verdicts, without)


def _measurement(
    case: Case,
    direction: str,
    operations: int,
    timed: Mapping[str, Timed[T]],
    verdicts: Mapping[str, Verdict],
    missing: Mapping[str, str],
) -> Measurement:
    seconds = {name: item.median for name, item in timed.items()}
    errors = {name: ratio(verdict) for name, verdict in verdicts.items()}
    fastest = {name: min(item.seconds) for name, item in timed.items()}
    rounds = len(timed[OURS].seconds)
    return Measurement(case, direction, operations, rounds, seconds, fastest, errors, verdicts[OURS].passed, missing)

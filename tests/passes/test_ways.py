"""However softmax, a norm, an entropy or a variance is written: one stage, the smallest state, the right numbers."""

from __future__ import annotations

import pytest
import torch

import attnc
from attnc.runtime.draw import draw
from tests.passes.run_monoid import Monoid, context_of
from tests.passes.test_rewritten import halves
from tests.passes.ways import way

SHAPE = {"b": 1, "h": 2, "m": 6, "n": 8, "e": 3, "f": 2}
QUICK, ALL = 60, 600
CLOSE = {1.0: 1e-5, 30.0: 3e-4}  # of the largest output; scores of 100 have an absolute error of 1e-5 in float32


def holds(seed: int) -> None:
    written = way(seed)
    program = attnc.compile(written.text).program()
    (stage,) = program.streams
    assert (len(stage.monoid.gauges), len(stage.monoid.accumulators)) == written.size, written.text
    assert all(gauge.pure for gauge in stage.monoid.gauges if gauge.op == "max"), written.text
    for scale, close in CLOSE.items():
        inputs = draw(program.stated, SHAPE, {}, torch.float64, 11)
        inputs["Q"] *= scale
        scores = torch.einsum("bhme,bhne->bhmn", inputs["Q"], inputs["K"]) / SHAPE["e"] ** 0.5
        seen = torch.arange(8)[None] <= torch.arange(2, 8)[:, None]
        wanted = written.means(scores, inputs["V"], seen)
        monoid = Monoid(stage, context_of(program.explicit, {k: v.float() for k, v in inputs.items()}, torch.float32))
        one, other = (monoid.lift(piece) for piece in halves(monoid))
        found = monoid.finish(monoid.merge(one, other))["O"]
        assert float((found.double() - wanted).abs().max()) < close * float(wanted.abs().max()), written.text


@pytest.mark.parametrize("seed", range(QUICK))
def test_a_way_is_derived_to_the_smallest_state(seed: int) -> None:
    holds(seed)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(QUICK, ALL))
def test_every_way_is_derived_to_the_smallest_state(seed: int) -> None:
    holds(seed)

"""`torch.func`: batches against loops, tangents against the definition in float64, and both in one another."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.func import functional_call, grad, jacfwd, jacrev, vmap

import attnc
import attnc.nn
from tests.pytorch.cases import CASES, EXAMPLES, Tensors, attention, inputs, listed, loss, name

pytestmark = pytest.mark.filterwarnings("ignore:attnc")
SIZE = 3
QUICK = ("05_sigmoid", "state")
EVERY = [case if name(case) in QUICK else pytest.param(case, marks=pytest.mark.exhaustive) for case in CASES]


def batch(case: Path | str, dtype: torch.dtype = torch.float64) -> list[Tensors]:
    """The inputs of as many calls."""
    return [inputs(attention(case), dtype, seed) for seed in range(SIZE)]


def close(found: Any, wanted: Any) -> None:
    """Equal but for the rounding of float64."""
    for own, right in zip(listed(found), listed(wanted), strict=True):
        torch.testing.assert_close(own, right, rtol=1e-11, atol=1e-11)


def stacked(found: list[Any]) -> Any:
    """The results of calls as that of one over a batch."""
    if isinstance(found[0], torch.Tensor):
        return torch.stack(found)
    return tuple(torch.stack(values) for values in zip(*found, strict=True))


@pytest.mark.parametrize("case", EVERY, ids=name)
def test_a_batch_is_a_loop(case: Path | str) -> None:
    own, calls = attention(case), batch(case)
    many = {key: torch.stack([given[key] for given in calls]) for key in calls[0]}
    close(vmap(lambda given: own(**given))(many), stacked([own(**given) for given in calls]))
    assert own.last_run is not None


@pytest.mark.parametrize("case", EVERY, ids=name)
def test_a_batch_of_one_input_is_a_loop_over_it(case: Path | str) -> None:
    own, calls = attention(case), batch(case)
    for key in calls[0]:
        many = torch.stack([given[key] for given in calls], -1)
        close(
            vmap(lambda value, key=key: own(**calls[0] | {key: value}), in_dims=-1)(many),
            stacked([own(**calls[0] | {key: given[key]}) for given in calls]),
        )


@pytest.mark.parametrize("case", EVERY, ids=name)
def test_gradients_of_a_batch_are_those_of_a_loop(case: Path | str) -> None:
    own, calls = attention(case), batch(case)
    reals = [key for key, value in calls[0].items() if value.is_floating_point()]
    one = grad(lambda moving, rest: loss(own(**rest | moving)))
    moving = [{key: given[key] for key in reals} for given in calls]
    rest = calls[0]
    together = vmap(one, in_dims=(0, None))({key: torch.stack([m[key] for m in moving]) for key in reals}, rest)
    alone = [one(m, rest) for m in moving]
    for key in reals:
        close(together[key], torch.stack([found[key] for found in alone]))


def test_of_an_input_that_elements_share_each_has_a_gradient() -> None:
    own, calls = attnc.load("std:alibi"), batch(EXAMPLES[1])
    slope, q = calls[0].pop("slope"), torch.stack([given["Q"] for given in calls])
    one = grad(lambda slope, q: loss(own(q, calls[0]["K"], calls[0]["V"], slope)))
    each = vmap(one, in_dims=(None, 0))(slope, q)
    close(each, torch.stack([one(slope, value) for value in q]))
    over = grad(lambda slope: sum(loss(v) for v in vmap(lambda q: own(q, calls[0]["K"], calls[0]["V"], slope))(q)))
    close(over(slope), each.sum(0))


def test_batches_in_batches() -> None:
    own, given = attnc.load("std:alibi"), inputs(attention(EXAMPLES[1]), torch.float64)
    q, k = (torch.stack([given[key] * scale for scale in (1.0, -2.0)]) for key in ("Q", "K"))
    every = vmap(vmap(lambda q, k: own(q, k, given["V"], given["slope"]), (None, 0)), (0, None))(q, k)
    for i in range(2):
        close(every[i], torch.stack([own(q[i], k[j], given["V"], given["slope"]) for j in range(2)]))


def test_jacobians_forward_and_backward_agree() -> None:
    own, given = attnc.load("std:alibi"), inputs(attention(EXAMPLES[1]), torch.float64, b=1, h=2, m=2, n=3, e=2, f=2)
    of_slope = [way(lambda slope: own(**given | {"slope": slope}))(given["slope"]) for way in (jacfwd, jacrev)]
    close(*of_slope)
    close(of_slope[0], jacrev(lambda slope: own.reference(**given | {"slope": slope}))(given["slope"]))
    twice = jacfwd(jacrev(lambda slope: loss(own(**given | {"slope": slope}))))(given["slope"])
    wanted = torch.autograd.functional.hessian(  # type: ignore[no-untyped-call]
        lambda slope: loss(own.reference(**given | {"slope": slope})), given["slope"]
    )
    close(twice, wanted)


def test_a_module_over_an_ensemble_of_parameters() -> None:
    layer = attnc.nn.Attention("std:alibi", learned={"slope": torch.rand(2)})
    q = torch.randn(2, 2, 5, 4)
    slopes = torch.rand(SIZE, 2)
    found = vmap(lambda slope: functional_call(layer, {"slope": slope}, (q, q, q)))(slopes)
    close(found, torch.stack([attnc.std.alibi(q, q, q, slope) for slope in slopes]))

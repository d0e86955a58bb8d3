"""The two operators, as PyTorch's own checker of operators sees them."""

from pathlib import Path

import pytest
import torch
from torch.library import opcheck

from attnc.runtime.operators import forward
from attnc.runtime.site import Site, site_of
from tests.pytorch.cases import EVERY, attention, inputs, leaves, listed, name

FORWARD, BACKWARD = torch.ops.attnc.forward.default, torch.ops.attnc.backward.default


def site(case: Path | str, given: dict[str, torch.Tensor], wanted: bool) -> str:
    reals = tuple(sorted(name for name, value in given.items() if value.is_floating_point())) if wanted else ()
    return Site(attention(case)._reference, {}, False, tuple(given), reals).written()


@pytest.mark.filterwarnings("ignore:attnc")
@pytest.mark.parametrize("case", EVERY, ids=name)
def test_the_forward_keeps_the_rules_of_operators(case: Path | str) -> None:
    given = leaves(inputs(attention(case)))
    values = list(given.values())
    opcheck(FORWARD, (site(case, given, True), values))
    opcheck(FORWARD, (site(case, given, False), [value.detach() for value in values]))


@pytest.mark.filterwarnings("ignore:attnc")
@pytest.mark.parametrize("case", EVERY, ids=name)
def test_the_backward_keeps_the_rules_of_operators(case: Path | str) -> None:
    given = inputs(attention(case))
    call = site(case, given, True)
    own, found = site_of(call).call(given.values()), forward(call, list(given.values()))
    values = dict(zip((*own.outputs, *own.further), found, strict=True))
    incoming = [torch.randn_like(values[output]) for output in own.real_outputs]
    tensors = [*given.values(), *(values[held] for held in own.saved)]
    wanted, outputs = " ".join(own.wanted), " ".join(own.real_outputs)
    opcheck(BACKWARD, (call, wanted, outputs, incoming, tensors))


@pytest.mark.parametrize("case", EVERY, ids=name)
def test_an_operator_gives_what_a_call_gives(case: Path | str) -> None:
    given = inputs(attention(case))
    found = forward(site(case, given, False), list(given.values()))
    wanted = listed(attention(case)(**given))
    assert all(torch.equal(own, right) for own, right in zip(found, wanted, strict=True))


def test_what_an_operator_ran_is_known() -> None:
    own = attention("state")
    given = inputs(own)
    forward(Site(own._reference, {}, False, tuple(given)).written(), list(given.values()))
    assert own.last_run is not None
    assert own.last_run.stages

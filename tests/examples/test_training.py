"""A model trained through derived kernels is the model trained through PyTorch's own attention."""

from collections.abc import Iterator

import pytest
import torch

from examples.train_characters import ATTENTION, LENGTH, Characters, curve

APART = 1e-3


@pytest.fixture(autouse=True)
def _same_dice() -> Iterator[None]:
    with torch.random.fork_rng():
        yield


@pytest.mark.parametrize("steps", [40, pytest.param(300, marks=pytest.mark.exhaustive)])
def test_the_loss_curves_are_the_same(steps: int) -> None:
    ours, theirs = list(curve("attnc", steps)), list(curve("torch", steps))
    assert len(ours) == steps
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) <= APART
    assert ours[-1] < 0.7 * ours[0], "nothing was learned"


def test_every_parameter_has_the_same_gradient() -> None:
    text = torch.randint(50, (3, LENGTH), generator=torch.Generator().manual_seed(1))
    models = [Characters(attend, 50) for attend in ATTENTION.values()]
    for model in models:
        model(text).logsumexp(-1).sum().backward()
    for (name, ours), theirs in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert ours.grad.abs().max() > 0, name
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4 * float(theirs.grad.abs().max()))

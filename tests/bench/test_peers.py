"""A peer gets the shortest way that it has, and says so where it has none."""

import os

import pytest
import torch

from attnc.bench import peers
from attnc.bench.case import Case
from attnc.bench.rows import chosen
from attnc.bench.suite import Suite


def case_of(name: str) -> Case:
    (case,) = Suite(chosen([name]), (64,), (8,), (torch.bfloat16,)).cases()
    return case


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("full", {}),
        ("causal", {"is_causal"}),
        ("gqa", {"is_causal"}),
        ("decode-1x8", {}),
        ("decode-16x8", {"attn_mask"}),
    ],
)
def test_sdpa_is_given_a_mask_only_where_it_needs_one(name: str, settings: set[str]) -> None:
    case = case_of(name)
    assert set(peers._sdpa_settings(case, case.inputs())) == set(settings)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("window", (1, 1, 64, 64)), ("documents", (1, 1, 64, 64)), ("alibi", (1, 8, 64, 64)), ("sink", (1, 8, 64, 65))],
)
def test_a_bias_is_no_larger_than_it_must_be(name: str, shape: tuple[int, ...]) -> None:
    case = case_of(name)
    bias = peers._bias(case, case.inputs())
    assert bias.shape == shape
    assert bias.dtype == case.dtype


def test_a_bias_that_would_not_fit_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of("alibi")
    monkeypatch.setattr(os, "sysconf", lambda name: 2 if name == "SC_PHYS_PAGES" else 4096)
    with pytest.raises(peers.UnableError, match=r"its bias would take 0\.0 GB"):
        peers.sdpa(case, case.inputs())


@pytest.mark.parametrize(("name", "reason"), [("softcap", "added to and masked"), ("sigmoid", "always a softmax")])
def test_what_sdpa_cannot_express_has_a_reason(name: str, reason: str) -> None:
    case = case_of(name)
    with pytest.raises(peers.UnableError, match=reason):
        peers.sdpa(case, case.inputs())

"""Gradients through tables by distance: an index that products keep whole is walked point by point for the table."""

import pytest
import torch

import attnc
from tests.gradients.run import run_gradients

SPEC = """attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], T[h,r,e]) -> O:
    index N - M <= m < N
    D[b,h,m,n] = sum[e](Q * default(T[h,R - 1 - (m - n),e], 0))
    O[b,h,m,f] = softmax[n](sum[e](Q * K) + D where n <= m) * V
"""
SHAPE = {"b": 1, "h": 2, "m": 11, "n": 14, "e": 4, "f": 4, "r": 9}


@pytest.mark.parametrize("target", ["cpu", "sm_90"])
def test_a_table_by_distance_has_gradients(target: str) -> None:
    assert run_gradients(attnc.compile(SPEC), SHAPE, 3, torch.float32, target).failures == ()

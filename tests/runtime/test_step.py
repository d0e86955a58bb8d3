"""`step` hands over the carried inputs: a sequence in pieces gives what it gives as a whole."""

from itertools import pairwise

import pytest
import torch

import attnc

LINEAR = """attention linear(Q[b,h,i,e], K[b,h,i,e], V[b,h,i,f], g[b,h,i], H0[b,h,e,f] = 0) -> O:
    State[b,h,0,e,f]   = H0
    State[b,h,i+1,e,f] = exp(g) * State[b,h,i,e,f] + K * V
    O[b,h,i,f]         = Q * State[b,h,i+1,e,f]
    carry H0 = State[b,h,I,e,f]
"""
TWO = """attention two(X[m], total[] = 0, count[]: int = 0; by: int = 1) -> O, N1:
    T[0]   = total
    T[m+1] = T[m] + by * X
    O[m]   = T[m+1]
    N1     = count + M
    carry total = T[M]
    carry count = count + M
"""


def pieces(length: int, cuts: list[int]) -> list[slice]:
    ends = [0, *cuts, length]
    return [slice(a, b) for a, b in pairwise(ends)]


@pytest.mark.parametrize("cuts", [[], [3], [1, 2, 7], [0, 5], [8]])
def test_pieces_give_the_whole(cuts: list[int]) -> None:
    attention = attnc.compile(LINEAR)
    q, k, v = (torch.randn(2, 2, 8, 4) for _ in range(3))
    g = -torch.rand(2, 2, 8)
    whole, state = attention.step(q, k, v, g)
    assert torch.allclose(whole, attention(q, k, v, g))
    assert set(state) == {"H0"}
    found: list[torch.Tensor] = []
    carried: dict[str, torch.Tensor] = {}
    for piece in pieces(8, cuts):
        out, carried = attention.step(q[:, :, piece], k[:, :, piece], v[:, :, piece], g[:, :, piece], **carried)
        found.append(out)
    assert torch.allclose(torch.cat(found, 2), whole, atol=1e-5)
    assert torch.allclose(carried["H0"], state["H0"], atol=1e-5)


def test_several_states_types_and_outputs_are_carried() -> None:
    attention = attnc.compile(TWO)
    x = torch.arange(1.0, 7.0)
    first, state = attention.step(x[:4], by=2)
    assert first._fields == ("O", "N1")
    assert {name: value.item() for name, value in state.items()} == {"total": 20.0, "count": 4}
    assert state["count"].dtype == torch.int64
    second, state = attention.step(x[4:], by=2, **state)
    assert second.O.tolist() == [30.0, 42.0]
    assert second.N1.item() == 6
    assert state["count"].item() == 6


def test_without_a_carry_there_is_nothing_to_hand_over() -> None:
    x = torch.randn(1, 2, 8, 4)
    out, state = attnc.std.causal_softmax.step(x, x, x)
    assert state == {}
    assert torch.equal(out, attnc.std.causal_softmax(x, x, x))

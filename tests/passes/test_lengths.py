"""Which indices are walked as positions, and which steps are heavy: for pairs of positions, not for a map of tokens."""

import pytest

import attnc
from attnc.passes.families import Shapes
from attnc.runtime.gradients import backward_for

FIRST = """
attention a(Q[b,h,m,e], first[b]: int) -> O:
    index i < 100
    O[b,h,e] = mean[i](Q[b,h,first[b] + i,e])
"""
CHOSEN = """
attention a(X[b,n,d], extra[d], W[s,d,p], K[b,s,m,p], len[b]: int) -> O:
    Y[b,n,d]   = X if n < len else extra
    Z[b,s,n,p] = Y[b,n,d] * W
    O[b,s,m]   = logsumexp[n](sum[p](Z * K))
"""
MAP = """
attention a(Q[b,y,x,e], K[b,u,v,e], V[b,u,v,f], T[r,e]) -> O:
    require R == 2 * Y and U == Y
    QR[b,y,x,r]    = Q * T
    S[b,y,x,u,v]   = sum[e](Q * K) + QR[b,y,x,u - y + Y]
    O[b,y,x,f]     = softmax[u,v](S where abs(u - y) <= 2) * V[b,u,v,f]
"""
HALVED = """
attention a(I[b,y,x,d], W[d,u,z], Q[b,m,d]) -> O:
    require U == 3 and Z == 3
    XH = ceil(X / 2)
    index i < ceil(Y / 2), j < ceil(X / 2), n < ceil(Y / 2) * ceil(X / 2)
    C[b,i*XH + j,d] = tanh(sum[u,z](W[d,u,z] * default(I[b,2*i + u - 1,2*j + z - 1,d], 0)))
    S[b,m,n]        = Q * C[b,n,d]
    O[b,m,d]        = softmax[n](S) * C[b,n,d]
"""
COLUMNS = """
attention a(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O, L:
    index N - M <= m < N
    S[b,h,m,n] = Q * K where n <= m and (n + 3 * h) % 8 == 0
    O[b,h,m,f] = softmax[n](S) * V
    L[b,h,m]   = logsumexp[n](S)
"""
PAIRS = """
attention a(X[b,n,d]) -> O:
    index m < N, u < N
    S[b,m,n] = X[b,m,d] * X[b,n,d]
    O[b,m,u] = sort[n -> u](S)
"""
PAIRS_ON_A_MAP = """
attention a(X[b,y,x,d]) -> O:
    index z < Y, u < Y
    S[b,x,y,z] = X[b,y,x,d] * X[b,z,x,d]
    O[b,x,y,u] = sort[z -> u](S)
"""


def shapes(text: str) -> Shapes:
    return Shapes(attnc.compile(text).program().explicit)


def test_what_finds_a_place_is_no_position() -> None:
    assert "b" not in shapes(FIRST).walked


def test_a_choice_bends_along_its_test_alone() -> None:
    assert "n" in shapes(CHOSEN).walked
    assert "d" not in shapes(CHOSEN).walked


@pytest.mark.parametrize(
    "text", [MAP, HALVED, COLUMNS, FIRST, CHOSEN], ids=["map", "halved", "columns", "first", "chosen"]
)
def test_a_map_of_tokens_is_light(text: str) -> None:
    assert attnc.compile(text).program().heavy == ()


def test_a_head_that_shifts_a_pattern_is_no_length_of_the_backward() -> None:
    program = attnc.compile(COLUMNS).program()
    steps = [own for _, own in backward_for(program, ("K", "Q", "V")).steps if own is not None]
    assert steps
    assert all(own.heavy == () for own in steps)


@pytest.mark.parametrize("text", [PAIRS, PAIRS_ON_A_MAP], ids=["line", "map"])
def test_pairs_of_positions_are_heavy(text: str) -> None:
    assert attnc.compile(text).program().heavy

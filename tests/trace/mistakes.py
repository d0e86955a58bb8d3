# ruff: noqa: N803, N806, E741
# mypy: ignore-errors
"""Functions with a mistake each: what is said of it stands in the pages of `tests/errors`."""

import torch

import attnc

b, h, m, n, e, f = attnc.index("b h m n e f")
Query, Key, Value = attnc.Tensor[b, h, m, e], attnc.Tensor[b, h, n, e], attnc.Tensor[b, h, n, f]
table = torch.zeros(4)


@attnc.jit
def no_axes(Q: Query, K: Key, V):
    return attnc.sum(Q * K, over=e)[b, h, m, n]


@attnc.jit
def option_by_position(Q: Query, K: Key, W: int = 4):
    return attnc.sum(Q * K, over=e)[b, h, m, n]


@attnc.jit
def branching(Q: Query, K: Key):
    scores = attnc.sum(Q * K, over=e)
    if n <= m:
        scores = 2 * scores
    return scores[b, h, m, n]


@attnc.jit
def chained(Q: Query, K: Key, *, W: int = 4):
    return attnc.sum(Q * K, over=e).where(0 <= m - n < W)[b, h, m, n]


@attnc.jit
def bits(Q: Query, K: Key):
    return attnc.sum(Q * K, over=e).where(m & 1 == n & 1)[b, h, m, n]


@attnc.jit
def captured(Q: Query, K: Key):
    scores = attnc.sum(Q * K, over=e)
    return (scores + table)[b, h, m, n]


@attnc.jit
def reserved(Q: Query, K: Key):
    S = attnc.tensor("where")
    S[b, h, m, n] = Q * K
    return S


@attnc.jit
def no_output(Q: Query, K: Key):
    S = attnc.tensor("S")
    S[b, h, m, n] = Q * K


@attnc.jit
def no_layout(Q: Query, K: Key):
    return attnc.sum(Q * K, over=e)


@attnc.jit
def folds_nothing(Q: Query, K: Key):
    return attnc.sum(Q * K)[b, h, m, n]


@attnc.jit
def masked_late(Q: Query, K: Key, V: Value):
    S, A, O = attnc.tensor("S A O")
    S[b, h, m, n] = Q * K / attnc.sqrt(e.extent)
    A[b, h, m, n] = attnc.softmax(S, over=n).where(n <= m)
    O[b, h, m, f] = A * V
    return O


@attnc.jit
def fails(Q: Query, K: Key):
    return attnc.sum(Q * K, over=e)[b, h, m, n] / (1 / len(()))


def plain(Q, K):
    return Q * K


# ---- FlexAttention's callables ------------------------------------------------------------------


def reduces(score, b, h, q_idx, kv_idx):
    return score - score.max()


def erases(score, b, h, q_idx, kv_idx):
    score.masked_fill_(kv_idx > q_idx, -float("inf"))
    return score


def branches(score, b, h, q_idx, kv_idx):
    return score if q_idx >= kv_idx else -float("inf")


def reads_a_row(score, b, h, q_idx, kv_idx):
    return score + table


def short_table(score, b, h, q_idx, kv_idx):
    return score + table[kv_idx]


def from_a_list(score, b, h, q_idx, kv_idx):
    return score * [1.0, 2.0][h]


def counts(b, h, q_idx, kv_idx):
    return q_idx - kv_idx

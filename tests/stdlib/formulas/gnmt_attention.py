"""GNMT's attention and decoder, one step and one sentence at a time."""

import torch

from tests.stdlib.cases import Case, integers, normals, reals

Tensor = torch.Tensor
SHAPE = {"b": 2, "m": 19, "n": 37, "d": 8, "r": 12}
LENGTHS = {"len": integers("b", low=1, high="n")}
SMALL = {"b": 2, "m": 5, "n": 7, "d": 6, "r": 8, "a": 4, "k": 4, "p": 6}


def _context(x: Tensor, y: Tensor, W1: Tensor, W2: Tensor, bias: Tensor, v: Tensor) -> Tensor:
    """The context of one state over the words of one sentence."""
    scores = torch.tanh(y @ W1 + x @ W2 + bias) @ v
    return torch.softmax(scores, 0) @ x


def gnmt_attention(X: Tensor, len: Tensor, Y: Tensor, W1: Tensor, W2: Tensor, bias: Tensor, v: Tensor) -> Tensor:
    sentences = [x[: int(end)] for x, end in zip(X, len, strict=True)]
    every = [
        torch.stack([_context(x, y, W1, W2, bias, v) for y in states]) for x, states in zip(sentences, Y, strict=True)
    ]
    return torch.stack(every)


def gnmt_decoder(
    X: Tensor,
    len: Tensor,
    Emb: Tensor,
    y0: Tensor,
    c0: Tensor,
    W1: Tensor,
    W2: Tensor,
    bias: Tensor,
    v: Tensor,
    WI: Tensor,
    WC: Tensor,
    WH: Tensor,
    bg: Tensor,
) -> dict[str, Tensor]:
    contexts, states = [], []
    for one, end in enumerate(len):
        y, c = y0[one], c0[one]
        seen, outputs = [], [y]
        for word in Emb[one]:
            context = _context(X[one, : int(end)], y, W1, W2, bias, v)
            gates = torch.einsum("a,akp->kp", word, WI) + torch.einsum("d,dkp->kp", context, WC)
            enter, forget, fresh, leave = gates + torch.einsum("d,dkp->kp", y, WH) + bg
            c = torch.sigmoid(forget) * c + torch.sigmoid(enter) * torch.tanh(fresh)
            y = torch.sigmoid(leave) * torch.tanh(c)
            seen.append(context)
            outputs.append(y)
        contexts.append(torch.stack(seen))
        states.append(torch.stack(outputs))
    return {"C": torch.stack(contexts), "Y": torch.stack(states)}


def gnmt_coverage(A: Tensor, a: float = 0.2, b: float = 0.2) -> dict[str, Tensor]:
    covered = [min(float(word), 1.0) for word in A.detach().sum(0)]
    columns = torch.stack([A[:, n].sum() if share < 1 else A.new_ones(()) for n, share in enumerate(covered)])
    length = torch.tensor((5 + A.shape[0]) ** a / 6**a, dtype=torch.float64)
    return {"cp": b * columns.log().sum(), "lp": length}


CASES = (
    Case("gnmt_attention", SHAPE, draw=LENGTHS, lengths=("m",)),
    Case("gnmt_decoder", SMALL, draw=LENGTHS | {"WI": normals("a", "k", "p", scale=0.5)}, lengths=()),
    Case("gnmt_coverage", {"m": 5, "n": 9}, draw={"A": reals("m", "n", low=0.1, high=0.4)}, lengths=()),
)

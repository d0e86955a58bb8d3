"""Source and target, sample by sample."""

import torch
from torch.nn.functional import layer_norm

from tests.stdlib.attend import attend, last, pairs, softmax_where
from tests.stdlib.cases import Case, integers

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
LAYER = {"b": 2, "n": 17, "d": 8, "h": 2, "e": 4, "f": 4, "c": 8, "k": 16}
LEN = {"len": integers("b", low=0, high="n")}


def prefix_lm(Q: Tensor, K: Tensor, V: Tensor, len: Tensor) -> dict[str, Tensor]:
    outputs, masses = [], []
    for q, k, v, count in zip(Q, K, V, len.tolist(), strict=True):

        def prefix(m: int, n: int, count: int = count) -> bool:
            return n < count or n <= m

        seen = pairs(last(Q, K), range(K.shape[2]), prefix)
        weights = softmax_where(q @ k.mT / Q.shape[-1] ** 0.5, seen)
        outputs.append(weights @ v)
        masses.append(weights[..., :count].sum(-1))
    return {"O": torch.stack(outputs), "source": torch.stack(masses)}


def partial_attention(Q: Tensor, K: Tensor, V: Tensor, len: Tensor) -> Tensor:
    found = []
    for q, k, v, count in zip(Q, K, V, len.tolist(), strict=True):
        weights = (q @ k[:, :count].mT / Q.shape[-1] ** 0.5).softmax(-1)
        found.append(weights @ v[:, :count])
    return torch.stack(found)


def palm_layer(
    X: Tensor,
    len: Tensor,
    WQ: Tensor,
    WK: Tensor,
    WV: Tensor,
    WO: Tensor,
    gain: Tensor,
    bias: Tensor,
    F1: Tensor,
    b1: Tensor,
    F2: Tensor,
    b2: Tensor,
    PQ: Tensor,
    PK: Tensor,
    PV: Tensor,
    PO: Tensor,
    gain_p: Tensor,
    bias_p: Tensor,
) -> Tensor:
    def heads(x: Tensor, weight: Tensor) -> Tensor:
        return torch.einsum("znd,dhe->zhne", x, weight)

    def joined(x: Tensor, weight: Tensor) -> Tensor:
        return x.transpose(1, 2).flatten(2) @ weight.flatten(1).T

    own = prefix_lm(heads(X, WQ), heads(X, WK), heads(X, WV), len)["O"]
    Y = layer_norm(X + joined(own, WO), X.shape[-1:], gain, bias)
    P = (Y @ F1 + b1).tanh() @ F2 + b2
    cross = partial_attention(heads(Y, PQ), heads(P, PK), heads(P, PV), len)
    return layer_norm(Y + joined(cross, PO), X.shape[-1:], gain_p, bias_p)


def unidirectional_cross(Q: Tensor, KS: Tensor, VS: Tensor, K: Tensor, V: Tensor) -> Tensor:
    """A decoder alone over the source and the target in one sequence, of which the target's rows are kept."""
    keys, values = torch.cat([KS, K], 2), torch.cat([VS, V], 2)
    return attend(Q, keys, values, pairs(last(Q, keys), range(keys.shape[2]), lambda m, n: n <= m))


CASES = (
    Case("prefix_lm", SELF, draw=LEN),
    Case("prefix_lm", CROSS, draw=LEN),
    Case("partial_attention", SELF, draw=LEN),
    Case("partial_attention", CROSS, draw={"len": integers("b", low=3, high="n")}),
    Case("palm_layer", LAYER, draw=LEN),
    Case("unidirectional_cross", SELF | {"j": 7}, causal=True),
    Case("unidirectional_cross", CROSS | {"j": 21}, causal=True),
)

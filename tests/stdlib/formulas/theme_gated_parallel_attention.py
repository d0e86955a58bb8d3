"""A layer of the Theme Transformer, one head and one piece of music at a time."""

import torch

from tests.stdlib.cases import Case, booleans, integers

Tensor = torch.Tensor
SHAPE = {"b": 2, "m": 23, "n": 13, "c": 8, "h": 3, "e": 8, "f": 12, "p": 40}
THEME = {"lab": integers("b", "m", high=5), "theme": booleans("b", "n", share=0.7)}


def theme_heads(
    X: Tensor,
    Z: Tensor,
    Wq: Tensor,
    Wk: Tensor,
    Wv: Tensor,
    Wo: Tensor,
    seen: Tensor | None = None,
    causal: bool = False,
) -> Tensor:
    pieces = []
    for one in range(X.shape[0]):
        kept = torch.ones(X.shape[1], Z.shape[1], dtype=torch.bool)
        if seen is not None:
            kept = kept & seen[one]
        if causal:
            kept = kept.tril(Z.shape[1] - X.shape[1])
        total = torch.zeros_like(X[one])
        for head in range(Wq.shape[1]):
            scores = (X[one] @ Wq[:, head]) @ (Z[one] @ Wk[:, head]).T / Wq.shape[2] ** 0.5
            weights = torch.softmax(scores.masked_fill(~kept, -torch.inf), -1)
            weights = torch.where(kept.any(-1, keepdim=True), weights, 0.0)
            total = total + weights @ (Z[one] @ Wv[:, head]) @ Wo[:, head].T
        pieces.append(total)
    return torch.stack(pieces)


def theme_gated_parallel_attention(
    T: Tensor,
    MEM: Tensor,
    lab: Tensor,
    theme: Tensor,
    PE: Tensor,
    Wq: Tensor,
    Wk: Tensor,
    Wv: Tensor,
    Wo: Tensor,
    Xq: Tensor,
    Xk: Tensor,
    Xv: Tensor,
    Xo: Tensor,
    gain: Tensor | None = None,
    shift: Tensor | None = None,
    xor: bool = False,
) -> Tensor:
    here = T + PE[: T.shape[1]]
    own = theme_heads(here, here, Wq, Wk, Wv, Wo, causal=True)
    other = theme_heads(T + PE[lab], MEM, Xq, Xk, Xv, Xo, theme)
    inside = (lab > 0).double()[..., None]
    branches = (own * (1 - inside) if xor else own) + inside * other
    return torch.nn.functional.layer_norm(T + branches / 2, T.shape[-1:], gain, shift)


CASES = (
    Case("theme_heads", SHAPE, draw={"seen": THEME["theme"]}),
    Case("theme_heads", SHAPE | {"n": 37}, {"causal": True}, causal=True),
    Case("theme_gated_parallel_attention", SHAPE, draw=THEME, lengths=("m", "n"), causal=True, time=("m",)),
    Case("theme_gated_parallel_attention", SHAPE, {"xor": True}, THEME, lengths=("m", "n"), causal=True, time=("m",)),
)

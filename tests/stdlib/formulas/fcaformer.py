"""FcaFormer: keys of both sources concatenated, their biases beside one another."""

import torch

from tests.stdlib.cases import Case, normals

Tensor = torch.Tensor
SHAPE = {"b": 2, "n": 30, "k": 6, "c": 8, "h": 3, "e": 8, "f": 12, "v": 5, "u": 6}
GIVEN = {"BS": normals("h", "k"), "LSF": normals("k"), "bo": normals("c"), "g1": normals("c"), "gains": normals("c")}


def fcaformer(
    X: Tensor,
    SX: Tensor,
    Wq: Tensor,
    Wk: Tensor,
    Wv: Tensor,
    Wo: Tensor,
    RB: Tensor,
    BS: Tensor | None = None,
    LSF: Tensor | None = None,
    bo: Tensor | float = 0.0,
    g1: Tensor | float = 1e-6,
    gain: Tensor | None = None,
    shift: Tensor | None = None,
    gains: Tensor | None = None,
    shifts: Tensor | None = None,
) -> Tensor:
    norm, width = torch.nn.functional.layer_norm, X.shape[-1:]
    own = norm(X, width, gain, shift)
    cross = norm(SX if LSF is None else SX * LSF[:, None], width, gains, shifts)
    both = torch.cat([own, cross], 1)
    rows, columns = RB.shape[1:]
    grid = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).reshape(-1, 2)
    apart = (grid[:, None] - grid[None]).abs()
    out = torch.zeros_like(X)
    for head in range(Wq.shape[1]):
        side = torch.zeros(SX.shape[1], dtype=X.dtype) if BS is None else BS[head]
        bias = torch.cat([RB[head][apart[..., 0], apart[..., 1]], side.expand(len(grid), -1)], 1)
        scores = (own @ Wq[:, head]) @ (both @ Wk[:, head]).mT / Wq.shape[2] ** 0.5 + bias
        out = out + torch.softmax(scores, -1) @ (both @ Wv[:, head]) @ Wo[:, head].T
    return X + g1 * (out + bo)


def fca_cross_tokens(Y: Tensor, w: Tensor) -> Tensor:
    return torch.nn.functional.conv2d(Y, w[:, None], stride=4, padding=3, groups=Y.shape[1])


CASES = (
    Case("fcaformer", SHAPE, draw=GIVEN, lengths=("k",)),
    Case("fcaformer", SHAPE | {"k": 0}, lengths=()),
    Case("fca_cross_tokens", {"b": 2, "c": 3, "y": 9, "x": 14, "p": 7, "q": 7}, lengths=()),
)

"""RCMHA, a row and a head at a time, the convolutions by PyTorch's own."""

import torch

from tests.stdlib.cases import Case

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 23, "n": 23, "e": 8, "f": 12, "j": 3, "p": 90}
CROSS = SELF | {"m": 13, "n": 37}


def _convolved(x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    """A filter of width 3 for each channel, zeros before the first row."""
    batch, heads, rows, width = x.shape
    if not rows:
        return x
    channels = torch.nn.functional.pad(x.reshape(batch * heads, rows, width).mT, (2, 0))
    found = torch.nn.functional.conv1d(channels, w[:, None], bias, groups=width)
    return found.mT.reshape(batch, heads, rows, width)


def rcmha(
    Q0: Tensor,
    K0: Tensor,
    V0: Tensor,
    wq: Tensor,
    wk: Tensor,
    wv: Tensor,
    R: Tensor,
    sb: Tensor,
    u: Tensor,
    bq: Tensor | None = None,
    bk: Tensor | None = None,
    bv: Tensor | None = None,
) -> Tensor:
    q, k, v = _convolved(Q0, wq, bq), _convolved(K0, wk, bk), _convolved(V0, wv, bv)
    memory, half = K0.shape[2] - Q0.shape[2], R.shape[0] // 2
    out = V0.new_zeros(*Q0.shape[:3], V0.shape[3])
    for head in range(Q0.shape[1]):
        for row in range(Q0.shape[2]):
            seen = torch.arange(max(0, memory + row + 1))
            offset = half + seen - (memory + row)
            content = (k[:, head, seen] * (q[:, head, row] + u[head])[:, None]).sum(-1)
            place = q[:, head, row] @ R[offset, head].T + sb[offset, head]
            weights = torch.softmax((content + place) / Q0.shape[3] ** 0.5, -1)
            out[:, head, row] = torch.einsum("zk,zkf->zf", weights, v[:, head, seen])
    return out


CASES = (
    Case("rcmha", SELF, causal=True, rows=False),
    Case("rcmha", CROSS, causal=True, rows=False),
)

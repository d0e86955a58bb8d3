"""Windows gathered point by point from each residue's own line of points."""

from itertools import product

import torch

from tests.stdlib.cases import Case

Tensor = torch.Tensor
LINE = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = LINE | {"m": 19, "n": 37}
MAP = {"b": 1, "h": 2, "y": 9, "x": 8, "u": 9, "v": 8, "e": 8, "f": 12}
SOLID = {"b": 1, "h": 2, "z": 4, "y": 5, "x": 6, "t": 4, "u": 5, "v": 6, "e": 8, "f": 12}


def _window(x: int, length: int, w: int, d: int, s: int, causal: bool) -> list[int]:
    """The points that x sees on an axis."""
    line = list(range(x % d, length, d))
    own = line.index(x)
    if causal:
        leader = min(own - own % s + s - 1, len(line) - 1)
        return line[max(leader - w + 1, 0) : own + 1]
    leader = min(own - own % s + s // 2, len(line) - 1)
    start = min(max(leader - w // 2, 0), max(len(line) - w, 0))
    return line[start : start + w]


def _at_points(
    Q: Tensor, K: Tensor, V: Tensor, axes: list[tuple[int, int, int, int, bool]], more: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor]:
    """Outputs and sums of exponentials on a grid, whose keys lie flat; `more` are keys and values for everyone."""
    lengths = [axis[0] for axis in axes]
    places, queries = torch.arange(K.shape[2]).reshape(lengths), Q.flatten(2, -2)
    outs, sums = [], []
    for row, point in enumerate(product(*map(range, lengths))):
        windows = [_window(x, *axis) for x, axis in zip(point, axes, strict=True)]
        near = places[torch.meshgrid(*map(torch.tensor, windows), indexing="ij")].flatten()
        keys, values = K[:, :, near], V[:, :, near]
        if more is not None:
            keys, values = torch.cat([keys, more[0]], 2), torch.cat([values, more[1]], 2)
        scores = torch.einsum("zhd,zhkd->zhk", queries[:, :, row], keys) / Q.shape[-1] ** 0.5
        outs.append(torch.einsum("zhk,zhkd->zhd", scores.softmax(-1), values))
        sums.append(torch.logsumexp(scores, -1))
    if not outs:
        return Q.new_zeros(*Q.shape[:-1], V.shape[-1]), Q.new_zeros(Q.shape[:-1])
    return torch.stack(outs, 2).reshape(*Q.shape[:-1], V.shape[-1]), torch.stack(sums, 2).reshape(Q.shape[:-1])


def natten1d(Q: Tensor, K: Tensor, V: Tensor, W: int = 7, D: int = 1, S: int = 1, causal: bool = False) -> Tensor:
    length, out = K.shape[2], torch.zeros(*Q.shape[:3], V.shape[-1], dtype=Q.dtype)
    for row in range(Q.shape[2]):
        place = length - Q.shape[2] + row
        if place >= 0:
            near = _window(place, length, W, D, S, causal)
            scores = Q[:, :, row, None] @ K[:, :, near].mT / Q.shape[-1] ** 0.5
            out[:, :, row] = (scores.softmax(-1) @ V[:, :, near])[:, :, 0]
    return out


def natten2d(
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    WY: int = 7,
    WX: int = 7,
    DY: int = 1,
    DX: int = 1,
    SY: int = 1,
    SX: int = 1,
    causal_y: bool = False,
    causal_x: bool = False,
) -> Tensor:
    axes = [(Q.shape[2], WY, DY, SY, causal_y), (Q.shape[3], WX, DX, SX, causal_x)]
    return _at_points(Q, K.flatten(2, 3), V.flatten(2, 3), axes, None)[0]


def natten2d_global(
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    KG: Tensor,
    VG: Tensor,
    WY: int = 7,
    WX: int = 7,
    DY: int = 1,
    DX: int = 1,
) -> dict[str, Tensor]:
    axes = [(Q.shape[2], WY, DY, 1, False), (Q.shape[3], WX, DX, 1, False)]
    out, sums = _at_points(Q, K, V, axes, (KG, VG))
    return {"O": out, "L": sums}


def natten3d(
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    WZ: int = 7,
    WY: int = 7,
    WX: int = 7,
    DZ: int = 1,
    DY: int = 1,
    DX: int = 1,
    causal_z: bool = False,
) -> Tensor:
    sizes, dilations = (WZ, WY, WX), (DZ, DY, DX)
    axes = [(Q.shape[2 + i], sizes[i], dilations[i], 1, causal_z and i == 0) for i in range(3)]
    return _at_points(Q, K.flatten(2, 4), V.flatten(2, 4), axes, None)[0]


CASES = (
    Case("natten1d", LINE),
    Case("natten1d", CROSS, {"W": 6, "D": 3}),
    Case("natten1d", LINE, {"W": 8, "S": 4}),
    Case("natten1d", LINE, {"W": 5, "D": 2, "causal": True}, causal=True),
    Case("natten1d", CROSS, {"W": 6, "S": 2, "causal": True}, causal=True),
    Case("natten2d", MAP, {"WY": 3, "WX": 4}, lengths=("y", "u")),
    Case("natten2d", MAP, {"WY": 3, "WX": 3, "DY": 2, "SX": 2, "causal_x": True}, lengths=("x", "v")),
    Case("natten2d_global", MAP | {"n": 72, "j": 3}, {"WY": 3, "WX": 4, "DX": 2}, lengths=("j",)),
    Case("natten3d", SOLID, {"WZ": 3, "WY": 3, "WX": 2, "DX": 2}, lengths=("z", "t")),
    Case(
        "natten3d",
        SOLID,
        {"WZ": 2, "WY": 5, "WX": 3, "causal_z": True},
        causal=True,
        lengths=("z", "t"),
        time=("z", "t"),
    ),
)

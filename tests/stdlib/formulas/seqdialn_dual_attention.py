"""Co-attention sample by sample and sub-map by sub-map; rounds one after another."""

import torch

from tests.stdlib.cases import Case, integers

Tensor = torch.Tensor
PICTURE = {"b": 2, "q": 9, "r": 13, "d": 8, "o": 2, "s": 4, "p": 2}
WORDS = {"len": integers("b", low=0, high="q")}
ROUNDS = {"b": 2, "h": 3, "m": 17, "n": 17, "e": 8, "f": 12}


def coattention(
    QW: Tensor,
    VR: Tensor,
    MQ: Tensor,
    MV: Tensor,
    WV: Tensor,
    WQ: Tensor,
    len: Tensor,
) -> dict[str, Tensor]:
    regions_out, words_out = [], []
    for words, regions, count in zip(QW, VR, len.tolist(), strict=True):
        padding = words.new_zeros(words.shape[0] - count, words.shape[1])
        text = torch.cat([words[:count], MQ, padding])
        image = torch.cat([regions, MV])
        maps = [(image @ v) @ (text @ q).T / WV.shape[0] ** 0.5 for v, q in zip(WV, WQ, strict=True)]
        over_words = torch.stack([one.softmax(1) for one in maps]).mean(0)
        over_image = torch.stack([one.softmax(0) for one in maps]).mean(0)
        regions_out.append((over_words @ text)[: regions.shape[0]])
        words_out.append((over_image.T @ image)[: words.shape[0]])
    return {"QL": torch.stack(regions_out), "VL": torch.stack(words_out)}


def coattention_layer(
    QW: Tensor,
    VR: Tensor,
    MQ: Tensor,
    MV: Tensor,
    WV: Tensor,
    WQ: Tensor,
    len: Tensor,
    FV: Tensor,
    FQ: Tensor,
    GV: Tensor,
    GQ: Tensor,
    bias_v: Tensor,
    bias_q: Tensor,
) -> dict[str, Tensor]:
    found = coattention(QW, VR, MQ, MV, WV, WQ, len)
    regions = torch.cat([VR, found["QL"]], -1) @ torch.cat([FV, GV]) + bias_v
    words = torch.cat([QW, found["VL"]], -1) @ torch.cat([FQ, GQ]) + bias_q
    return {"X": regions.relu() + VR, "Z": words.relu() + QW}


def dialog_rounds(Q: Tensor, KX: Tensor, VX: Tensor, KY: Tensor, VY: Tensor) -> Tensor:
    rows = []
    for row in range(Q.shape[2]):
        past = max(KX.shape[2] - Q.shape[2] + row + 1, 0)
        keys = torch.cat([KX[:, :, :past], KY[:, :, row : row + 1]], 2)
        values = torch.cat([VX[:, :, :past], VY[:, :, row : row + 1]], 2)
        rows.append((Q[:, :, row : row + 1] @ keys.mT / Q.shape[-1] ** 0.5).softmax(-1) @ values)
    return torch.cat(rows, 2)


CASES = (
    Case("coattention", PICTURE, draw=WORDS, lengths=("r",)),
    Case("coattention", PICTURE | {"q": 17, "s": 3, "o": 1}, draw=WORDS, lengths=("r",), name="one"),
    Case("coattention_layer", PICTURE | {"c": 8}, draw=WORDS, lengths=("r",)),
    Case("dialog_rounds", ROUNDS, causal=True),
    Case("dialog_rounds", ROUNDS | {"m": 9}, causal=True),
)

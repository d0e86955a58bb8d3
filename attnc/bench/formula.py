"""A row's attention in plain PyTorch, at some query rows: what a run at full length is judged by."""

from __future__ import annotations

from math import log, sqrt

import torch

from attnc.bench.case import Case
from attnc.bench.rows import Tensors


def formula(case: Case, inputs: Tensors, rows: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The output at these query rows, computed in a type; queries are given for these rows only."""
    typed = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in inputs.items()}
    outputs = [_weights(case, typed, pair, rows) @ _spread(case, typed["V"]) for pair in case.row.maps]
    return case.row.combine(typed, outputs)


def at_rows(case: Case, inputs: Tensors, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    """The inputs with the queries of these rows only."""
    queries = {query for query, _ in case.row.maps}
    return {name: tensor[:, :, rows] if name in queries else tensor for name, tensor in inputs.items()}


def _spread(case: Case, tensor: torch.Tensor) -> torch.Tensor:
    """Keys or values for every query head."""
    return tensor.repeat_interleave(case.heads // case.key_heads, 1)


def _weights(case: Case, inputs: Tensors, pair: tuple[str, str], rows: torch.Tensor) -> torch.Tensor:
    query, key = (inputs[name] for name in pair)
    points = case.points(rows)
    s = query @ _spread(case, key).mT / sqrt(case.width)
    if case.row.score is not None:
        s = case.row.score(inputs)(s, *points)
    if case.row.mask is not None:
        s = s.masked_fill(~case.row.mask(inputs)(*points), 0.0 if case.row.weights == "linear" else -torch.inf)
    match case.row.weights:
        case "softmax":
            return s.softmax(-1)
        case "sink":
            sink = inputs["sink"][:, None, None].expand(*s.shape[:3], 1)
            return torch.cat((s, sink), -1).softmax(-1)[..., :-1]
        case "sigmoid":
            return torch.sigmoid(s - log(case.keys))
        case "squared relu":
            return s.relu() ** 2 / case.keys
        case "linear":
            return s

"""A call once it is known what its callables say: the attention that it is, on its tensors and the captured ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from attnc.flex.arguments import checked, scale_of
from attnc.flex.program import Form, attention_of
from attnc.flex.rules import Call, Rules


class Asked(NamedTuple):
    """What else of a call is compiled in: its scale, whether heads may share keys, and what is given of each row."""

    scale: object
    shared: bool
    lse: bool
    top: bool


def seen_by(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, shared: bool) -> Call:
    """What callables may see of a call on these tensors, which belong together."""
    checked(query, key, value, shared)
    extents = {"b": query.shape[0], "h": query.shape[1], "m": query.shape[2], "n": key.shape[2]}
    return Call(query.device, score_type(query), extents)


def score_type(query: torch.Tensor) -> torch.dtype:
    """The type of scores."""
    return torch.float64 if query.dtype == torch.float64 else torch.float32


def called(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    rules: Rules,
    captured: dict[str, torch.Tensor],
    asked: Asked,
) -> Any:
    """The output, its logsumexp and the largest score, as far as they are asked for."""
    shared = asked.shared and query.shape[1] != key.shape[1]
    form = Form(rules, scale_of(asked.scale), shared, asked.lse, asked.top)
    real = score_type(query)
    given = {name: item.to(real) if item.dtype == torch.float64 else item for name, item in captured.items()}
    return attention_of(form)(query, key, value, **given)

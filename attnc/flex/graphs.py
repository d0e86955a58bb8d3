"""A call that Dynamo follows: the functions of its callables are nodes of a graph, until that runs on scalars.

Dynamo wants a tensor of every node, and is given fake ones without axes. Whoever takes the graph on, to derive it or
to run it, executes it node by node: then `scalars` gives those that write down what is done with them, and `attended`
is the call that they make up. Nothing of the callables is left in what is compiled.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import get_proxy_mode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from attnc.flex.calls import Asked, called, score_type, seen_by
from attnc.flex.captured import CAPTURES
from attnc.flex.reading import subscripted
from attnc.flex.rules import Rule, arguments, captured_in, said
from attnc.flex.scalars import Scalar
from attnc.runtime.precision import lowered


def recorded(
    query: Tensor, key: Tensor, value: Tensor, score_mod: Rule | None, masks: Sequence[Rule], asked: Asked
) -> Any:
    """The call as nodes of Dynamo's graph."""
    score, *positions = scalars(query, key, value, asked.shared)
    with _Reading():
        found = score if score_mod is None else score_mod(score, *positions)
        tests = [mask(*positions) for mask in masks]
    return attended(query, key, value, score, found, tests, tuple(asked))


class _Reading(TorchFunctionMode):
    """Reads elements where captured tensors are subscripted by scalars; Dynamo follows it as it does the callables."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in (torch.Tensor.__getitem__, operator.getitem):
            return element(args[0], args[1] if isinstance(args[1], tuple) else (args[1],))
        return func(*args, **(kwargs or {}))


# ---- nodes -------------------------------------------------------------------------------------


@torch.compiler.allow_in_graph  # type: ignore[untyped-decorator]
def scalars(query: Tensor, key: Tensor, value: Tensor, shared: bool) -> list[Any]:
    """The score and the four positions."""
    call = seen_by(query, key, value, shared)
    if _asked():
        types = (call.real, *(torch.int64,) * 4)
        return [torch.empty((), dtype=dtype, device=query.device) for dtype in types]
    CAPTURES.set(captured_in(call))
    return arguments()


@torch.compiler.allow_in_graph  # type: ignore[untyped-decorator]
def element(tensor: Any, indices: tuple[Any, ...]) -> Any:
    """A tensor at scalars."""
    if isinstance(tensor, Tensor) and any(isinstance(item, Scalar) for item in indices):
        return subscripted(tensor, indices)
    if _asked():
        indices = tuple(0 if isinstance(item, Tensor) and not item.dim() else item for item in indices)
    return tensor[indices]


@torch.compiler.allow_in_graph  # type: ignore[untyped-decorator]
def attended(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score: Any,
    found: Any,
    tests: list[Any],
    asked: tuple[Any, ...],
) -> Any:
    """The call, of whose callables the first gave `found` for `score`."""
    own = Asked(*asked)
    if not isinstance(score, Scalar):
        assert _asked(), "scalars are tensors for Dynamo alone"
        return _like(query, key, value, found, own)
    captures = CAPTURES.get()
    assert captures is not None, "`scalars` comes before"
    traced = said(captures, found, tests)
    CAPTURES.set(None)
    return called(query, key, value, traced.rules, traced.tensors, own)


def _asked() -> bool:
    """Whether Dynamo asks what a node is like: on fake tensors, while nobody else watches what is done with them."""
    modes = _get_current_dispatch_mode_stack()
    return bool(modes) and all(isinstance(mode, FakeTensorMode) for mode in modes) and get_proxy_mode() is None


def _like(query: Tensor, key: Tensor, value: Tensor, found: Any, asked: Asked) -> Any:
    """What is like the outputs in shape, type and of what they are functions, but is no number."""
    own = found.sum() if isinstance(found, Tensor) else 0  # what is no score has its word later
    row = query.sum(-1) + key.sum() + own + torch.nan
    given = lowered(query)
    assert isinstance(given, Tensor)
    out = (row[..., None] + value.sum((0, 1, 2))).to(given.dtype).contiguous()
    further = [row.to(score_type(query)).contiguous() for wanted in (asked.lse, asked.top) if wanted]
    return (out, *further) if further else out

"""What a score and a mask callable say: both run on scalars that write down what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import torch

from attnc.flex.captured import CAPTURES, Captures
from attnc.flex.reading import Rows, Tracing
from attnc.flex.scalars import Scalar, unfit
from attnc.ir import syntax as syn

Rule: TypeAlias = Callable[..., Any]
SCORE = syn.Name("S")
RESERVED = frozenset("BHGMNEFQKVSZAOLT")
_INFINITE = syn.Unary("-", syn.Constant("inf"))
_TRUE = syn.Constant("true")


@dataclass(frozen=True)
class Rules:
    """The new score, the conditions under which a query sees a key, and the captured inputs that both read."""

    score: syn.Expr
    tests: tuple[syn.Expr, ...]
    params: tuple[syn.Param, ...]
    requires: tuple[syn.Require, ...]

    @cached_property
    def _hash(self) -> int:
        return hash((self.score, self.tests, self.params, self.requires))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True)
class Traced:
    """Rules, the tensors they read by input name, and whether PyTorch computed anything on the way."""

    rules: Rules
    tensors: dict[str, torch.Tensor]
    computed: bool


@dataclass(frozen=True)
class Call:
    """What a callable may see of a call: where it runs, the type of its scores, how far its positions go."""

    device: torch.device
    real: torch.dtype
    extents: Mapping[str, int]


def rules_of(score_mod: Rule | None, masks: Iterable[Rule], call: Call) -> Traced:
    """What the callables write in a call."""
    captures = captured_in(call)
    score, *positions = arguments()
    token = CAPTURES.set(captures)
    try:
        with Tracing():
            found = score if score_mod is None else score_mod(score, *positions)
            tests = [mask(*positions) for mask in masks]
        return said(captures, found, tests)
    finally:
        CAPTURES.reset(token)


def captured_in(call: Call) -> Captures:
    """What callables capture in a call: nothing yet."""
    return Captures(call.extents, call.device, call.real, taken=set(RESERVED))


def arguments() -> list[Scalar]:
    """The score and the four positions that callables are given."""
    return [Scalar(SCORE, "real"), *(Scalar(syn.Name(name), "int") for name in "bhmn")]


def said(captures: Captures, score: object, tests: Iterable[object]) -> Traced:
    """The rules by what the callables returned."""
    own, kept = _real(_returned(score, "score")), [_returned(test, "mask") for test in tests]
    for item in kept:
        item.condition("a mask")
    node, conditions = _without_infinities(own.node)
    conditions += [item.node for item in kept if item.node != _TRUE]
    return Traced(Rules(node, tuple(conditions), *captures.declared()), captures.tensors, captures.computed)


def _real(score: Scalar) -> Scalar:
    return score if score.kind == "real" else Scalar.of(score * 1.0)


def _returned(value: object, what: str) -> Scalar:
    if value is None:
        raise unfit(f"the {what} callable returns nothing", f"return the {what}")
    if isinstance(value, Rows):
        raise value.unread()
    return Scalar.of(value)


def _without_infinities(node: syn.Expr) -> tuple[syn.Expr, list[syn.Expr]]:
    """A score without the choice of -inf, and the conditions that it chose by: a key of that score has no weight."""
    tests: list[syn.Expr] = []
    while isinstance(node, syn.Choose):
        if node.other == _INFINITE:
            tests.append(node.test)
            node = node.then
        elif node.then == _INFINITE:
            tests.append(syn.Unary("not", node.test, span=node.span))
            node = node.other
        else:
            break
    return node, tests

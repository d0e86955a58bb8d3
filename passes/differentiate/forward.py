"""Forward mode over the expressions of one statement: how a value changes as what it reads does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

from attnc.ir.cascade import Choose, Expr, Grad, Map, Order, Read, Reduce, Type
from attnc.ir.node import Node
from attnc.ir.walk import top_down, walk
from attnc.passes.differentiate.pullback import FLAT, ONE, ZERO, div, mul, pulled
from attnc.passes.differentiate.reverse import others, plus

Fold = Reduce | Order


class NoTangentError(Exception):
    """A derivative that is not written as a cascade: the definition is evaluated in its place."""


@dataclass(frozen=True)
class Forward:
    """The tangents of expressions.

    `tangents` names the tangent of each tensor that has one, `apart` gives a fold as a read of a tensor that holds
    it, `kind` the type of an expression.
    """

    tangents: Mapping[str, str]
    apart: Callable[[Fold], Expr]
    kind: Callable[[Expr], Type]

    def terms(self, expr: Expr) -> list[Expr]:
        """The terms of an expression's tangent; none where it does not change.

        Before   P * V, with tangents of P and V
        After    P_tangent * V and P * V_tangent: each what comes in at an argument times the derivative there
        Holds    by the chain rule; kept apart, so that the sum of each is a sum of products.
        """
        match expr:
            case Read(tensor):
                return [replace(expr, tensor=self.tangents[tensor])] if tensor in self.tangents else []
            case Map(op, args):
                return [] if op in FLAT else [term for place in range(len(args)) for term in self._pushed(expr, place)]
            case Choose(test, then, other):
                branches = self.terms(then), self.terms(other)
                return [Choose(test, *map(added, branches), span=expr.span)] if any(branches) else []
            case Reduce(body=body) | Order(body=body):
                terms = self.terms(body) if self.kind(expr) == "real" else []
                return self._of_fold(expr, terms) if terms else []
            case Grad():
                return self._of_derivative(expr)
            case _:
                return []

    def _pushed(self, expr: Map, place: int) -> Iterator[Expr]:
        """What the tangent of one argument adds to that of an operation."""
        for term in self.terms(expr.args[place]):
            pushed = pulled(expr, term)[place]
            if pushed is not None:
                yield replace(pushed, span=expr.span)

    def _of_derivative(self, expr: Grad) -> list[Expr]:
        if any(isinstance(node, Read) and node.tensor in self.tangents for node in walk(expr)):
            raise NoTangentError
        return []

    # ---- folds -----------------------------------------------------------------------------

    def _of_fold(self, fold: Fold, terms: list[Expr]) -> list[Expr]:
        """A sum changes by the sum of the changes, an extremum by the mean of those where its value is taken."""
        match fold.op:
            case "sum":
                return [self._summed(fold, term, fold.when) for term in terms]
            case "prod":
                beside = self._beside(cast(Reduce, fold))
                return [self._summed(fold, mul(term, beside), fold.when) for term in terms]
            case "max" | "min" | "kth":
                when = (*fold.when, Map("eq", (fold.body, self.apart(fold))))
                ties = self._summed(fold, ONE, when)
                return [div(self._summed(fold, term, when), ties) for term in terms]
            case _:
                raise NoTangentError

    def _summed(self, fold: Fold, term: Expr, when: tuple[Expr, ...]) -> Expr:
        return self.apart(Reduce("sum", fold.over, term, when, span=fold.span))

    def _beside(self, product: Reduce) -> Expr:
        """The product of all other points, its folds tensors of their own."""

        def rule(node: Node) -> Node | None:
            return self.apart(node) if isinstance(node, Reduce) and node.over == product.over else None

        return cast(Expr, top_down(others(product), rule))


def added(terms: Iterable[Expr]) -> Expr:
    """The sum of terms."""
    total: Expr | None = None
    for term in terms:
        total = term if total is None else plus(total, term)
    return ZERO if total is None else total

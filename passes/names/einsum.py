"""The Einsum rule: a product sums the indices that the left side lacks; nothing else sums by itself."""

from __future__ import annotations

from collections.abc import Sequence

from attnc.diagnostics import AttnError, error
from attnc.ir import syntax
from attnc.ir.cascade import Coord, Expr, Map, Read, Reduce, Where
from attnc.ir.indices import free_indices
from attnc.ir.node import Node
from attnc.ir.walk import walk
from attnc.passes.names.expressions import Resolver, missing
from attnc.passes.names.gradients import closed


def right_side(resolver: Resolver, node: syntax.Expr, left: Sequence[str]) -> Expr:
    """A statement's right side: resolved, with the sums that the Einsum rule implies."""
    if isinstance(node, syntax.Where):
        value = right_side(resolver, node.x, left)
        resolver.masked(node.x, node, None)  # a softmax under a final `where` is refused
        test = closed(resolver.of(node.test), left)
        foreign = missing(test, left, resolver.scope)
        if foreign:
            raise _foreign(node, foreign[0])
        return Where(value, test, span=node.span)
    value = closed(resolver.of(node), left)
    lacking = missing(value, left, resolver.scope)
    if not lacking:
        return value
    if not _is_product(value):
        raise _not_a_product(node, value, lacking)
    _check_factors(node, value, lacking, left)
    return Reduce("sum", lacking, value, span=node.span)


def _is_product(value: Expr) -> bool:
    match value:
        case Map("mul" | "div"):
            return True
        case Map("neg", (x,)):
            return _is_product(x)
        case _:
            return False


def _factors(value: Expr) -> tuple[list[Expr], list[Expr]]:
    """The factors and the divisors of a product."""
    match value:
        case Map("mul", (a, b)):
            (up, down), (more, below) = _factors(a), _factors(b)
            return up + more, down + below
        case Map("div", (a, b)):
            up, down = _factors(a)
            return up, [*down, b]
        case Map("neg", (x,)):
            return _factors(x)
        case _:
            return [value], []


def _check_factors(node: syntax.Expr, value: Expr, lacking: Sequence[str], left: Sequence[str]) -> None:
    factors, divisors = _factors(value)
    for index in lacking:
        for divisor in divisors:
            if index in free_indices(divisor):
                raise _divided(divisor, index)
        with_it = [factor for factor in factors if index in free_indices(factor)]
        if len(with_it) < 2:
            raise _one_factor(node, with_it, index, left)


def _divided(divisor: Expr, index: str) -> AttnError:
    extent = not any(isinstance(below, Read) for below in walk(divisor))
    capital = index.upper() if index.upper() != index else f"extent({index})"
    helps = (f"`{index}` is a position; its extent is `{capital}`",) if extent else ()
    return error(
        "A106",
        f"the divisor carries the summed index {index}",
        divisor.span,
        f"varies with {index}",
        helps=(*helps, f"or write the sum: `sum[{index}](..)`") if helps else (f"write the sum: `sum[{index}](..)`",),
    )


def _one_factor(node: syntax.Expr, factors: Sequence[Expr], index: str, left: Sequence[str]) -> AttnError:
    """An index in one factor only: meant to be summed, forgotten on the left, or another index was meant."""
    helps = [f"write `sum[{index}](..)` if that is meant, or put `{index}` on the left side"]
    match factors:
        case [Read(tensor, subs)]:
            there = [sub.index for sub in subs if isinstance(sub, Coord)]
            other = next((name for name in left if name not in there), None)
            if other is not None and len(there) == len(subs):
                shared = ",".join(f"{other} // r" if name == index else name for name in there)
                rest = f"`r = {other.upper()} // {index.upper()}` and `require {other.upper()} % {index.upper()} == 0`"
                helps.append(f"write `{tensor}[{shared}]`, with {rest}, if several {other} share one {index}")
    return error(
        "A107",
        f"index {index} occurs in one factor only: this would sum that factor over {index}",
        factors[0].span if factors else node.span,
        f"the only factor with {index}",
        helps=helps,
    )


def _not_a_product(node: syntax.Expr, value: Expr, lacking: Sequence[str]) -> AttnError:
    kind = {"sub": "a difference", "add": "a sum"}.get(value.op, "this") if isinstance(value, Map) else "this"
    over = ",".join(lacking)
    product = _first_product(node)
    proposal = f"sum[{over}]({product})" if product else f"sum[{over}](..)"
    helps = [f"write `{node.span.text.replace(product, proposal, 1)}`" if product else f"write `{proposal}`"]
    helps += [] if product else [f"or put `{over}` on the left side"]
    return error(
        "A108",
        f"index {lacking[0]} is not on the left, and {kind} is not a product",
        node.span,
        f"{lacking[0]} is free here",
        helps=helps,
    )


def _first_product(node: syntax.Expr) -> str:
    match node:
        case syntax.Binary("+" | "-", a, _):
            return _first_product(a)
        case syntax.Binary("*"):
            return node.span.text
        case syntax.Binary("/", a, _):
            return _first_product(a)
        case _:
            return ""


def _foreign(node: syntax.Where, index: str) -> AttnError:
    inner, test = node.x.span.text, node.test.span.text
    fold = next((below.span.text for below in walk(node.x) if _folds(below, index)), "")
    inside = f"{fold[:-1]} where {test})" if fold.endswith(")") else f"sum[{index}](.. where {test})"
    return error(
        "A202",
        f"`where` mentions {index}, which is not an index of the left side",
        node.test.span,
        f"{index} is bound inside the sum",
        helps=(f"move it inside: `{inside}`",),
        notes=(f"the condition applies to the whole of `{inner}`",),
    )


def _folds(node: Node, index: str) -> bool:
    """Whether this is a reduction over an index."""
    match node:
        case syntax.Apply(syntax.At(_, subs)):
            return any(isinstance(sub, syntax.Name) and sub.name == index for sub in subs)
        case _:
            return False

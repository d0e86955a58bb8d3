"""The Einsum rule: a product sums the indices that the left side lacks; nothing else sums by itself."""

from __future__ import annotations

from collections.abc import Sequence

from attnc.diagnostics import error
from attnc.ir import syntax
from attnc.ir.cascade import Coord, Expr, Map, Reduce, Where
from attnc.ir.indices import free_indices
from attnc.passes.names.expressions import Resolver, missing
from attnc.passes.names.gradients import closed
from attnc.passes.names.scope import Local


def right_side(resolver: Resolver, node: syntax.Expr, left: Sequence[str]) -> Expr:
    """A statement's right side: resolved, with the sums that the Einsum rule implies."""
    if isinstance(node, syntax.Where):
        value = right_side(resolver, node.x, left)
        resolver.masked(node.x, node, Local())  # a softmax under a final `where` is refused
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
    _check_factors(node, value, lacking)
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


def _check_factors(node: syntax.Expr, value: Expr, lacking: Sequence[str]) -> None:
    factors, divisors = _factors(value)
    for index in lacking:
        for divisor in divisors:
            if index in free_indices(divisor):
                raise error(
                    "A106",
                    f"the divisor carries the summed index {index}",
                    divisor.span,
                    f"varies with {index}",
                    helps=(f"write the sum: `sum[{index}](..)`",),
                )
        with_it = [factor for factor in factors if index in free_indices(factor)]
        if len(with_it) < 2:
            raise error(
                "A107",
                f"index {index} occurs in one factor only: this would sum that factor over {index}",
                with_it[0].span if with_it else node.span,
                f"the only factor with {index}",
                helps=(f"write `sum[{index}](..)` if that is meant, or put `{index}` on the left side",),
            )


def _not_a_product(node: syntax.Expr, value: Expr, lacking: Sequence[str]) -> Exception:
    kind = {"sub": "a difference", "add": "a sum"}.get(value.op, "this") if isinstance(value, Map) else "this"
    over = ",".join(lacking)
    product = _first_product(node)
    proposal = f"sum[{over}]({product})" if product else f"sum[{over}](..)"
    helps = (f"write `{node.span.text.replace(product, proposal, 1)}`",) if product else (f"write `{proposal}`",)
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


def _foreign(node: syntax.Where, index: str) -> Exception:
    inner = node.x.span.text
    return error(
        "A202",
        f"`where` mentions {index}, which is not an index of the left side",
        node.test.span,
        f"{index} is bound inside the sum",
        helps=(f"move it inside: `sum[{index}](.. where {node.test.span.text})`",),
        notes=(f"the condition applies to the whole of `{inner}`",),
    )


def left_side(resolver: Resolver, place: syntax.Place) -> tuple[tuple[Expr, ...], tuple[str, ...]]:
    """A left side's subscripts and its indices, each in exactly one subscript."""
    subs = []
    for sub in place.subs or ():
        value = resolver.of(sub)
        if _reads(value):
            raise error(
                "A203",
                "a left side holds indices and sizes only",
                sub.span,
                "a tensor is read here",
                helps=("a scatter is a sum with an equality: `sum[m](Y where idx == n)`",),
            )
        subs.append(value)
    indices: list[str] = []
    for sub, value in zip(place.subs or (), subs, strict=True):
        for index in _in_order(value):
            if index in indices:
                raise error("A109", f"index {index} stands in two subscripts of `{place.name}`", sub.span, "again here")
            indices.append(index)
    return tuple(subs), tuple(indices)


def _in_order(value: Expr) -> list[str]:
    from attnc.ir.walk import walk

    return list(dict.fromkeys(node.index for node in walk(value) if isinstance(node, Coord)))


def _reads(value: Expr) -> bool:
    from attnc.ir.cascade import Read
    from attnc.ir.walk import walk

    return any(isinstance(node, Read) for node in walk(value))

"""The sugared reductions as cascades of sums and maxima.

Each takes its body explicit: a value and conditions. A fold takes the points that satisfy the conditions
mentioning its indices; the others stay conditions of the result.
"""

from __future__ import annotations

from dataclasses import replace

from attnc.ir.cascade import Const, Coord, Expr, Map, Order, Read, Reduce
from attnc.ir.indices import free_indices
from attnc.passes.expand.site import Expansion, Site, Valued, named
from attnc.passes.simplify import TRUE, conjunction, simplify

_ABSENT_WHEN_EMPTY = ("argmax", "argmin")


def fold(state: Expansion, site: Site, op: str, over: tuple[str, ...], body: Valued) -> Valued:
    """A primitive reduction; argmax, argmin and integer max and min exist only where something is folded.

    Before   sum[n](x where p(m, n) where q(m))
    After    sum[n](x when p(m, n)), when q(m)
    Holds    because a fold takes the points under the conditions that mention its indices.
    """
    inner, outer = divided(over, body.when)
    number = state.type(body.value) != "real"
    if op in _ABSENT_WHEN_EMPTY or (op in ("max", "min") and number):
        outer += _something(state, site, over, inner)
    return Valued(Reduce(op, over, body.value, inner), outer)


def divided(over: tuple[str, ...], when: tuple[Expr, ...]) -> tuple[tuple[Expr, ...], tuple[Expr, ...]]:
    """The conditions that mention one of these indices, and the others."""
    inner = tuple(test for test in when if free_indices(test) & frozenset(over))
    return inner, tuple(test for test in when if test not in inner)


def softmax(state: Expansion, site: Site, over: tuple[str, ...], body: Valued) -> Valued:
    """Exponentials of the distance to the maximum, over their sum.

    Before   A = softmax[n](S)
    After    A_max = max[n](S);  A_exp = exp(shift(S, A_max));  A_sum = sum[n](A_exp);  A = A_exp / A_sum
    Holds    because this is what softmax means; 0 / 0 = 0 where a row has nothing but -inf.
    """
    _, exponential, total = _exponentials(state, site, over, body)
    return Valued(Map("div", (exponential, total)), body.when)


def logsumexp(state: Expansion, site: Site, over: tuple[str, ...], body: Valued) -> Valued:
    """The logarithm of the sum of exponentials, by way of the maximum; -inf where nothing is folded.

    Before   L = logsumexp[n](S)
    After    L_max = max[n](S);  L_exp = exp(shift(S, L_max));  L_sum = sum[n](L_exp);  L = log(L_sum) + L_max
    Holds    because log(sum exp(x - r)) + r = log(sum exp(x)).
    """
    top, _, total = _exponentials(state, site, over, body)
    return Valued(Map("add", (Map("log", (total,)), top)), divided(over, body.when)[1])


def _exponentials(state: Expansion, site: Site, over: tuple[str, ...], body: Valued) -> tuple[Expr, Expr, Expr]:
    inside = site.inside(over)
    inner, outer = divided(over, body.when)
    score = Valued(_name_unless_read(state, inside, "score", body), body.when)
    top = named(state, inside, "max", Valued(Reduce("max", over, score.value, inner), outer))
    weight = Valued(Map("exp", (Map("shift", (score.value, top)),)), body.when)
    exponential = named(state, inside, "exp", weight)
    total = named(state, inside, "sum", Valued(Reduce("sum", over, exponential, inner), outer))
    return top, exponential, total


def mean(state: Expansion, site: Site, over: tuple[str, ...], body: Valued) -> Valued:
    """The sum over the number of existing terms; absent where there are none.

    Before   x_mean = mean[d](x)
    After    x_sum = sum[d](x);  x_mean = x_sum / D
    Holds    by definition.
    """
    inner, outer = divided(over, body.when)
    total = named(state, site.inside(over), "sum", Valued(Reduce("sum", over, body.value, inner), outer))
    count = _count(state, site, over, inner)
    something = (Map("lt", (Const(0), count)),) if inner else _something(state, site, over, inner)
    return Valued(Map("div", (total, count)), outer + something)


def var(state: Expansion, site: Site, over: tuple[str, ...], body: Valued) -> Valued:
    """The mean of the squared distance to the mean.

    Before   x_var = var[d](x)
    After    x_mean = mean[d](x);  x_var = mean[d]((x - x_mean) ** 2)
    Holds    by definition.
    """
    inside = site.inside(over)
    term = Valued(_name_unless_read(state, inside, "term", body), body.when)
    middle = mean(state, site, over, term)
    centre = named(state, inside, "mean", middle)
    distance = Map("sub", (term.value, centre))
    squares = mean(state, site, over, Valued(Map("mul", (distance, distance)), body.when))
    return Valued(squares.value, middle.when)


def order(state: Expansion, site: Site, expr: Order, body: Valued) -> Valued:
    """An order operation over the points that exist; a slot exists where a point fills it.

    Before   i = argtopk[n -> t](x where p(m, n))
    After    i_count = sum[n](1 when p(m, n), x == x);  i = argtopk[n -> t](x when p(m, n)), when t < i_count
    Holds    because absent points and NaN come last and leave their slots absent.
    """
    inner, outer = divided(expr.over, body.when)
    if expr.op == "topk":
        return Valued(replace(expr, body=body.value, when=inner), outer)
    ordered = inner if state.type(body.value) != "real" else (*inner, Map("eq", (body.value, body.value)))
    count = _count(state, site, expr.over, ordered)
    if expr.op == "kth" and expr.k is not None:
        filled = conjunction((Map("le", (Const(0), expr.k)), Map("lt", (expr.k, count))))
    else:
        slot, first = Coord(expr.slots[0]), state.range(expr.slots[0]).lo
        filled = Map("lt", (slot if first == Const(0) else Map("sub", (slot, first)), count))
    return Valued(replace(expr, body=body.value, when=inner), (*outer, filled))


def _name_unless_read(state: Expansion, inside: Site, word: str, body: Valued) -> Expr:
    return body.value if isinstance(body.value, Read) else named(state, inside, word, body)


def _count(state: Expansion, site: Site, over: tuple[str, ...], inner: tuple[Expr, ...]) -> Expr:
    """How many points a fold takes."""
    if inner:
        return named(state, site.inside(over), "count", Valued(Reduce("sum", over, Const(1), inner)))
    extents = [Map("sub", (state.range(index).hi, state.range(index).lo)) for index in over]
    count: Expr = extents[0]
    for extent in extents[1:]:
        count = Map("mul", (count, extent))
    return simplify(count, state.types.__getitem__)


def _something(state: Expansion, site: Site, over: tuple[str, ...], inner: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The condition that a fold takes at least one point; none where that is plain."""
    if inner:
        return (named(state, site.inside(over), "any", Valued(Reduce("any", over, TRUE, inner))),)
    in_scope = {(state.range(index).lo, state.range(index).hi) for index in site.indices}
    ranges = [state.range(index) for index in over]
    tests = [Map("lt", (item.lo, item.hi)) for item in ranges if (item.lo, item.hi) not in in_scope]
    test = simplify(conjunction(tuple(tests)), state.types.__getitem__)
    return () if test == TRUE else (test,)

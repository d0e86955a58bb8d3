"""Proofs about integers: what must be provable, and that nothing is proved that enumeration refutes."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnc.grammar.parse import parse
from attnc.ir import syntax
from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Range, Size
from attnc.ir.types import type_of
from attnc.passes.names.expressions import Resolver
from attnc.passes.names.scope import Scope
from attnc.passes.prove import Atoms, Facts
from attnc.source import Source

INDICES = "abcdefghijklmnqrstuvwx"


def plain(index: str) -> Range:
    return Range(index, Const(0), Size(index))


def expression(text: str) -> Expr:
    header = f"attention t(X[{','.join(INDICES)}]) -> O:\n"
    attention = parse(Source("t.attn", f"{header}    require {text}\n")).definitions[0]
    assert isinstance(attention, syntax.Attention)
    (line,) = attention.body
    assert isinstance(line, syntax.Require)
    return Resolver(Scope({}, ranges={index: plain(index) for index in INDICES})).of(line.test)


def facts(*tests: Expr, ranges: dict[str, Range] | None = None) -> Facts:
    kind = Atoms(lambda expr: type_of(expr, lambda _: "real"))
    return Facts(kind, lambda index: (ranges or {}).get(index) or plain(index), tests)


IMPLIED = [
    ("0 <= n < N", []),
    ("h // (H // G) < G", ["H % G == 0"]),
    ("H // G >= 1", ["H % G == 0", "H >= 1"]),
    ("H // G >= 1", ["H % G == 0", "h >= 0"]),
    ("m // 64 < ceil(M / 64)", []),
    ("m // B < ceil(M / B)", ["B >= 1"]),
    ("(X - 1) // B == ceil(X / B) - 1", ["B >= 1"]),
    ("(X - 1) // 64 == ceil(X / 64) - 1", []),
    ("(G * R - 1) // R == G - 1", ["R >= 1"]),
    ("(a * B + c) // B == a + c // B", ["B >= 1"]),
    ("B * ceil(X / B) >= X", ["B >= 1"]),
    ("i * J + j < I * J", []),
    ("(i * J + j) * K + k < I * J * K", []),
    ("0 <= (s + u) % T < T", ["T >= 1"]),
    ("0 <= (e + E // 2) % E < E", []),
    ("e % (E // 2) < E // 2", ["E % 2 == 0"]),
    ("abs(m // 4 - n // 4) <= M // 4", ["M == N"]),
    ("max(m, n) < max(M, N)", []),
    ("0 <= min(m, n) < min(M, N)", []),
    ("n - 1 >= 0", ["n != 0"]),
    ("n - 1 >= 0", ["not n == 0"]),
    ("0 <= m - n", ["0 <= m - n < W and n < 4"]),
    ("(n if n < M else M - 1) < M", ["M >= 1"]),
    ("j * (L + 1) + u < N", ["U <= L", "N == J * (L + 1)"]),
    ("n // (L + 1) < J", ["N == J * (L + 1)"]),
    ("clamp(n - m, 0, N - 1) < N", ["N >= 1"]),
    ("2 * n - 1 != 2 * m", []),
]
NOT_IMPLIED = [
    ("n - 1 >= 0", []),
    ("H // G >= 1", ["H % G == 0"]),
    ("m < N", ["M <= N or n < 4"]),
    ("n - 1 >= 0", ["not (n == 0 and m == 0)"]),
    ("m // B * B + B - 1 < M", ["B >= 1"]),
    ("n < M", []),
]


@pytest.mark.parametrize(("goal", "given_"), IMPLIED, ids=str)
def test_implied(goal: str, given_: list[str]) -> None:
    assert facts(*map(expression, given_)).implies(expression(goal))


@pytest.mark.parametrize(("goal", "given_"), NOT_IMPLIED, ids=str)
def test_not_implied(goal: str, given_: list[str]) -> None:
    known = facts(*map(expression, given_))
    assert not known.implies(expression(goal))
    assert not known.excludes(expression(goal))


def test_excluded_where_no_point_satisfies_it() -> None:
    assert facts().excludes(expression("n + N < N"))
    assert facts(expression("m < n")).excludes(expression("n <= m"))


def test_a_condition_that_fails_says_nothing_of_operands_that_may_be_absent() -> None:
    absent = Map("not", (Map("lt", (Map("mod", (Coord("n"), Coord("m"))), Const(3))),))
    assert not facts(absent).implies(Map("ge", (Map("mod", (Coord("n"), Coord("m"))), Const(3))))


# ---- soundness -----------------------------------------------------------------------------

EXTENTS = range(4)
SMALL = {"i": Range("i", Const(0), Size("n")), "j": Range("j", Const(-1), Map("sub", (Size("m"), Const(1))))}

sizes = st.sampled_from([Size("n"), Size("m")])
leaves = st.one_of(sizes, st.sampled_from([Coord("i"), Coord("j")]), st.integers(-3, 4).map(Const))


def grown(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    pairs = st.tuples(inner, inner)
    comparison = st.builds(Map, st.sampled_from(["lt", "le", "eq"]), pairs)
    division = st.tuples(inner, st.one_of(sizes, st.integers(-2, 3).map(Const)))
    return st.one_of(
        st.builds(Map, st.sampled_from(["add", "sub", "mul", "max", "min"]), pairs),
        st.builds(Map, st.sampled_from(["floordiv", "mod"]), division),
        division.map(lambda pair: Map("ceil", (Map("div", pair),))),
        inner.map(lambda x: Map("abs", (x,))),
        st.builds(Choose, comparison, inner, inner),
    )


numbers = st.recursive(leaves, grown, max_leaves=5)
comparisons = st.builds(
    lambda op, a, b: Map(op, (a, b)), st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"]), numbers, numbers
)
tests = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(lambda op, a, b: Map(op, (a, b)), st.sampled_from(["and", "or"]), inner, inner),
        inner.map(lambda x: Map("not", (x,))),
    ),
    max_leaves=3,
)


class AbsentError(Exception):
    """A division by zero: the value does not exist."""


def value(expr: Expr, at: dict[str, int]) -> int:
    """The number that an expression of the language means at a point."""
    match expr:
        case Const(number):
            return int(number)
        case Size(index):
            return at[index.upper()]
        case Coord(index):
            return at[index]
        case Choose(test, then, other):
            return value(then if true(test, at) else other, at)
        case Map("add", (a, b)):
            return value(a, at) + value(b, at)
        case Map("sub", (a, b)):
            return value(a, at) - value(b, at)
        case Map("mul", (a, b)):
            return value(a, at) * value(b, at)
        case Map("max", (a, b)):
            return max(value(a, at), value(b, at))
        case Map("min", (a, b)):
            return min(value(a, at), value(b, at))
        case Map("abs", (a,)):
            return abs(value(a, at))
        case Map("floordiv" | "mod" as op, (a, b)):
            x, d = value(a, at), value(b, at)
            if d == 0:
                raise AbsentError
            return x // d if op == "floordiv" else x % d
        case Map("ceil", (Map("div", (a, b)),)):
            x, d = value(a, at), value(b, at)
            if d == 0:
                raise AbsentError
            return -(-x // d)
    raise AssertionError(expr)


def true(test: Expr, at: dict[str, int]) -> bool:
    """Whether a condition holds: a comparison with an absent operand does not."""
    match test:
        case Map("and", args):
            return all(true(arg, at) for arg in args)
        case Map("or", args):
            return any(true(arg, at) for arg in args)
        case Map("not", (arg,)):
            return not true(arg, at)
        case Map(op, (a, b)):
            try:
                x, y = value(a, at), value(b, at)
            except AbsentError:
                return False
            return {"lt": x < y, "le": x <= y, "gt": x > y, "ge": x >= y, "eq": x == y, "ne": x != y}[op]
    raise AssertionError(test)


def everywhere(goal: Expr, known: list[Expr], wanted: bool) -> bool:
    """Whether a goal has this truth at every point where the facts hold and its operands exist."""
    for n, m in product(EXTENTS, EXTENTS):
        for i, j in product(range(n), range(-1, m - 1)):
            at = {"N": n, "M": m, "i": i, "j": j}
            if not all(true(test, at) for test in known):
                continue
            try:
                value(goal.args[0], at) if isinstance(goal, Map) else 0
                value(goal.args[1], at) if isinstance(goal, Map) else 0
            except AbsentError:
                continue
            if true(goal, at) != wanted:
                return False
    return True


@settings(max_examples=200, deadline=None)
@given(st.lists(tests, max_size=2), comparisons)
def test_what_is_proved_holds_at_every_point(known: list[Expr], goal: Expr) -> None:
    claims = facts(*known, ranges=SMALL)
    if claims.implies(goal):
        assert everywhere(goal, known, True)
    if claims.excludes(goal):
        assert everywhere(goal, known, False)

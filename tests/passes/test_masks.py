"""Masks in closed form: the stretch of positions per row, tile classes and areas, against brute force."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnc.ir.cascade import Const, Coord, Expr, Map, Type
from attnc.passes.masks import Area, alternatives, measured, solve, trend
from attnc.passes.masks.area import number

M, N = Coord("m"), Coord("n")


def op(name: str, *args: Expr | int) -> Expr:
    return Map(name, tuple(Const(arg) if isinstance(arg, int) else arg for arg in args))


def kind(expr: Expr) -> Type:
    return "bool" if isinstance(expr, Map) and expr.op in ("lt", "le", "gt", "ge", "eq", "ne", "and", "or") else "int"


def holds(test: Expr, m: int, n: int) -> bool:
    return bool(number(test, {"m": m, "n": n}, {}))


CAUSAL = op("le", N, M)
WINDOW = op("lt", op("sub", M, N), 10)
MASKS: dict[str, tuple[Expr, ...]] = {
    "none": (),
    "causal": (CAUSAL,),
    "window": (op("le", 0, op("sub", M, N)), WINDOW),
    "two-sided": (op("le", op("abs", op("sub", M, N)), 7),),
    "sink and window": (CAUSAL, op("or", WINDOW, op("lt", N, 4))),
    "ends": (op("or", op("lt", N, 5), op("ge", N, 40), op("eq", N, M)),),
    "blocks": (op("eq", op("floordiv", M, 8), op("floordiv", N, 8)),),
    "this block and the one before": (
        CAUSAL,
        op("le", op("sub", op("floordiv", M, 8), op("floordiv", N, 8)), 1),
    ),
    "strided": (CAUSAL, op("eq", op("mod", op("sub", M, N), 4), 1)),
    "every third": (op("eq", op("mod", N, 3), 2),),
    "halved": (op("le", op("mul", 2, N), op("add", M, 3)),),
    "not self": (op("not", op("eq", N, M)),),
    "rows that see nothing": (op("lt", M, 20), CAUSAL),
    "clamped": (op("le", op("max", op("sub", M, 5), 3), N), op("lt", N, op("min", op("add", M, 6), 50))),
}
CLOSED = [name for name in MASKS if name not in ("strided", "every third")]


@pytest.mark.parametrize("name", MASKS)
def test_area_is_the_number_of_points(name: str) -> None:
    tests = MASKS[name]
    for rows, keys in ((range(37), 61), (range(-3, 30), 27), (range(50), 3), (range(0), 9), (range(5), 0)):
        expected = sum(all(holds(test, m, n) for test in tests) for m in rows for n in range(keys))
        found = measured(solve(tests, "n", kind), "n", (0, keys), ("m", rows), {}, (8, 8))
        assert found.exact
        assert found.points == expected


@pytest.mark.parametrize("name", MASKS)
def test_tile_classes_hold(name: str) -> None:
    """A tile called empty has no point, one called full has them all; where the form is closed nothing is lost."""
    tests, rows, keys, tile = MASKS[name], range(48), 56, 8
    found = measured(solve(tests, "n", kind), "n", (0, keys), ("m", rows), {}, (tile, tile))
    empty = full = 0
    for top in range(0, 48, tile):
        for left in range(0, keys, tile):
            points = [all(holds(t, m, n) for t in tests) for m in range(top, top + tile) for n in range(left, left + 8)]
            empty += not any(points)
            full += all(points)
    assert found.empty + found.full + found.partial == 42
    assert found.empty <= empty
    assert found.full <= full
    if name in ("none", "causal", "window", "two-sided", "blocks", "sink and window", "this block and the one before"):
        assert (found.empty, found.full) == (empty, full)


@pytest.mark.parametrize("name", CLOSED)
def test_alternatives_solve_for_the_stream(name: str) -> None:
    branches = solve(MASKS[name], "n", kind)
    assert not any(branch.gaps for branch in branches)
    for m in range(-2, 40):
        for n in range(-5, 60):
            inside = any(
                all(number(low, {"m": m}, {}) <= n for low in branch.lows)
                and all(n < number(high, {"m": m}, {}) for high in branch.highs)
                and all(number(gate, {"m": m}, {}) >= 0 for gate in branch.gates)
                for branch in branches
            )
            assert inside == all(holds(test, m, n) for test in MASKS[name])


def test_a_million_rows_need_no_array() -> None:
    found = measured(solve((CAUSAL,), "n", kind), "n", (0, 1 << 17), ("m", range(1 << 17)), {}, (128, 128))
    assert found == Area(1023 * 512, 1023 * 512, 1024, (1 << 16) * ((1 << 17) + 1), True)


def test_alternatives_are_few() -> None:
    wide = op("or", *(op("eq", N, place) for place in range(20)))
    (conjuncts,) = alternatives((wide,), kind)
    assert len(conjuncts) == 1
    (branch,) = solve((wide, CAUSAL), "n", kind)
    assert branch.gaps
    assert branch.highs == (op("add", M, 1),)


expressions = st.recursive(
    st.one_of(st.just(M), st.integers(-9, 9).map(Const)),
    lambda inner: st.one_of(
        st.builds(lambda a, b: op("add", a, b), inner, inner),
        st.builds(lambda a, b: op("sub", a, b), inner, inner),
        st.builds(lambda a, b: op("mul", a, b), inner, st.integers(-3, 3)),
        st.builds(lambda a, b: op("floordiv", a, b), inner, st.integers(1, 7)),
        st.builds(lambda a, b: op("max", a, b), inner, inner),
        st.builds(lambda a, b: op("min", a, b), inner, inner),
        st.builds(lambda a, b: op("mod", a, b), inner, st.integers(1, 7)),
    ),
    max_leaves=6,
)
comparisons = st.builds(
    lambda name, a, b, c: op(name, op("add", N, a) if c else op("floordiv", op("sub", N, a), c + 1), b),
    st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"]),
    expressions,
    expressions,
    st.integers(0, 4),
)


@settings(max_examples=150, deadline=None)
@given(expressions)
def test_trend_is_true(value: Expr) -> None:
    sign = trend(value, "m")
    values = [number(value, {"m": m}, {}) for m in range(-20, 20)]
    steps = {later - earlier for earlier, later in pairwise(values)}
    if sign == 0:
        assert steps <= {0}
    if sign == 1:
        assert min(steps) >= 0
    if sign == -1:
        assert max(steps) <= 0


@settings(max_examples=150, deadline=None)
@given(st.lists(comparisons, min_size=1, max_size=3), st.sampled_from(["and", "or"]))
def test_random_conditions(tests: list[Expr], joint: str) -> None:
    test = tests[0] if len(tests) == 1 else op(joint, *tests)
    found = measured(solve((test,), "n", kind), "n", (0, 23), ("m", range(-4, 9)), {}, (4, 8))
    expected = sum(holds(test, m, n) for m in range(-4, 9) for n in range(23))
    assert found.points == expected if found.exact else found.points >= expected

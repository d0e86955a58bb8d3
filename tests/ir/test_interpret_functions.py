"""Every function of the language at ordinary points, at 0 and at infinities, against Python's math."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from tests.ir.oracle import normal, one, oracle, same

F = torch.float64
INF, NAN = math.inf, math.nan
POINTS = (-3.7, -2.5, -1.0, -0.5, -1e-9, 0.0, 1e-9, 0.5, 1.0, 1.5, 2.5, 8.25)


def phi(x: float) -> float:
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def on(least: float, function: Callable[[float], float]) -> Callable[[float], float]:
    """The function where it is real, NaN below."""
    return lambda x: function(x) if x >= least else NAN


REAL: dict[str, tuple[Callable[[float], float], dict[float, float]]] = {
    "exp": (math.exp, {INF: INF, -INF: 0.0, 0.0: 1.0, 710.0: INF}),
    "exp2": (lambda x: 2.0**x, {INF: INF, -INF: 0.0}),
    "log": (on(1e-300, math.log), {0.0: -INF, INF: INF, -1.0: NAN}),
    "log2": (on(1e-300, math.log2), {0.0: -INF, INF: INF}),
    "log1p": (on(-0.9, math.log1p), {-1.0: -INF, INF: INF, 1e-18: 1e-18}),
    "expm1": (math.expm1, {INF: INF, -INF: -1.0, 1e-18: 1e-18}),
    "sqrt": (on(0.0, math.sqrt), {0.0: 0.0, INF: INF}),
    "rsqrt": (on(1e-300, lambda x: 1 / math.sqrt(x)), {0.0: INF, INF: 0.0}),
    "abs": (abs, {INF: INF, -INF: INF}),
    "sign": (lambda x: float((x > 0) - (x < 0)), {INF: 1.0, -INF: -1.0, 0.0: 0.0}),
    "tanh": (math.tanh, {INF: 1.0, -INF: -1.0}),
    "sigmoid": (logistic, {INF: 1.0, -INF: 0.0, 0.0: 0.5, -800.0: 0.0}),
    "softplus": (lambda x: math.log1p(math.exp(x)), {INF: INF, -INF: 0.0, 800.0: 800.0}),
    "relu": (lambda x: max(x, 0.0), {INF: INF, -INF: 0.0, 0.0: 0.0}),
    "silu": (lambda x: x * logistic(x), {INF: INF, 0.0: 0.0}),
    "gelu": (lambda x: x * phi(x), {INF: INF, 0.0: 0.0}),
    "erf": (math.erf, {INF: 1.0, -INF: -1.0}),
    "sin": (math.sin, {}),
    "cos": (math.cos, {0.0: 1.0}),
    "xlogx": (on(0.0, lambda x: x * math.log(x) if x else 0.0), {0.0: 0.0, INF: INF, 1.0: 0.0}),
    "stop": (lambda x: x, {INF: INF, -INF: -INF}),
}
ROUNDING: dict[str, Callable[[float], int]] = {"floor": math.floor, "ceil": math.ceil, "round": round}


@pytest.mark.parametrize("name", REAL)
def test_real_functions(name: str) -> None:
    function, fixed = REAL[name]
    points = torch.tensor([*POINTS, *fixed, NAN], dtype=F)
    wanted = [fixed[x] if x in fixed else function(x) for x in (*POINTS, *fixed)] + [NAN]
    found = one(f"attention f(x[i]) -> O:\n    O[i] = {name}(x)", x=points)
    known = [not (name == "sign" and math.isnan(x)) for x in points.tolist()]  # the sign of NaN is not fixed
    same(found[known], torch.tensor(wanted, dtype=F)[known])


@pytest.mark.parametrize("name", ROUNDING)
def test_rounding_gives_integers(name: str) -> None:
    found = one(f"attention f(x[i]) -> O:\n    O[i] = {name}(x)", x=torch.tensor(POINTS, dtype=F))
    same(found, torch.tensor([ROUNDING[name](x) for x in POINTS]))


@pytest.mark.parametrize(
    ("name", "function"),
    [("abs", abs), ("sign", lambda x: (x > 0) - (x < 0)), ("relu", lambda x: max(x, 0)), ("stop", lambda x: x)],
)
def test_functions_that_keep_integers(name: str, function: Callable[[int], int]) -> None:
    points = [-(2**62), -3, 0, 1, 2**62]
    found = one(f"attention f(i[n]: int) -> O:\n    O[n] = {name}(i)", i=torch.tensor(points))
    same(found, torch.tensor([function(x) for x in points]))


@pytest.mark.parametrize("name", ["exp", "sqrt", "sigmoid", "xlogx", "tanh", "cos"])
def test_real_functions_of_integers_and_booleans(name: str) -> None:
    text = f"attention f(i[n]: int, p[n]: bool) -> O, P:\n    O[n] = {name}(i)\n    P[n] = {name}(p)"
    found = oracle(text, i=torch.tensor([0, 1, 3]), p=torch.tensor([False, True, True]))
    same(found["O"], torch.tensor([REAL[name][0](x) for x in (0.0, 1.0, 3.0)], dtype=F))
    same(found["P"], torch.tensor([REAL[name][0](x) for x in (0.0, 1.0, 1.0)], dtype=F))


def test_extremes_and_clamp() -> None:
    text = """
    attention extremes(x[n], y[n], i[n]: int) -> lo, hi, three, held, whole, mixed:
        lo[n] = min(x, y)
        hi[n] = max(x, y)
        three[n] = max(x, y, 0.25)
        held[n] = clamp(x, -1, 0.5)
        whole[n] = clamp(i, 0, 2)
        mixed[n] = max(i, x)
    """
    x, y, i = normal(6), normal(6, seed=1), torch.tensor([-3, 0, 1, 2, 3, 9])
    x[:3] = torch.tensor([INF, -INF, NAN], dtype=F)
    found = oracle(text, x=x, y=y, i=i)
    same(found["lo"], torch.minimum(x, y))
    same(found["hi"], torch.maximum(x, y))
    same(found["three"], torch.maximum(torch.maximum(x, y), torch.tensor(0.25, dtype=F)))
    same(found["held"], x.clamp(-1, 0.5))
    same(found["whole"], i.clamp(0, 2))
    same(found["mixed"], torch.maximum(i.double(), x))


def test_powers() -> None:
    text = """
    attention powers(x[n], i[n]: int) -> square, third, root, whole, inverse, part:
        square[n] = x ** 2
        third[n] = x ** 3
        root[n] = abs(x) ** 0.5
        whole[n] = i ** 3
        inverse[n] = x ** -1
        part[n] = (n + 1) ** (n - 1)
    """
    x, i = torch.tensor([-2.0, 0.0, 3.0], dtype=F), torch.tensor([-2, 0, 3])
    found = oracle(text, x=x, i=i)
    same(found["square"], [4.0, 0.0, 9.0])
    same(found["third"], [-8.0, 0.0, 27.0])
    same(found["root"], [math.sqrt(2), 0.0, math.sqrt(3)])
    same(found["whole"], [-8, 0, 27])
    same(found["inverse"], [-0.5, INF, 1 / 3])
    same(found["part"], [1, 1, 3])


def test_constants_exists_extent_and_default() -> None:
    text = """
    attention rest(X[m,n], page[m]: int) -> number, sizes, there, value:
        number[] = pi + 2 * 1e-3
        sizes[] = extent(m) * 100 + N
        there[m] = exists(X[page[m],0])
        value[m] = default(X[page[m],0], inf)
    """
    X = normal(3, 4)
    found = oracle(text, X=X, page=torch.tensor([2, -1, 3]))
    same(found["number"], math.pi + 0.002)
    same(found["sizes"], 304)
    assert found["there"].tolist() == [True, False, False]
    same(found["value"], torch.stack([X[2, 0], torch.tensor(INF, dtype=F), torch.tensor(INF, dtype=F)]))


@pytest.mark.parametrize("length", [0, 1])
def test_short_axes(length: int) -> None:
    every = "".join(f"    O_{name}[i] = {name}(x)\n" for name in (*REAL, *ROUNDING))
    names = ", ".join(f"O_{name}" for name in (*REAL, *ROUNDING))
    found = oracle(f"attention all(x[i]) -> {names}:\n{every}", x=torch.full((length,), 1.0, dtype=F))
    for name, (function, _) in REAL.items():
        same(found[f"O_{name}"], torch.tensor([function(1.0)] * length, dtype=F))

"""A plan as text: stages with their state, hosts with their reason."""

from __future__ import annotations

from textwrap import dedent

from attnc.ir.cascade import Const, Coord, Expr, Map, Read, Size, Var
from attnc.ir.print_plan import show_plan
from attnc.ir.stage import POINT, Accumulator, Finish, Gauge, Host, Lift, Monoid, Plan, Refusal, Segment, Stream

SCORE = Read("S", (Coord("m"), Coord("n")))
CAUSAL: tuple[Expr, ...] = (Map("le", (Coord("n"), Coord("m"))),)


def online_softmax() -> Stream:
    gauge = Gauge("r", ("m",), (Lift(0, SCORE, CAUSAL),))
    weight = Map("exp", (Var(gauge.shifted),))
    keep = Map("exp", (Var(gauge.shift),))
    value = Read("V", (Coord("n"), Coord("f")))
    total = Accumulator("d", "sum", ("m",), (Lift(0, weight, CAUSAL),), "r", ((keep, "d"),))
    mixed = Accumulator("o", "sum", ("m", "f"), (Lift(0, Map("mul", (weight, value)), CAUSAL),), "r", ((keep, "o"),))
    ratio = Map("div", (Var("o"), Var("d")))
    finish = Finish("O", (Coord("m"), Coord("f")), ("m", "f"), ratio)
    segment = Segment("n", Const(0), Size("n"), Coord("n"))
    return Stream("forward", Monoid((segment,), (gauge,), (total, mixed), (finish,)), "n", "m", ("b", "h"))


def test_a_stream_shows_its_state() -> None:
    assert (
        show_plan(Plan((online_softmax(),)))
        == dedent(
            """
            stream forward: one pass over n, tiles of m, one program per (b, h)
                segment 0: 0 <= n < N
                gauge r[m] (pure) = segment 0: max(S[m,n] where n <= m)
                d[m] = segment 0: sum(exp(r.shifted) where n <= m), corrected to exp(r.shift) * d
                o[m,f] = segment 0: sum(exp(r.shifted) * V[n,f] where n <= m), corrected to exp(r.shift) * o
                O[m,f] = o / d
            """
        ).lstrip()
    )


def test_a_stage_without_a_stream_shows_its_tiles() -> None:
    product = Map("mul", (Read("Q", (Coord("m"),)), Read("K", (Coord("n"),))))
    kept = Accumulator("S", "sum", ("m", "n"), (Lift(0, product, CAUSAL),))
    finish = Finish("S", (Coord("m"), Coord("n")), ("m", "n"), Var("S"))
    stage = Stream("S", Monoid((POINT,), (), (kept,), (finish,)), None, "m", ("b",), "n")
    assert show_plan(Plan((stage,))).splitlines()[:3] == [
        "stream S: tiles of m and n, one program per (b)",
        "    segment 0: one point",
        "    S[m,n] = segment 0: sum(Q[m] * K[n] where n <= m)",
    ]


def test_a_host_stage_says_why_it_is_one() -> None:
    refusal = Refusal("ORDER", "a median is no fold", SCORE, "use two passes")
    plan = Plan((Host("forward.y", ("y",), heavy=True, refusal=refusal), Host("forward.z", ("z",), heavy=False)))
    assert show_plan(plan).splitlines() == [
        "host forward.y: y (heavy; ORDER: a median is no fold)",
        "host forward.z: z (light)",
    ]

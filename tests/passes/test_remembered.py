"""A stage that was derived once is not derived again in the process, and its places are those of the spec at hand."""

from __future__ import annotations

from unittest.mock import patch

import attnc
from attnc import compiler
from attnc.ir.stage import Plan, Stream
from attnc.ir.walk import walk
from attnc.library import Library
from attnc.passes.derive.adding import add as add_to
from attnc.passes.families import Shapes
from attnc.passes.fewest import fewest

SPEC = (
    "attention p(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]) -> O:\n"
    "    S[b,h,m,n] = Q * K / sqrt(E + 3)\n"
    "    O[b,h,m,f] = softmax[n](S) * V\n"
)
REFUSED = SPEC.replace("softmax[n](S)", "softmax[n](S / (1 + mean[n](S * S)))")


def planned(text: str) -> Plan:
    """The plan, without what is kept on disk."""
    spec = attnc.compile(text).spec
    return compiler.planned(compiler.explicit(compiler.stated(spec, {}, Library(None))))


def added(text: str) -> tuple[Plan, int]:
    """The plan, and how many reductions were added to a state on the way."""
    with patch("attnc.passes.derive.add", side_effect=add_to) as add:
        return planned(text), add.call_count


def stage(plan: Plan) -> Stream:
    return next(item for item in plan.stages if isinstance(item, Stream))


def lines(plan: Plan) -> set[int]:
    return {node.span.line for node in walk(stage(plan)) if node.span.source.text}


def test_an_equal_spec_is_not_derived_again() -> None:
    first, _ = added(SPEC)
    again, calls = added(SPEC)
    assert calls == 0
    assert again == first


def test_its_places_are_its_own() -> None:
    first, _ = added(SPEC)
    moved, calls = added("# another line\n\n" + SPEC)
    assert calls == 0
    assert moved == first
    assert lines(moved) == {line + 2 for line in lines(first)}
    texts = {node.span.source.text for node in walk(stage(moved)) if node.span.source.text}
    assert texts == {"# another line\n\n" + SPEC}


def test_another_spec_is_derived() -> None:
    added(SPEC)
    assert added(SPEC.replace("E + 3", "E + 4"))[1] > 0


def test_a_refusal_is_remembered_with_its_places() -> None:
    first, _ = added(REFUSED)
    moved, calls = added("# another line\n" + REFUSED)
    assert calls == 0
    assert [item.code for item in moved.refusals] == ["NSEP"]
    assert moved.refusals[0].span.line == first.refusals[0].span.line + 1
    assert moved.refusals[0].clash.span.line == first.refusals[0].clash.span.line + 1


def test_bounds_are_worked_out_once() -> None:
    cascade = compiler.explicit(compiler.stated(attnc.compile(REFUSED).spec, {}, Library(None)))
    first = fewest(Shapes(cascade), "n")
    with patch("attnc.passes.derive.add", side_effect=add_to) as add:
        assert fewest(Shapes(cascade), "n") == first
    assert add.call_count == 0

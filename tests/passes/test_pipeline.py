"""Passes are held to what they need and what they give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from attnc.ir.cascade import Cascade, Const, Coord, Input, Part, Range, Read, Reduce, Size, Softmax, Step, Tensor
from attnc.ir.verify import InvariantError, explicit, ordered, resolved, stated, verify
from attnc.passes.expand import expand
from attnc.passes.pipeline import Pass, run, transform


def normalised() -> Cascade:
    """A[n] = softmax[n](S)."""
    value = Softmax(("n",), Read("S", (Coord("n"),)))
    part = Part("A", (Coord("n"),), ("n",), value)
    axis = (Const(0), Size("n"))
    return Cascade(
        name="normalised",
        inputs=(Input("S", ("n",), "real"),),
        options=(),
        ranges=(Range("n", *axis),),
        tensors=(Tensor("A", (axis,), "real", (part,)),),
        steps=(Step(("A",)),),
        outputs=("A",),
    )


def unnamed(program: Cascade) -> Iterator[str]:
    """The program has no name."""
    if program.name:
        yield f"it is called {program.name}"


@transform(needs=(resolved,), gives=(unnamed,))
def forget_name(program: Cascade) -> Cascade:
    """Nothing is called anything.

    Before   attention a
    After    attention
    """
    return replace(program, name="")


@transform(needs=(resolved,), gives=(unnamed,))
def keep_name(program: Cascade) -> Cascade:
    """It promises what it does not do."""
    return program


def test_a_pass_is_called_as_its_function_and_explained_by_its_first_line() -> None:
    assert forget_name.name == "forget-name"
    assert forget_name.help == "Nothing is called anything."
    assert expand.name == "expand"


def test_a_kept_promise_passes() -> None:
    assert forget_name(normalised()).name == ""


def test_a_broken_promise_is_told_with_the_pass_and_both_programs() -> None:
    with pytest.raises(InvariantError, match="unnamed: it is called normalised") as caught:
        keep_name(normalised())
    notes = "\n".join(caught.value.__notes__)
    assert "keep-name was given" in notes
    assert "keep-name made" in notes
    assert "A[n] = softmax[n](S[n])" in notes


def test_an_unmet_need_stops_a_pass() -> None:
    dangling = replace(normalised(), inputs=())
    with pytest.raises(InvariantError, match="resolved: A: S is not defined"):
        forget_name(dangling)


def test_the_observer_sees_every_pass_in_order() -> None:
    seen: list[tuple[str, int]] = []
    passes: tuple[Pass, ...] = (expand, forget_name)
    result = run(passes, normalised(), lambda name, program: seen.append((name, len(program.tensors))))
    assert seen == [("expand", 4), ("forget-name", 4)]
    assert result.name == ""


def test_softmax_is_stated_and_its_expansion_is_explicit() -> None:
    verify(normalised(), (resolved, ordered, stated))
    with pytest.raises(InvariantError, match="explicit: A: Softmax is not explicit"):
        verify(normalised(), (explicit,))
    verify(expand(normalised()), (resolved, ordered, explicit))


def broken(**changes: Any) -> Cascade:
    return replace(normalised(), **changes)


def with_value(value: Any) -> Cascade:
    tensor = normalised().tensors[0]
    part = replace(tensor.parts[0], value=value)
    return broken(tensors=(replace(tensor, parts=(part,)),))


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        (broken(outputs=("B",)), "the output B is not defined"),
        (broken(ranges=()), "n has no range"),
        (broken(steps=()), "the steps evaluate"),
        (with_value(Read("S", ())), "S has 1 axes, read with 0"),
        (with_value(Read("S", (Coord("m"),))), "'m'. not in scope"),
        (with_value(Reduce("median", ("n",), Read("S", (Coord("n"),)))), "median over"),
        (with_value(Read("A", (Coord("n"),))), "A reads A before it is evaluated"),
    ],
)
def test_a_fault_is_found(program: Cascade, fault: str) -> None:
    with pytest.raises(InvariantError, match=fault):
        verify(program, (resolved, ordered))


def test_a_reduction_inside_a_statement_is_not_explicit() -> None:
    inner = Reduce("sum", ("n",), Read("S", (Coord("n"),)))
    with pytest.raises(InvariantError, match="a sum inside a statement"):
        verify(with_value(Reduce("sum", ("n",), inner)), (explicit,))

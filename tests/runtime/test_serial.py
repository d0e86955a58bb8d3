from attnc.ir.cascade import Cascade, Const, Coord, Input, Map, Part, Range, Read, Size, Step, Tensor
from attnc.ir.serial import dump, load
from attnc.ir.walk import walk
from attnc.source import NOWHERE, Source, Span

SOURCE = Source("x.attn", "attention x(Q[m]) -> O:\n    O[m] = Q + 1\n")


def doubled() -> Cascade:
    span = Span(SOURCE, 28, 40)
    value = Map("add", (Read("Q", (Coord("m"),), span=span), Const(1.0)), span=span)
    part = Part("O", (Coord("m"),), ("m",), value, span=span)
    tensor = Tensor("O", ((Const(0), Size("m")),), "real", (part,))
    ranges = (Range("m", Const(0), Size("m")),)
    return Cascade("x", (Input("Q", ("m",), "real"),), (("W", 3),), ranges, (tensor,), (Step(("O",)),), ("O",))


def test_a_cascade_survives_the_disk() -> None:
    cascade = doubled()
    assert load(dump(cascade)) == cascade


def test_spans_survive_the_disk() -> None:
    before = [node.span for node in walk(doubled())]
    after = [node.span for node in walk(load(dump(doubled())))]
    assert before == after
    assert any(span is not NOWHERE for span in after)


def test_numbers_keep_their_types() -> None:
    values = (Const(1), Const(1.0), Const(True), Const(float("inf")))
    assert [type(item.value) for item in load(dump(values))] == [int, float, bool, float]
    assert load(dump(values)) == values


def test_dicts_of_nodes_survive() -> None:
    assert load(dump({"a": (Const(1), "text")})) == {"a": (Const(1), "text")}

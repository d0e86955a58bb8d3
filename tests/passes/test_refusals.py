"""What is no single pass is refused with its code and both places, and still runs, announced."""

import warnings
from pathlib import Path

import pytest
import torch

import attnc
from attnc.contract import judge, references
from attnc.ir.stage import Plan, Refusal, Stream
from attnc.runtime.draw import draw

SPECS = Path(__file__).parent / "refused"
SHAPE = {"b": 1, "h": 2, "m": 7, "n": 9, "e": 4, "f": 3}

# spec: (code, line of the statement, line of what it clashes with), passes over n by streams, whether it warns
EXPECTED: dict[str, tuple[tuple[tuple[str, int, int], ...], int, bool]] = {
    "sinkhorn": ((("CROSS", 4, 3), ("CROSS", 5, 4)), 2, False),
    "flow": ((("CROSS", 6, 5), ("CROSS", 7, 4), ("CROSS", 10, 7)), 1, False),
    "slots": ((("CROSS", 4, 3),), 1, False),
    "sparsemax": ((("ORDER", 4, 2), ("NSEP", 8, 7)), 2, True),
    "bisect": ((("IMPLICIT", 6, 6),), 2, True),
    "standard": ((("NSEP", 5, 3),), 2, False),
    "sigmean": ((("NSEP", 5, 3),), 2, False),
    "min_p": ((("NSEP", 4, 3),), 2, False),
    "weights": ((("NOUT", 3, 3),), 1, False),
    "columns": ((("NOUT", 4, 3),), 1, False),
    "median": ((("ORDER", 3, 2),), 2, True),
    "topk": ((("STATE", 3, 2),), 1, True),
    "rnn": ((("SEQ", 3, 3),), 0, True),
    "bidir": ((("BIDIR", 3, 5), ("BIDIR", 5, 3)), 0, True),
    "place": ((("OPAQUE", 3, 2),), 1, True),
    "one_plus": ((("GAUGE", 5, 3),), 1, False),
}
# spec: words of the reason, words of what is done instead
SAID = {
    "sinkhorn": ("each row waits for all of them", "all rows finished in between"),
    "flow": ("`IH` needs `T`, which folds over the rows", "a pass for `T`, then one for `IH`"),
    "slots": ("the sum in `W` needs the sum in `A`", "a pass for the sum in `A`"),
    "sparsemax": ("`Z` needs all values in order", "ordered with PyTorch"),
    "bisect": ("each step of `LO` folds over `n` again", "a pass for each step"),
    "standard": ("does not split into a factor of each", "a pass for the sum in `MU`, the sum in `SD`"),
    "sigmean": ("in `sigmoid(S - MU)`, which does not split", "then one for `O`"),
    "min_p": ("folds only where `S >= R - 1`, which waits for `R`", "a pass for `R`"),
    "weights": ("a value for every pair of positions", "then one that makes each pair's value"),
    "columns": ("`C` sums weights over the rows", "makes the weights anew"),
    "median": ("no state of bounded size", "ordered with PyTorch"),
    "topk": ("needs the 3 first in order", "ordered with PyTorch"),
    "rnn": ("each step needs the one before", "step by step"),
    "bidir": ("in opposite directions", "two passes, one in each direction"),
    "place": ("not where they are", "statement by statement"),
    "one_plus": ("`O` changes with `R` itself", "the maximum is kept exactly"),
}
CODES = {"CROSS", "IMPLICIT", "ORDER", "NSEP", "NOUT", "SEQ", "BIDIR", "GAUGE", "STATE", "OPAQUE"}


def planned(name: str) -> Plan:
    return attnc.load(SPECS / f"{name}.attn").program().plan


def places(refusal: Refusal) -> tuple[str, int, int]:
    return refusal.code, refusal.span.line, refusal.clash.span.line


@pytest.mark.parametrize("name", EXPECTED)
def test_the_refusals_have_their_codes_and_both_places(name: str) -> None:
    assert tuple(places(item) for item in planned(name).refusals) == EXPECTED[name][0]


def test_every_code_has_a_spec() -> None:
    assert {code for row in EXPECTED.values() for code, _, _ in row[0]} == CODES


@pytest.mark.parametrize("name", EXPECTED)
def test_the_refusals_say_why_and_what_is_done_instead(name: str) -> None:
    first = planned(name).refusals[0]
    why, instead = SAID[name]
    assert why in first.reason
    assert instead in first.help


@pytest.mark.parametrize("name", EXPECTED)
def test_the_refusals_are_explained_with_both_places(name: str) -> None:
    attention = attnc.load(SPECS / f"{name}.attn")
    facts = attention.explain().facts["refusals"]
    lines = attention.program().stated.tensors[0].parts[0].span.source.lines
    for row in facts:
        assert all(place["text"].split("\n")[0] in lines[place["line"] - 1] for place in row["spans"])
        assert f"{row['code']} (" in str(attention.explain())


@pytest.mark.parametrize("name", EXPECTED)
def test_the_passes_that_are_left_are_counted(name: str) -> None:
    streams = [stage for stage in planned(name).stages if isinstance(stage, Stream) and stage.stream == "n"]
    assert len(streams) == EXPECTED[name][1]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_refused_spec_still_runs_announced(name: str) -> None:
    attention = attnc.load(SPECS / f"{name}.attn")
    cascade = attention.program().stated
    used = {index for item in cascade.inputs for index in item.indices}
    inputs = draw(cascade, {index: SHAPE[index] for index in used}, {}, torch.float32, 3)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        results = attention(**inputs)
    outputs = dict(zip(cascade.outputs, results if len(cascade.outputs) > 1 else [results], strict=True))
    judged = references(cascade, inputs, {name: value.dtype for name, value in outputs.items()})
    assert all(judge(output, value, judged[output]).passed for output, value in outputs.items())
    code = EXPECTED[name][0][0][0]
    assert any(code in str(item.message) for item in heard) == EXPECTED[name][2]


@pytest.mark.parametrize("name", [name for name, row in EXPECTED.items() if row[2]])
def test_strict_refuses_what_runs_by_statements(name: str) -> None:
    with pytest.raises(attnc.AttnError, match="A310"):
        attnc.load(SPECS / f"{name}.attn", strict=True).program()

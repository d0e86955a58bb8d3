"""Pictures of masks show what the masks say."""

import re

import pytest

from attnc.cli.library_page import picture_of_mask
from attnc.library import Spec, find
from attnc.runtime.picture import SIDE, Picture, picture
from attnc.source import Source

EVERY = range(SIDE)


def cells(found: Picture | None) -> set[tuple[int, int]]:
    """The inked cells of a picture, row and column."""
    assert found is not None
    runs = re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", found.svg)
    return {(int(row), int(at) + step) for at, row, length in runs for step in range(int(length))}


def test_a_window_is_drawn() -> None:
    found = picture(find("std:window_softmax"))
    assert found is not None
    assert found.options == {"W": 6}
    assert cells(found) == {(m, n) for m in EVERY for n in EVERY if 0 <= m - n < 6}


def test_what_sees_all_has_no_picture() -> None:
    assert picture(find("std:softmax_attention")) is None


def test_a_mask_by_data_is_drawn_from_drawn_data() -> None:
    inked = cells(picture(find("std:document_softmax")))
    assert inked < {(m, n) for m in EVERY for n in EVERY if n <= m}


def test_a_mask_that_a_selection_makes_is_drawn() -> None:
    text = (
        "attention a(Q[m,e], K[n,e], V[n,f]; k: int = 3) -> O:\n    S[m,n] = Q * K\n    keep[m,n] = topk[n; k](S)\n"
        "    O[m,f] = softmax[n](S where keep) * V\n"
    )
    inked = cells(picture(Spec(Source("a", text), None, None)))
    assert all(sum((m, n) in inked for n in EVERY) == 3 for m in EVERY)


@pytest.mark.parametrize(
    ("call", "holds"),
    [
        ("causal(m, n)", lambda m, n: n <= m),
        ("sinks(m, n; W: int, SINK: int)", lambda m, n: n <= m and (m - n < 6 or n < 2)),
        ("padding(n, len)", lambda m, n: n < 8),
        ("documents(m, n, own, other)", lambda m, n: m // 8 == n // 8),
        ("dilated(m, n; D: int, W: int = 1000000000)", lambda m, n: m >= n and (m - n) % 3 == 0),
    ],
)
def test_masks_of_the_library_are_drawn(call: str, holds: object) -> None:
    assert callable(holds)
    name, _, parameters = call.removesuffix(")").partition("(")
    inked = cells(picture_of_mask("std.masks", name, parameters))
    assert inked == {(m, n) for m in EVERY for n in EVERY if holds(m, n)}

"""Where an attention comes from: the library, a file, an attention of a file, a string; strict or not."""

from pathlib import Path
from typing import Any

import pytest
import torch

import attnc
from attnc import AttnError
from attnc.library import standard_attentions
from tests.thinned import thinned

TWO = "attention one(X[m]) -> O:\n    O[m] = X\n\nattention two(X[m]) -> O:\n    O[m] = 2 * X\n"
PAIRS = (Path(__file__).parents[1] / "errors" / "A310.attn").read_text().replace("# strict", "")
X = torch.ones(3)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "both.attn"
    path.write_text(TWO)
    return path


def test_the_last_attention_of_a_file_is_meant_or_the_one_named(file: Path) -> None:
    assert attnc.load(file)(X).tolist() == [2, 2, 2]
    assert attnc.load(str(file))(X).tolist() == [2, 2, 2]
    assert attnc.load(f"{file}#one")(X).tolist() == [1, 1, 1]
    assert attnc.compile(TWO)(X).tolist() == [2, 2, 2]
    assert attnc.compile(TWO, "one")(X).tolist() == [1, 1, 1]
    assert attnc.compile(TWO.replace("\n", "\r\n"), name="one")(X).tolist() == [1, 1, 1]
    with pytest.raises(AttnError, match="it defines `one`, `two`") as found:
        attnc.load(f"{file}#three")
    assert found.value.code == "A614"


@pytest.mark.parametrize("name", thinned(sorted(standard_attentions()), 6))
def test_the_library_is_reached_by_name_by_file_and_by_attribute(name: str) -> None:
    module = standard_attentions()[name].stem
    by_name, by_file = attnc.load(f"std:{name}"), attnc.load(f"std:{module}#{name}")
    assert by_name.signature == by_file.signature == getattr(attnc.std, name).signature
    assert by_name.signature.name == name


def test_a_file_of_the_library_is_reached_by_its_name_alone_and_with_its_folder() -> None:
    for reference in ("std:tempscale#tempscale_t5", "std:score_mod.tempscale#tempscale_t5"):
        assert attnc.load(reference).signature.name == "tempscale_t5"
    assert attnc.load("std:score_mod.tempscale").signature.name == "tempscale"


def test_std_lists_what_it_has_and_keeps_what_it_loaded() -> None:
    assert dir(attnc.std) == sorted(standard_attentions())
    assert attnc.std.alibi is attnc.std.alibi
    assert not hasattr(attnc.std, "nothing")
    with pytest.raises(AttnError, match="did you mean `std:alibi`"):
        attnc.std.alibbi  # noqa: B018


@pytest.mark.parametrize("reference", ["std:", "std:../attention", "std:/etc/passwd", "std:attention.", "std:no#alibi"])
def test_the_library_is_all_that_std_reaches(reference: str) -> None:
    with pytest.raises(AttnError) as found:
        attnc.load(reference)
    assert found.value.code == "A610"


@pytest.mark.parametrize("wrong", [None, 3, b"std:alibi", ["std:alibi"]])
def test_a_reference_is_a_text_or_a_path(wrong: Any) -> None:
    for door in (attnc.load, attnc.compile):
        with pytest.raises(AttnError) as found:
            door(wrong)
        assert found.value.code == "A615"


def test_strict_refuses_a_slower_path_by_argument_and_by_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pairs.attn"
    file.write_text(PAIRS)
    with pytest.raises(AttnError, match="STATE") as found:
        attnc.compile(PAIRS, strict=True)
    assert found.value.code == "A310"
    with pytest.raises(AttnError, match="A310"):
        attnc.load(file, strict=True)
    attnc.load(file)
    monkeypatch.setenv("ATTNC_STRICT", "1")
    with pytest.raises(AttnError, match="A310"):
        attnc.load(file)


def test_several_outputs_are_a_named_tuple_and_have_their_types() -> None:
    spec = (
        "attention stats(X[m,n]) -> O, S, T, C:\n    O[m,n] = X\n    S[m] = sum[n](X)\n    T[m] = argmax[n](X)\n"
        "    C[m] = any[n](X > 0)\n"
    )
    attention = attnc.compile(spec)
    for kind, further in ((torch.bfloat16, torch.float32), (torch.float64, torch.float64)):
        found = attention(torch.ones(2, 3, dtype=kind))
        assert found._fields == ("O", "S", "T", "C")
        assert [item.dtype for item in found] == [kind, further, torch.int64, torch.bool]


def test_a_wide_second_input_does_not_widen_what_comes_out() -> None:
    spec = "attention two(X[m], Y[m]) -> O, P:\n    O[m] = X * Y\n    P[m] = X + Y\n"
    found = attnc.compile(spec)(torch.ones(3), torch.ones(3, dtype=torch.float64))
    assert [item.dtype for item in found] == [torch.float32, torch.float32]

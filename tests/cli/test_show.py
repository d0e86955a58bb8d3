"""`attnc show` prints the program after each pass, and what it prints reads back as the same program."""

import json
from pathlib import Path

import pytest

import attnc
from attnc import compiler
from attnc.cli import main
from attnc.cli.show import PASSES

EXAMPLES = Path(__file__).parents[2] / "examples"
SPEC = str(EXAMPLES / "09_l2_normalised.attn")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["show", *arguments]) == 0
    return capsys.readouterr().out


def test_the_passes_are_the_compilers() -> None:
    assert ("parse", "names", "expand", *compiler.rewrites(), "plan", "split") == PASSES


@pytest.mark.parametrize("name", PASSES)
def test_after_one_pass(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, SPEC, "--after", name)
    assert json.loads(shown(capsys, SPEC, "--after", name, "--json")) == {name: text.rstrip("\n")}
    heads = {"plan": "stream O: one pass over n", "split": "stream O_merge: one pass over span"}
    assert heads.get(name, "attention l2_attention(") in text


def test_after_each_pass_and_what_did_not_change(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, SPEC, "--each")
    heads = [line for line in text.split("\n") if line.startswith("-- after ")]
    assert [head.split()[2].rstrip(":") for head in heads] == list(PASSES)
    assert "-- after factor: no change" in text
    assert list(json.loads(shown(capsys, SPEC, "--each", "--json"))) == list(PASSES)


@pytest.mark.parametrize("name", ["parse", "names"])
@pytest.mark.parametrize(
    "spec", [file for file in sorted(EXAMPLES.glob("*.attn")) if "wrong" not in file.stem], ids=lambda path: path.stem
)
def test_what_is_shown_reads_back_as_the_same_program(
    spec: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    again = attnc.compile(shown(capsys, str(spec), "--after", name)).program()
    assert again.explicit.tensors == attnc.load(spec).program().explicit.tensors


def test_options_show(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "std:window_softmax", "-O", "W=7", "--after", "names")
    assert "W: int = 7" in text

"""The command line as a program: exit codes, one JSON value, pipes without decoration, terminals with a bar."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from attnc.cli import COMMANDS, main

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "examples" / "01_causal_softmax.attn"
SHAPE = "b=1,h=2,m=8,n=8,e=4,f=4"
REPORTS = (
    ["check", str(SPEC), "--oracle-only"],
    ["explain", str(SPEC)],
    ["explain", "A101"],
    ["explain", "--model", "fusemax"],
    ["show", str(SPEC)],
    ["compile", str(SPEC), "--shape", SHAPE],
    ["run", str(SPEC), "--shape", SHAPE, "--repeat", "0"],
    ["list", "probes"],
    ["explain", "--codes"],
    ["language"],
)


@pytest.mark.parametrize("arguments", REPORTS, ids=lambda words: words[0])
def test_reports_print_text_or_one_json_value(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert said.out
    assert said.err == ""


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit) as done:
            main([command, "--help"])
        assert done.value.code == 0
        assert COMMANDS[command].split()[0] in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["check"], ["run", "x", "--dtype", "int4"]], ids=str)
def test_wrong_arguments_end_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert done.value.code == 2
    assert "usage: attnc" in capsys.readouterr().err


def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | settings
    call = [sys.executable, "-m", "attnc", *words]
    return subprocess.run(call, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)


def test_a_process_ends_with_the_code_and_errors_on_standard_error(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.attn"
    wrong.write_text(SPEC.read_text().replace("[[1],[2]]", "[[1],[3]]"))
    failed = run("check", str(wrong), "--oracle-only")
    assert failed.returncode == 1
    assert "FAILS on the oracle" in failed.stdout
    assert failed.stderr == ""
    refused = run("check", str(ROOT / "examples" / "12_wrong.attn"))
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.startswith("error[")
    assert "Traceback" not in refused.stderr


def test_a_reader_that_goes_away_is_no_error() -> None:
    pipe = subprocess.run(
        f"{sys.executable} -m attnc show {SPEC} --each | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert pipe.returncode == 0
    assert pipe.stderr == ""


def on_a_terminal(*words: str) -> str:
    """What a command writes to standard error where that is a terminal."""
    near, far = pty.openpty()
    call = [sys.executable, "-m", "attnc", *words]
    process = subprocess.Popen(
        call, stdout=subprocess.DEVNULL, stderr=far, cwd=ROOT, env=os.environ | {"TERM": "xterm"}
    )
    os.close(far)
    said = b""
    while True:
        try:
            piece = os.read(near, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(near)
    assert process.wait() == 0
    return said.decode()


def test_long_work_shows_a_bar_on_a_terminal_and_none_in_a_pipe() -> None:
    assert "checking" in on_a_terminal("check", str(SPEC))
    assert run("check", str(SPEC)).stderr == ""


def test_sections_of_an_explanation_are_shown_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(SPEC), "--only", "masks", "--only", "refusals"]) == 0
    assert capsys.readouterr().out == "masks\n  O over n: n < m + 1\n"
    assert main(["explain", str(SPEC), "--only", "refusals"]) == 0
    assert capsys.readouterr().out == "no refusals\n"

"""Commands on attentions that Python functions write."""

from pathlib import Path

import pytest

from attnc.cli import main

FILE = Path(__file__).parents[1] / "trace" / "examples.py"
EVERY = [f"{FILE}:softcap_window", "tests.trace.examples:softcap_window"]


@pytest.mark.parametrize("reference", EVERY, ids=["file", "module"])
def test_show_prints_what_the_function_writes(reference: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", reference, "--after", "parse", "-O", "W=8"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("attention softcap_window(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f]; W: int = 1024")
    assert main(["show", reference, "--after", "names", "-O", "W=8"]) == 0
    assert "where m - n >= 0 and m - n < 8" in capsys.readouterr().out


def test_check_holds_on_the_oracle_and_the_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", EVERY[0]]) == 0
    assert "check alone holds on the oracle and the kernels" in capsys.readouterr().out


def test_explain_and_compile_and_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["explain", EVERY[0]]) == 0
    assert "O: stream over n" in capsys.readouterr().out
    assert main(["compile", EVERY[0], "--shape", "e=8,f=8", "-o", str(tmp_path)]) == 0
    assert (tmp_path / "manifest.json").exists()
    assert main(["run", EVERY[0], "--shape", "b=1,h=1,m=9,n=9,e=8,f=8", "--strict"]) == 0
    assert "O agrees with the oracle" in capsys.readouterr().out

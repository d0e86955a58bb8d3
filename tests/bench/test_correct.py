"""What a device is held to before it is timed: tasks, outcomes, several processes, and a time limit."""

import json
from pathlib import Path

import pytest
import torch

from attnc.bench import correct_table
from attnc.bench.correct import Outcome, Task, outcome, tasks
from attnc.bench.pool import outcomes
from attnc.cli import main
from attnc.library import standard_attentions

EXAMPLE = Path(__file__).parents[2] / "examples" / "01_causal_softmax.attn"


def test_the_library_and_the_files_are_asked_in_every_type() -> None:
    found = tasks([EXAMPLE], ["fp32", "bf16"], "cpu")
    names = {task.reference for task in found}
    assert {f"std:{name}" for name in standard_attentions()} < names
    assert f"{EXAMPLE}#causal" in names
    assert len(found) == 2 * len(names)


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_both_directions_are_judged(dtype: str) -> None:
    found = outcome(Task("std:alibi", dtype, "cpu"))
    assert found.passed
    assert found.forward is not None
    assert found.backward is not None
    assert 0 < max(found.forward, found.backward) <= 1
    assert found.plans == ("stream on cpp",)


def test_a_wrong_gradient_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    from attnc.runtime.backward import backward

    monkeypatch.setattr(
        "attnc.runtime.autograd.backward", lambda *given: {name: 1.1 * g for name, g in backward(*given).items()}
    )
    found = outcome(Task("std:alibi", "fp32", "cpu"))
    assert not found.passed
    assert found.forward is not None
    assert found.forward <= 1
    assert "is off by" in correct_table.line(found)
    assert "FAILS" in correct_table.line(found)


def test_a_failure_is_told_not_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the device is gone\nand more")

    monkeypatch.setattr("attnc.runtime.attention.execute", broken)
    found = outcome(Task("std:alibi", "fp32", "cpu"))
    assert not found.passed
    assert found.remark == "RuntimeError: the device is gone"
    assert not outcome(Task(str(tmp_path / "missing.attn"), "fp32", "cpu")).passed


def test_several_processes_find_the_same() -> None:
    every = [Task("std:alibi", "fp32", "cpu"), Task("std:sigmoid_attention", "fp32", "cpu")]
    found = {item.task: item for item in outcomes(every, processes=2)}
    assert found == {task: outcome(task) for task in every}


def test_time_that_is_up_is_told() -> None:
    every = [Task("std:alibi", "fp32", "cpu")] * 2
    for processes in (1, 2):
        found = list(outcomes(every, seconds=0.0, processes=processes))
        assert len(found) == 2
        assert {item.remark for item in found} == {"not done: time was up"}
        assert not any(item.passed for item in found)


def test_a_summary_counts() -> None:
    task = Task("std:alibi", "fp32", "cpu")
    items = [Outcome(task, 0.5, 0.5), Outcome(task, 0.5), Outcome(task, 0.5, 1.5), Outcome(task)]
    assert correct_table.summary(items) == "2 of 4 pass, 1 of them with gradients"


def test_the_command_checks_files_and_stops_in_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "t.md"
    words = ("--rows", "causal", "--n", "64", "--d", "16", "--dtype", "fp32", "--repeat", "1", "--no-flex", "--correct")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attnc.bench.correct.standard_attentions", lambda: {"alibi": Path()})
        patch.setattr("attnc.bench.pool._processes", lambda: 1)
        patch.setattr("attnc.bench.timing.PEAK_SIZES", (64,))
        assert main(["bench", "cpu", *words, "--specs", str(EXAMPLE), "--json", "--markdown", str(page)]) == 0
        found = json.loads(capsys.readouterr().out)
        assert [item["attention"] for item in found["correctness"]] == ["std:alibi", f"{EXAMPLE}#causal"]
        assert all(item["passed"] and 0 < item["backward"] <= 1 for item in found["correctness"])
        assert found["not_measured"] == []
        assert "2 of 2 pass, 2 of them with gradients" in page.read_text()
        assert main(["bench", "cpu", *words, "--no-correct", "--within", "1e-6", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["measurements"] == []
    assert found["not_measured"] == ["causal at D = 16"]


def test_without_a_gpu_there_is_nothing_to_measure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["bench", "gpu"]) == 2
    assert "error[A502]: there is no GPU" in capsys.readouterr().err

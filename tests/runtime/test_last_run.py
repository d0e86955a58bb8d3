"""`last_run` and `stats` say what ran, on what, why, and what was compiled or found in the cache."""

from pathlib import Path

import pytest
import torch

import attnc
from attnc.runtime import build, cache

MIXED = """attention mixed(Q[b,m,e], K[b,n,e], V[b,n,f]) -> O, B:
    N1[b,n,e] = K / sqrt(sum[e](K * K))
    S[b,m,n] = Q * N1
    B[b,m,n] = topk[n; 2](S)
    O[b,m,f] = softmax[n](S) * V
"""


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNC_CACHE", str(tmp_path))
    monkeypatch.setattr(build, "_BUILT", {})


def x() -> torch.Tensor:
    return torch.randn(1, 2, 8, 4)


def test_nothing_has_run_before_the_first_call() -> None:
    attention = attnc.load("std:causal_softmax")
    assert attention.last_run is None
    attention.reference(x(), x(), x())
    assert attention.last_run is None


def test_a_streamed_call_is_one_stage() -> None:
    attention = attnc.load("std:causal_softmax")
    attention(x(), x(), x())
    assert attention.last_run is not None
    (stage,) = attention.last_run.stages
    assert (stage.name, stage.plan, stage.backend, stage.refusal) == ("O", "stream", "cpp", None)
    assert stage.compiled_now
    assert stage.kernel in {file.stem for file in Path(cache_folder()).rglob("*.kernel")}
    assert str(attention.last_run) == "O: stream on cpp"
    attention(x(), x(), x())
    assert attention.last_run is not None
    assert not attention.last_run.stages[0].compiled_now


def cache_folder() -> str:
    from attnc.runtime import cache

    return str(cache.folder())


def test_host_stages_say_what_keeps_them_from_streaming() -> None:
    attention = attnc.compile(MIXED)
    with pytest.warns(UserWarning, match="slower path"):
        attention(*(torch.randn(1, 5, 4) for _ in range(3)))
    assert attention.last_run is not None
    found = {stage.name: stage for stage in attention.last_run.stages}
    assert found["B"].plan == "host"
    assert found["B"].backend == "torch"
    assert found["B"].refusal == "STATE"
    assert found["B"].kernel is None


def test_a_slower_path_is_announced_once(recwarn: pytest.WarningsRecorder) -> None:
    text = MIXED.replace("mixed", "announced_once")
    for _ in range(3):
        attnc.compile(text)(*(torch.randn(1, 5, 4) for _ in range(3)))
    assert len([item for item in recwarn if "announced_once" in str(item.message)]) == 1


def grown(before: dict[str, int]) -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in attnc.stats().items() if count > before.get(name, 0)}


def test_stats_count_analyses_compilations_and_hits(monkeypatch: pytest.MonkeyPatch) -> None:
    before = attnc.stats()
    attnc.load("std:causal_softmax")(x(), x(), x())
    assert grown(before) == {"analyses": 1, "compilations": 1}
    before = attnc.stats()
    attnc.load("std:causal_softmax")(x(), x(), x())  # the process knows the kernel
    assert grown(before) == {"signature hits": 1, "program hits": 1}
    monkeypatch.setattr(build, "_BUILT", {})  # as a new process
    before = attnc.stats()
    attnc.load("std:causal_softmax")(x(), x(), x())
    assert grown(before) == {"signature hits": 1, "program hits": 1, "kernel hits": 1, "binary hits": 1}
    attnc.stats()["compilations"] = 99  # a copy
    assert attnc.stats()["compilations"] != 99


def test_another_version_of_attnc_plans_anew_and_finds_the_binary_of_the_same_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attnc.load("std:causal_softmax")(x(), x(), x())
    monkeypatch.setattr(build, "_BUILT", {})
    monkeypatch.setattr(cache, "compiler_digest", lambda: "another")
    before = attnc.stats()
    attnc.load("std:causal_softmax")(x(), x(), x())
    assert grown(before) == {"analyses": 1, "binary hits": 1}


def test_other_lengths_compile_nothing_and_other_types_do() -> None:
    attention = attnc.load("std:causal_softmax")
    attention(x(), x(), x())
    before = attnc.stats()
    attention(x()[:, :, :7], x(), x())
    assert grown(before) == {}
    attention(*(x().bfloat16() for _ in range(3)))
    assert grown(before)["compilations"] == 1

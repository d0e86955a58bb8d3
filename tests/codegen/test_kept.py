"""What is kept of a compiled kernel is found again by what its machine code is made from, and by nothing else."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import attnc
from attnc.codegen.offline import identity
from attnc.ir.target import find_target
from attnc.runtime.kernels import GeneratedKernel
from tests.codegen import offline
from tests.codegen.offline import EXAMPLES, MissingError, apart, facts

FACTS = {"taken": {"registers": 1, "spills": 2, "shared": 3}, "matrix": []}


def kernel(target: str = "sm_90", width: int = 64) -> GeneratedKernel:
    return attnc.load(EXAMPLES[0]).kernels(target, "bf16", {"e": width, "f": width})["forward"]


def name(of: GeneratedKernel) -> str:
    return identity(of.source, of.signature, of.target)


def typed(of: GeneratedKernel) -> GeneratedKernel:
    params = tuple(replace(param, dtype="float16") for param in of.signature.params)
    return replace(of, signature=replace(of.signature, params=params))


OTHERS: dict[str, Callable[[GeneratedKernel], GeneratedKernel]] = {
    "text": lambda of: replace(of, source=of.source.replace("tl.exp2(", "tl.exp(", 1)),
    "warps": lambda of: replace(of, signature=replace(of.signature, warps=of.signature.warps * 2)),
    "stages": lambda of: replace(of, signature=replace(of.signature, stages=1)),
    "types": typed,
    "target": lambda of: replace(of, target=find_target("sm_80")),
}


@pytest.mark.parametrize("change", OTHERS)
def test_what_is_kept_serves_no_other_kernel(change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "KEPT", tmp_path)
    made = kernel()
    (tmp_path / f"{name(made)[:32]}.json").write_text(json.dumps(FACTS))
    assert facts(made, make=False) == FACTS
    with pytest.raises(MissingError):
        facts(OTHERS[change](made), make=False)


def test_another_triton_is_another_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    made = kernel()
    before = name(made)
    monkeypatch.setattr("importlib.metadata.version", lambda _: "99")
    assert name(made) != before


def test_a_compiler_that_writes_the_same_kernel_finds_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made = kernel()
    monkeypatch.setattr("attnc.runtime.cache.compiler_digest", lambda: "another compiler")
    again = kernel()
    assert name(again) == name(made)
    told = replace(made, source="# what the plan says now\n" + made.source)
    assert name(told) == name(made)
    assert len({name(made), name(kernel(width=128)), name(kernel("gfx942"))}) == 3


@pytest.mark.parametrize("seed", ["0", "1"])
def test_what_is_kept_is_found_by_another_process(seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PYTHONHASHSEED", seed)
    found = apart("-c", "from tests.codegen.test_kept import kernel, name; print(name(kernel()))")
    assert found.strip() == name(kernel())

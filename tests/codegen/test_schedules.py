"""Schedules change how programs walk and read, and no bit of what they compute."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from _pytest.mark import ParameterSet

import attnc
from attnc.contract import judge, references
from attnc.ir.target import find_target
from attnc.runtime import gpu
from attnc.runtime.bind import bind
from attnc.runtime.draw import draw
from attnc.runtime.execute import execute
from tests.codegen.offline import EXAMPLES, apart
from tests.gradients import run as gradients

SCHEDULES = ("persistent", "descriptors", "persistent+descriptors")
LONG = {"b": 1, "h": 2, "g": 1, "m": 40, "n": 144, "e": 40, "f": 24}
ODD = LONG | {"n": 40, "e": 6, "f": 17}
EMPTY = LONG | {"m": 0}
RAGGED = ("01_causal_softmax", "04_gqa_sink_window", "06_documents")


def example(name: str) -> Path:
    return next(path for path in EXAMPLES if path.stem == name)


def every(*quick: str) -> list[ParameterSet]:
    """All examples, of which these are quick."""
    names = [path.stem for path in EXAMPLES]
    return [pytest.param(name, marks=() if name in quick else pytest.mark.exhaustive) for name in names]


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Notes each launch that reads by descriptors."""
    found: list[bool] = []
    usual: Callable[..., Any] = gpu._with_workspace

    def noted(run: Callable[[], Any]) -> Any:
        found.append(True)
        return usual(run)

    monkeypatch.setattr(gpu, "_with_workspace", noted)
    return found


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A device of one multiprocessor that holds one program; notes each launch of programs that walk."""
    found: list[bool] = []

    def programs(*_: object) -> int:
        found.append(True)
        return 1

    monkeypatch.setattr(gpu, "programs_at_once", programs)
    return found


def keeps(name: str, schedule: str, shape: dict[str, int], dtype: torch.dtype = torch.float32) -> None:
    """A kernel keeps the contract, and gives the bits of the plain schedule."""
    program = attnc.load(example(name)).program()
    sizes = {index: shape[index] for item in program.stated.inputs for index in item.indices}
    inputs = draw(program.stated, sizes, {}, dtype, 5)
    plain, other = (
        execute(program, bind(program.stated, (), inputs), find_target(target))[0]
        for target in ("sm_100", f"sm_100+{schedule}")
    )
    judged = references(program.stated, inputs, {output: value.dtype for output, value in other.items()})
    for output, value in other.items():
        assert judge(output, value, judged[output]).passed
        assert torch.equal(plain[output].view(torch.uint8), value.view(torch.uint8))


@pytest.mark.parametrize("name", every("01_causal_softmax", "06_documents"))
def test_programs_that_walk_take_every_tile_once(name: str, walks: list[bool]) -> None:
    keeps(name, "persistent", LONG)
    assert walks


@pytest.mark.parametrize("name", every("01_causal_softmax", "04_gqa_sink_window"))
def test_whole_tiles_are_read_by_descriptors(name: str, described: list[bool]) -> None:
    keeps(name, "descriptors", LONG)
    assert described


@pytest.mark.parametrize("dtype", [torch.bfloat16, pytest.param(torch.float16, marks=pytest.mark.exhaustive)], ids=str)
def test_both_serve_narrow_types(dtype: torch.dtype, described: list[bool], walks: list[bool]) -> None:
    keeps("01_causal_softmax", "persistent+descriptors", LONG, dtype)
    assert described
    assert walks


@pytest.mark.parametrize("shape", [ODD, EMPTY], ids=["odd", "empty"])
def test_what_a_descriptor_cannot_read_is_read_by_pointers(shape: dict[str, int], described: list[bool]) -> None:
    keeps("01_causal_softmax", "descriptors", shape)
    assert not described


def test_rows_apart_in_memory_are_read_by_pointers(described: list[bool]) -> None:
    attention = attnc.load(example("01_causal_softmax"))
    q, k, v = (torch.randn(1, 2, 40, 64)[..., ::2] for _ in range(3))
    bound = bind(attention.program().stated, (q, k, v), {})
    outputs, _ = execute(attention.program(), bound, find_target("sm_90+descriptors"))
    torch.testing.assert_close(outputs["O"].double(), attention.reference(q, k, v), atol=1e-5, rtol=1e-5)
    assert not described


def test_gradients_keep_the_contract(described: list[bool], walks: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "strided", lambda tensor, _: tensor)  # as descriptors ask
    shape = {"b": 1, "h": 2, "m": 40, "n": 40, "e": 16, "f": 16}
    attention = attnc.load(example("01_causal_softmax"))
    assert gradients.run_gradients(attention, shape, 4, target="sm_90+persistent+descriptors").failures == ()
    assert len(described) > 2
    assert len(walks) > 2


def source(target: str, role: str = "forward", name: str = "01_causal_softmax") -> str:
    return attnc.load(example(name)).kernels(target, "bf16", {"e": 64, "f": 64})[role].source


def test_programs_that_walk_begin_with_the_longest_tiles_of_all_grid_points() -> None:
    text = source("sm_90+persistent")
    assert "for number in range(tl.program_id(0).to(tl.int64), points * m_tiles, tl.num_programs(0)):" in text
    assert text.index("left = number // points") < text.index("m_tiles - 1 - left % m_tiles")


def test_the_plain_schedule_has_neither() -> None:
    text = source("sm_100")
    assert not any(word in text for word in ("num_programs", "descriptor", "warp_specialize", "DESCRIBED"))


def test_a_schedule_of_another_target_is_refused() -> None:
    for target, word in (("sm_80", "descriptors"), ("gfx942", "descriptors"), ("sm_90", "specialised"), ("sm_90", "")):
        with pytest.raises(attnc.AttnError, match="A503"):
            find_target(f"{target}+{word}")


@pytest.mark.offline
@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("target", ["sm_80+persistent", "gfx942+persistent"])
@pytest.mark.parametrize("name", RAGGED)
def test_programs_that_walk_compile_everywhere(name: str, target: str, width: int) -> None:
    words = ("--target", target, "--dtype", "bf16", "--shape", f"e={width},f={width}", "--json")
    assert '"spills": 0' in apart("-m", "attnc", "compile", str(example(name)), *words)


HAVING = [(target, schedule) for target in ("sm_90", "sm_100") for schedule in SCHEDULES]
HAVING.append(("sm_100", "descriptors+specialised"))


@pytest.mark.offline
@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize(("target", "schedule"), HAVING)
def test_every_schedule_compiles_for_the_targets_that_have_it(target: str, schedule: str, width: int) -> None:
    words = ("--target", f"{target}+{schedule}", "--dtype", "bf16", "--shape", f"e={width},f={width}", "--json")
    assert '"registers":' in apart("-m", "attnc", "compile", str(example("01_causal_softmax")), *words)

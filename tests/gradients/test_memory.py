"""A call holds what its backward reads and no more, and the backward makes nothing of size M x N."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import attnc
from attnc.runtime.attention import Attention
from attnc.runtime.draw import draw
from tests.runtime.test_memory import Largest

ROOT = Path(__file__).parents[2]
PLAIN = ("01_causal_softmax", "02_alibi")
SIZES = {"b": 2, "h": 4, "g": 2, "m": 40, "n": 48, "e": 16, "f": 24}
ROWS, OUTPUT = (2, 4, 40), (2, 4, 40, 24)
LENGTH, HEADS, WIDTH = 8192, 4, 64
MEASURE = """
import json, re, sys, torch, attnc
from attnc.runtime.draw import draw
from attnc.runtime.kernels import kernels
from tests.gradients.run import backward_of

def resident(word):
    return int(re.search(word + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) << 10

def drawn(length):
    shape = {"b": 1, "h": HEADS, "g": HEADS, "m": length, "n": length, "e": WIDTH, "f": WIDTH}
    cascade = attention.program().stated
    used = {index for item in cascade.inputs for index in item.indices}
    found = draw(cascade, {index: extent for index, extent in shape.items() if index in used}, {}, torch.float32, 0)
    return [tensor.requires_grad_() for tensor in found.values()]

def there_and_back(inputs):
    results = attention(*inputs)
    outputs = [results] if isinstance(results, torch.Tensor) else list(results)
    incoming = [torch.ones_like(t) for t in outputs]
    return outputs, incoming, torch.autograd.grad(outputs, inputs, incoming)

HEADS, WIDTH, LENGTH = map(int, sys.argv[2:])
attention = attnc.load(sys.argv[1], strict=True)
there_and_back(drawn(64))
inputs, held = drawn(LENGTH), []
before = resident("VmRSS")
with torch.autograd.graph.saved_tensors_hooks(lambda t: held.append(t) or t, lambda t: t):
    outputs, incoming, gradients = there_and_back(inputs)
grown = max(0, resident("VmHWM") - before)
programs = [attention.program(), *(program for _, program in backward_of(attention).steps)]
made = [kernel for program in programs for kernel in kernels(program, "cpu", "fp32", {"e": WIDTH, "f": WIDTH}).values()]
tiles = torch.get_num_threads() * sum(kernel.resources.tile_bytes for kernel in made)
every = {t.data_ptr(): t.nbytes for t in (*inputs, *held, *outputs, *incoming, *gradients)}
print(json.dumps({"inputs": sum(t.nbytes for t in inputs), "gradients": sum(t.nbytes for t in gradients),
                  "held": sum(every.values()) + tiles, "grown": grown, "pairs": 4 * HEADS * LENGTH * LENGTH}))
"""


@pytest.mark.parametrize(
    "name", ["05_sigmoid", "07_differential", *(pytest.param(n, marks=pytest.mark.exhaustive) for n in PLAIN)]
)
def test_peak_memory_is_that_of_what_is_given_held_and_returned(name: str) -> None:
    spec = ROOT / "examples" / f"{name}.attn"
    command = [sys.executable, "-c", MEASURE, str(spec), str(HEADS), str(WIDTH), str(LENGTH)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["grown"] >= 0.8 * found["gradients"], "the gradients were not measured"
    assert found["inputs"] + found["grown"] <= 1.2 * found["held"], found
    assert found["held"] < found["pairs"] / 5


def drawn(attention: Attention, sizes: dict[str, int], *wanted: str) -> dict[str, torch.Tensor]:
    """Inputs, of which the wanted ones (all real ones where none is named) ask for a gradient."""
    cascade = attention.program().stated
    used = {index for item in cascade.inputs for index in item.indices}
    inputs = draw(cascade, {index: sizes[index] for index in used}, {}, torch.float32, 0)
    asked = wanted or tuple(name for name, tensor in inputs.items() if tensor.is_floating_point())
    return {name: tensor.requires_grad_(name in asked) for name, tensor in inputs.items()}


def results(attention: Attention, inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    found = attention(**inputs)
    return [found] if isinstance(found, torch.Tensor) else list(found)


@pytest.mark.parametrize(
    ("name", "output", "besides"),
    [
        ("01_causal_softmax", True, [ROWS, ROWS]),
        ("02_alibi", True, [ROWS, ROWS]),
        ("05_sigmoid", False, [()]),  # the number that stands for an input left out
        ("07_differential", False, [ROWS, ROWS, ROWS, ROWS, OUTPUT, OUTPUT]),
        ("09_l2_normalised", True, [ROWS, ROWS]),
        ("13_trained", True, [ROWS, ROWS]),
    ],
)
def test_inputs_are_held_the_output_where_it_is_read_and_two_statistics_of_each_row(
    name: str, output: bool, besides: list[tuple[int, ...]]
) -> None:
    attention = attnc.load(ROOT / "examples" / f"{name}.attn", strict=True)
    inputs, held = drawn(attention, SIZES), list[torch.Tensor]()
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: held.append(tensor) or tensor, lambda tensor: tensor):  # type: ignore[func-returns-value]
        (found,) = results(attention, inputs)
    given = {tensor.data_ptr() for tensor in inputs.values()}
    assert given <= {tensor.data_ptr() for tensor in held}
    assert (found.data_ptr() in {tensor.data_ptr() for tensor in held}) == output
    others = [tensor for tensor in held if tensor.data_ptr() not in given | {found.data_ptr()}]
    assert sorted(tuple(tensor.shape) for tensor in others) == sorted(besides)


def test_nothing_is_held_where_no_gradient_is_asked_for() -> None:
    attention = attnc.std.causal_softmax
    inputs, held = drawn(attention, SIZES), list[torch.Tensor]()
    with (
        torch.autograd.graph.saved_tensors_hooks(lambda tensor: held.append(tensor) or tensor, lambda tensor: tensor),  # type: ignore[func-returns-value]
        torch.no_grad(),
    ):
        attention(**inputs)
    assert held == []


@pytest.mark.parametrize("wanted", ["Q", "K", "V"])
def test_only_what_is_asked_for_is_computed(wanted: str) -> None:
    attention = attnc.load(ROOT / "examples" / "02_alibi.attn", strict=True)
    inputs = drawn(attention, SIZES, wanted)
    (found,) = results(attention, inputs)
    (gradient,) = torch.autograd.grad(found.sum(), [inputs[wanted]])
    assert gradient.shape == inputs[wanted].shape
    assert attention.last_run is not None
    assert {run.name for run in attention.last_run.backward} & {f"d{name}" for name in inputs} == {f"d{wanted}"}


@pytest.mark.parametrize("name", ["02_alibi", "04_gqa_sink_window", "07_differential", "10_entropy", "13_trained"])
def test_no_tensor_of_a_backward_has_room_for_all_pairs(name: str) -> None:
    length, width = 512, 8
    sizes = {"b": 1, "h": 1, "g": 1, "m": length, "n": length, "e": width, "f": width}
    attention = attnc.load(ROOT / "examples" / f"{name}.attn", strict=True)
    inputs = drawn(attention, sizes)
    outputs = results(attention, inputs)
    with Largest() as streamed:  # type: ignore[no-untyped-call]
        torch.autograd.grad(outputs, list(inputs.values()), [torch.ones_like(item) for item in outputs])
    reference = attention.reference(**inputs)
    wanted = [reference] if isinstance(reference, torch.Tensor) else list(reference)
    with Largest() as whole:  # type: ignore[no-untyped-call]
        torch.autograd.grad(wanted, list(inputs.values()), [torch.ones_like(item) for item in wanted])
    assert 0 < streamed.elements <= length * width
    assert whole.elements >= length * length, "the definition was not watched"

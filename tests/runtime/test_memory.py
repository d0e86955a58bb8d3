"""A streamed run takes its inputs, its outputs and the tiles of its threads: nothing of size M x N."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import attnc
from attnc.runtime.draw import draw

ROOT = Path(__file__).parents[2]
LENGTH, HEADS, WIDTH = 16384, 2, 64
MEASURE = """
import json, re, sys, torch, attnc
from attnc.runtime.draw import draw

def resident(word):
    return int(re.search(word + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) << 10

def drawn(length):
    shape = {"b": 1, "h": HEADS, "g": HEADS, "m": length, "n": length, "e": WIDTH, "f": WIDTH}
    cascade = attention.program().stated
    used = {index for item in cascade.inputs for index in item.indices}
    return draw(cascade, {index: extent for index, extent in shape.items() if index in used}, {}, torch.float32, 0)

def tensors(results):
    return [results] if isinstance(results, torch.Tensor) else list(results)

HEADS, WIDTH, LENGTH = map(int, sys.argv[2:])
attention = attnc.load(sys.argv[1], strict=True)
attention(**drawn(64))
inputs = drawn(LENGTH)
before = resident("VmRSS")
outputs = tensors(attention(**inputs))
peak = resident("VmHWM")
sizes = [sum(t.nbytes for t in found) for found in (inputs.values(), outputs)]
tiles = sum(kernel.resources.tile_bytes for kernel in attention.kernels(shape={"e": WIDTH, "f": WIDTH}).values())
print(json.dumps({"inputs": sizes[0], "outputs": sizes[1], "tiles": tiles * torch.get_num_threads(),
                  "grown": max(0, peak - before), "pairs": 4 * HEADS * LENGTH * LENGTH}))
"""


@pytest.mark.parametrize("name", ["02_alibi", "04_gqa_sink_window", "10_entropy"])
def test_peak_memory_is_that_of_inputs_outputs_and_tiles(name: str) -> None:
    spec = ROOT / "examples" / f"{name}.attn"
    command = [sys.executable, "-c", MEASURE, str(spec), str(HEADS), str(WIDTH), str(LENGTH)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    held = found["inputs"] + found["outputs"] + found["tiles"]
    assert found["grown"] >= 0.8 * found["outputs"], "the outputs were not measured"
    assert found["inputs"] + found["grown"] <= 1.2 * held, found
    assert held < found["pairs"] / 10


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the most elements that any tensor made meanwhile has room for."""

    elements = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **(kwargs or {}))
        for item in found if isinstance(found, list | tuple) else [found]:
            if isinstance(item, torch.Tensor):
                width = item.element_size()
                self.elements = max(self.elements, item.untyped_storage().nbytes() // width)
        return found


@pytest.mark.parametrize("name", ["01_causal_softmax", "03_softcap_window", "04_gqa_sink_window", "11_score_moments"])
def test_no_tensor_of_a_streamed_run_has_room_for_all_pairs(name: str) -> None:
    length, width = 512, 8
    sizes = {"b": 1, "h": 1, "g": 1, "m": length, "n": length, "e": width, "f": width}
    attention = attnc.load(ROOT / "examples" / f"{name}.attn", strict=True)
    cascade = attention.program().stated
    used = {index for item in cascade.inputs for index in item.indices}
    inputs = draw(cascade, {index: sizes[index] for index in used}, {}, torch.float32, 0)
    with Largest() as streamed:  # type: ignore[no-untyped-call]
        attention(**inputs)
    with Largest() as whole:  # type: ignore[no-untyped-call]
        attention.reference(**inputs)
    assert 0 < streamed.elements <= length * width
    assert whole.elements >= length * length, "the definition was not watched"

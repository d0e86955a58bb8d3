"""What Triton would compile for calls of a hundred lengths: the keys that it tells kernels apart by, with no GPU.

`python -m tests.codegen.sweep EXAMPLE` prints how many launches there were, and how many keys.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.compiler.compiler import make_backend
from triton.runtime.jit import create_function_from_signature

import attnc
from attnc.runtime import gpu
from attnc.runtime.bind import bind
from attnc.runtime.draw import draw

ROOT = Path(__file__).parents[2]
WIDTHS = {"e": 64, "f": 64}


class Recorder:
    """Stands for a jitted function: what is launched leaves its key behind."""

    def __init__(self, function: Any) -> None:
        self.arg_names, self.keys = function.arg_names, list[str]()
        backend = make_backend(GPUTarget("cuda", 90, 32))
        self.bound = create_function_from_signature(function.signature, function.params, backend)

    def __getitem__(self, grid: Any) -> Any:
        return lambda *arguments, **options: self.keys.append(str(self.bound(*arguments, **options)[1]))


def keys(example: str) -> list[str]:
    """The key of each launch of the forward, for lengths from 17 on; an example may lack an output."""
    attention = attnc.load(ROOT / "examples" / f"{example}.attn")
    kernel = attention.kernels(target="sm_90", dtype="bf16", shape=WIDTHS)["forward"]
    recorder = Recorder(gpu.load_function(kernel.source, kernel.signature.name))
    gpu.load_function = lambda source, name: recorder
    launcher, stated = gpu.launcher(kernel.source, kernel.signature), attention.program().stated
    for length in range(17, 117):
        sizes = {"b": 2, "h": 4, "g": 2, "m": length, "n": length, **WIDTHS}
        used = {index: sizes[index] for item in stated.inputs for index in item.indices}
        inputs = draw(stated, used, {}, torch.bfloat16, 1)
        made = {"O": torch.empty(2, 4, length, 64, dtype=torch.bfloat16), "L": torch.empty(2, 4, length)}
        tensors = inputs | made
        given = [tensors[param.name] for param in kernel.signature.params]
        launcher(given, bind(stated, (), inputs).sizes)(given)
    return recorder.keys


if __name__ == "__main__":
    found = keys(sys.argv[1])
    print(len(found), len(set(found)))

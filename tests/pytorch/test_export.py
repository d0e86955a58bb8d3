"""`torch.export`: a saved program runs in a process that knows nothing of the spec."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.export import Dim, export, save

import attnc

TEXT = """
attention own(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], slope[h]; W: int = 4) -> O, L:
    index N - M <= m < N
    S[b,h,m,n] = sum[e](Q * K) / sqrt(E) - slope * (m - n) where 0 <= m - n < W
    O[b,h,m,f] = softmax[n](S) * V
    L[b,h,m]   = logsumexp[n](S)
"""
LOADER = """
import sys
import torch
import attnc.nn
program = torch.export.load(sys.argv[1]).module()
inputs, wanted, gradient = torch.load(sys.argv[2])
found = program(*inputs)
assert all(torch.equal(own, right) for own, right in zip(found, wanted, strict=True))
inputs[0].requires_grad_()
program(*inputs)[0].square().sum().backward()
assert torch.equal(inputs[0].grad, gradient)
print("loaded")
"""


class Model(torch.nn.Module):
    """Two attentions, of the library and of a text."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = attnc.load("std:causal_softmax"), attnc.compile(TEXT)
        self.slope = torch.nn.Parameter(torch.rand(2))

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.second(self.first(q, k, v), k, v, self.slope, W=3)
        return found.O, found.L


def qkv(m: int = 5, n: int = 9) -> tuple[torch.Tensor, ...]:
    return torch.randn(1, 2, m, 4), torch.randn(1, 2, n, 4), torch.randn(1, 2, n, 4)


@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_program_serves_all_lengths(strict: bool) -> None:
    model, (rows, keys) = Model(), (Dim("rows", min=2, max=999), Dim("keys", min=2, max=9999))
    program = export(model, qkv(), dynamic_shapes=({2: rows}, {2: keys}, {2: keys}), strict=strict)
    calls = [str(node.target) for node in program.graph.nodes if "attnc" in str(node.target)]
    assert calls == ["attnc.forward.default"] * 2
    for m, n in ((5, 9), (3, 40)):
        given = qkv(m, n)
        assert all(torch.equal(x, y) for x, y in zip(program.module()(*given), model(*given), strict=True))


def test_a_saved_program_runs_in_a_new_process(tmp_path: Path) -> None:
    model, given = Model(), qkv()
    save(export(model, given), tmp_path / "model.pt2")
    leaf = given[0].clone().requires_grad_()
    model(leaf, *given[1:])[0].square().sum().backward()
    wanted = tuple(value.detach() for value in model(*given))
    torch.save((given, wanted, leaf.grad), tmp_path / "values.pt")
    command = [sys.executable, "-c", LOADER, str(tmp_path / "model.pt2"), str(tmp_path / "values.pt")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout == "loaded\n", done.stderr[-2000:]

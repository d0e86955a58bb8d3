"""What the README writes in Python is the attention that it writes as text."""

import re
from pathlib import Path
from typing import Any

import torch

import attnc

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_python_in_the_readme_runs() -> None:
    jit, flex = (text for text in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "import" not in text)
    q, k, v = (torch.randn(1, 2, 20, 8, generator=torch.Generator().manual_seed(i)) for i in range(3))
    names: dict[str, Any] = {"attnc": attnc, "torch": torch, "q": q, "k": k, "v": v, "slopes": torch.tensor([0.5, 0.1])}
    exec(jit + flex, names)
    expected = attnc.std.alibi(q, k, v, slope=names["slopes"])
    assert torch.allclose(names["alibi"](q, k, v, slope=names["slopes"]), expected, atol=1e-5)
    assert torch.allclose(names["o"], expected, atol=1e-5)

"""Specs given as text: resolved, refused, run on the oracle."""

from pathlib import Path

import pytest
import torch

from attnc.diagnostics import AttnError
from attnc.grammar.parse import parse
from attnc.ir.cascade import Cascade, Read
from attnc.ir.interpret import run
from attnc.ir.walk import walk
from attnc.library import Library
from attnc.passes.names import resolve
from attnc.source import Source


def resolved(text: str, folder: Path | None = None, **options: object) -> Cascade:
    """The last attention of a spec."""
    return resolve(parse(Source("spec.attn", text)), None, options, Library(folder).use)


def refused(text: str, folder: Path | None = None, **options: object) -> AttnError:
    """The error that a spec is refused with."""
    with pytest.raises(AttnError) as caught:
        resolved(text, folder, **options)
    return caught.value


def evaluated(text: str, folder: Path | None = None, **inputs: torch.Tensor) -> torch.Tensor:
    """The first output of a spec on these inputs, by the definition."""
    cascade = resolved(text, folder)
    return run(cascade, inputs).outputs[cascade.outputs[0]]


def axes_tested(cascade: Cascade) -> list[tuple[str, tuple[int, ...]]]:
    """The reads that are tested at run time, and along which axes."""
    reads = [node for tensor in cascade.tensors for node in walk(tensor) if isinstance(node, Read)]
    return [(node.span.text, node.tested) for node in reads if node.tested]

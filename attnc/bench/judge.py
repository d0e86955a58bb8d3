"""Whether what attnc computed keeps the numerics contract: as a whole on few keys, and at some rows where it is timed.

The definition in float64 cannot follow a run at full length. One kernel serves all lengths, so it is held against the
oracle on few keys; and of the run that is timed, some rows of queries are held against a formula in float64. What
reaches the keys and values from those rows alone is judged too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf, isnan

import torch

from attnc.bench.case import Case
from attnc.bench.formula import at_rows, formula
from attnc.bench.rows import Tensors
from attnc.contract import (
    FORWARD,
    GRADIENT,
    Reference,
    Verdict,
    gradient_references,
    judge,
    references,
    says_nothing,
)

FEW_KEYS = 512
FIRST, SPREAD = 8, 24
"""Sampled rows: the first ones, where few keys share the weight and gradients are largest, and some over all."""

Results = Mapping[str, torch.Tensor]


def ratio(verdict: Verdict) -> float:
    """The error over what is allowed, at the worst; infinite where a value is no number."""
    if not verdict.same_kind or isnan(verdict.error):
        return inf
    return max(verdict.error / max(verdict.allowed, 1e-300), verdict.row_ratio)


def leaves(case: Case, inputs: Tensors) -> dict[str, torch.Tensor]:
    """The inputs, those that are differentiated ready for it."""
    wanted = case.differentiated
    return {name: tensor.detach().requires_grad_(name in wanted) for name, tensor in inputs.items()}


def gradients(case: Case, output: torch.Tensor, given: Tensors, incoming: torch.Tensor) -> Results:
    """What comes in at queries, keys and values; the graph is kept."""
    names = case.differentiated
    found = torch.autograd.grad(output, [given[name] for name in names], incoming, retain_graph=True)
    return dict(zip(names, found, strict=True))


# ---- few keys, all of them ----------------------------------------------------------------------


def whole(case: Case) -> Verdict:
    """The verdict on the output of a call with few keys, against the oracle."""
    small = case.smaller(FEW_KEYS)
    inputs = small.inputs()
    with torch.no_grad():
        output = small.attention(**inputs)
    stated = small.attention.program().stated
    return judge("O", output.cpu(), references(stated, _at_home(inputs), {"O": output.dtype})["O"])


def whole_backward(case: Case) -> Verdict:
    """The worst verdict on the gradients of a call with few keys, against the oracle's."""
    small = case.smaller(FEW_KEYS)
    inputs = small.inputs()
    given = leaves(small, inputs)
    output = small.attention(**given)
    incoming = torch.randn(output.shape, generator=torch.Generator().manual_seed(1)).to(output)
    found = _at_home(gradients(small, output, given, incoming))
    stated = small.attention.program().stated
    expected = gradient_references(stated, _at_home(inputs), {"O": incoming.cpu()}, small.differentiated)
    return worst(judge(name, found[name], expected[name], GRADIENT) for name in found)


def _at_home(tensors: Tensors) -> dict[str, torch.Tensor]:
    """The tensors on the CPU, where the oracle is."""
    return {name: tensor.cpu() for name, tensor in tensors.items()}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict with the largest ratio, a failed one before all that pass."""
    return max(verdicts, key=lambda item: (not item.passed, ratio(item)))


# ---- all keys, some rows ------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """Some query rows of a case, spread over all of them, and what is right there."""

    case: Case
    inputs: Tensors
    rows: torch.Tensor

    def output(self) -> Reference:
        """What the outputs of these rows are judged by."""
        given = at_rows(self.case, self.inputs, self.rows)

        def computed(dtype: torch.dtype) -> Results:
            return {"O": formula(self.case, given, self.rows, dtype)}

        return _references(computed, self.case.dtype)["O"]

    def gradients(self, incoming: torch.Tensor) -> dict[str, Reference]:
        """What these rows' gradients are judged by, and the keys' and values' where nothing comes in elsewhere."""
        given = at_rows(self.case, self.inputs, self.rows)

        def computed(dtype: torch.dtype) -> Results:
            typed = {name: t.to(dtype) if t.is_floating_point() else t for name, t in given.items()}
            moving = leaves(self.case, typed)
            with torch.enable_grad():
                output = formula(self.case, moving, self.rows, dtype)
            return gradients(self.case, output, moving, incoming[:, :, self.rows].to(dtype))

        return _references(computed, self.case.dtype)

    def judged(self, output: torch.Tensor, reference: Reference) -> Verdict:
        """The verdict on an output of the case at these rows."""
        return judge("O", output[:, :, self.rows], reference, FORWARD)

    def judged_gradients(self, timed: Results, alone: Results, expected: Mapping[str, Reference]) -> Verdict:
        """The worst verdict: on the queries' gradients as timed, on the others where only these rows count."""
        queries = {query for query, _ in self.case.row.maps}
        found = {name: timed[name][:, :, self.rows] if name in queries else alone[name] for name in timed}
        return worst(judge(name, found[name], expected[name], GRADIENT) for name in found)

    def only(self, incoming: torch.Tensor) -> torch.Tensor:
        """What comes in at these rows, and zero elsewhere."""
        kept = torch.zeros_like(incoming)
        kept[:, :, self.rows] = incoming[:, :, self.rows]
        return kept


def sample(case: Case, inputs: Tensors) -> Sample:
    """The first rows, and rows from there to the last."""
    spread = torch.linspace(0, case.queries - 1, SPREAD, dtype=torch.float64).round().long()
    rows = {*range(min(FIRST, case.queries)), *spread.tolist()}
    return Sample(case, inputs, torch.tensor(sorted(rows), device=case.device))


def _references(computed: Callable[[torch.dtype], Results], dtype: torch.dtype) -> dict[str, Reference]:
    """r, t and S of each result, as the contract has them."""
    exact, plain, single = (computed(kind) for kind in (torch.float64, dtype, torch.float32))
    found = {}
    for name, r in exact.items():
        t = plain[name].double()
        t = single[name].to(dtype).double() if says_nothing(t, r) else t
        found[name] = Reference(r, t, float(r.abs().max()))
    return found

"""The table of contents: a spec becomes a cascade, a plan, kernels and their source, in this order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from attnc.ir.adjoint import Backward, Tangent
from attnc.ir.cascade import Cascade
from attnc.ir.kernel import DType, Kernel
from attnc.ir.stage import Plan, Stage, Stream
from attnc.ir.target import Target
from attnc.library import Library, Spec, parse_source

if TYPE_CHECKING:
    from attnc.passes.join import Joined
    from attnc.passes.pack import Packed


def stated(spec: Spec, options: Mapping[str, object], library: Library) -> Cascade:
    """The attention as the spec states it: names resolved, extents and types checked."""
    from attnc.passes.names import resolve

    return resolve(parse_source(spec.source), spec.name, options, library.use)


def batched(cascade: Cascade, inputs: Iterable[str]) -> Cascade:
    """The cascade for every element of a batch of these inputs: all that reads them gains an axis in front."""
    from attnc.passes.batch import batch

    return batch(cascade, inputs)


def expanded(cascade: Cascade) -> Cascade:
    """The same with primitive maps and reductions only, existence as boolean algebra: passes are counted on this."""
    from attnc.passes.expand import expand

    return expand(cascade)


def rewrites() -> dict[str, Callable[[Cascade], Cascade]]:
    """The rewrites of an expanded cascade by name, in order: cases, extrema, sums nested, one index a stream."""
    from attnc.passes.apart import apart
    from attnc.passes.choices import choices
    from attnc.passes.factor import factor
    from attnc.passes.flatten import flatten
    from attnc.passes.monotone import monotone

    return {"choices": choices, "monotone": monotone, "factor": factor, "flatten": flatten, "apart": apart}


def explicit(cascade: Cascade) -> Cascade:
    """The same expanded and rewritten: what the plan is made for."""
    return _rewritten(expanded(cascade))


def _rewritten(cascade: Cascade) -> Cascade:
    for rewrite in rewrites().values():
        cascade = rewrite(cascade)
    return cascade


def planned(cascade: Cascade) -> Plan:
    """The stages of an explicit cascade, each streamed one with its derived monoid; error A301 over a pass limit."""
    from attnc.passes.bound import check_limits
    from attnc.passes.plan import plan

    found = plan(cascade)
    check_limits(cascade, found)
    return found


def split(cascade: Cascade, found: Plan) -> Plan:
    """The plan with each stream that can be cut into spans as two: what runs where a call has few rows."""
    from attnc.passes.split import split as cut

    stages: list[Stage] = []
    for stage in found.stages:
        if isinstance(stage, Stream) and stage.stream is not None:
            pair = cut(stage, cascade)
            stages += [pair.spans, pair.merge]
        else:
            stages.append(stage)
    return Plan(tuple(stages), found.refusals)


def joined(first: Stream, second: Stream, cascade: Cascade) -> Joined | None:
    """Two streams that form the same pairs as one; None where they do not."""
    from attnc.passes.join import join

    return join(first, second, cascade)


def packed(stream: Stream, cascade: Cascade) -> Packed | None:
    """A stream with heads that share their keys among its rows; None where none share."""
    from attnc.passes.pack import pack

    return pack(stream, cascade)


def differentiated(
    cascade: Cascade, found: Plan, wanted: Iterable[str], given: Iterable[str], *, precise: bool = False
) -> Backward:
    """The backward of a planned cascade: the gradients of `wanted` inputs from what comes in at the outputs `given`.

    Where they are to be `precise` they are not made of the first output as it is given out, rounded.
    """
    from attnc.passes.differentiate import backward

    return backward(cascade, found, wanted, given, _ready, precise=precise)


def pushed(cascade: Cascade, found: Plan, moving: Iterable[str]) -> Tangent | None:
    """The tangents of a planned cascade's outputs from those of `moving` inputs; None where no cascade gives them."""
    from attnc.passes.differentiate.tangent import tangent

    return tangent(cascade, found, moving, _ready)


def _ready(derived: Cascade) -> tuple[Cascade, Plan]:
    from attnc.passes.plan import plan

    rewritten = _rewritten(derived)
    return rewritten, plan(rewritten)


def lowered(
    stream: Stream, cascade: Cascade, target: Target, dtypes: Mapping[str, DType], extents: Mapping[str, int]
) -> Kernel:
    """The kernel of a streamed stage: tiles, loops and running state."""
    from attnc.passes.lower import lower

    return lower(stream, cascade, target, dtypes, extents)


def rivals(
    stream: Stream, cascade: Cascade, target: Target, dtypes: Mapping[str, DType], extents: Mapping[str, int]
) -> tuple[Target, ...]:
    """The target narrowed to each of the best few tiles for a streamed stage, the model's choice first."""
    from attnc.passes.tiles import rivals as best_few

    return best_few(stream, cascade, target, dtypes, extents)


def rendered(kernel: Kernel, target: Target) -> str:
    """The kernel's source: C++ for a CPU, Triton for a GPU."""
    if target.kind == "cpu":
        from attnc.codegen.cpp import render as render_cpp

        return render_cpp(kernel)
    from attnc.codegen.triton import render as render_triton

    return render_triton(kernel)

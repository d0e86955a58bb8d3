"""The arguments of a call, matched with the spec's inputs: names, axes, extents, types and devices.

Every mistake is an error of family A6 that names the tensor, the index and both sizes; nothing is broadcast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from attnc.diagnostics import AttnError, Diagnostic, error
from attnc.ir.cascade import Cascade, Const, Input, Range, Size
from attnc.ir.sizes import Extents, evaluate, whole
from attnc.ir.walk import walk
from attnc.runtime.convert import common_device, converted


@dataclass(frozen=True)
class Bound:
    """A call's tensors by input name, the extents they fix, and the device they lie on."""

    tensors: dict[str, torch.Tensor]
    sizes: dict[str, int]
    device: torch.device

    @property
    def types(self) -> dict[str, torch.dtype]:
        """The element types of the given tensors."""
        return {name: tensor.dtype for name, tensor in self.tensors.items()}


def bind(cascade: Cascade, args: Sequence[object], named: Mapping[str, object]) -> Bound:
    """The call's arguments as tensors, checked against the inputs' axes and the spec's requirements."""
    given = match_names(cascade, args, named)
    device = common_device(given)
    tensors = {item.name: converted(item, given[item.name], device) for item in cascade.inputs if item.name in given}
    sizes = _sizes(cascade, tensors)
    if all(type(extent) is int for extent in sizes.values()):  # a compiler's symbols are none
        sizes = Extents(sizes)
    _check_requires(cascade, sizes)
    return Bound(tensors, sizes, device)


def match_names(cascade: Cascade, args: Sequence[object], named: Mapping[str, object]) -> dict[str, object]:
    """The arguments by input name: positional ones first, in the order of the inputs."""
    names = [item.name for item in cascade.inputs]
    if len(args) > len(names):
        inputs = ", ".join(f"`{name}`" for name in names)
        raise error(
            "A607",
            f"`{cascade.name}` takes {len(names)} tensors, {len(args)} were given",
            helps=(f"its inputs are {inputs}",),
        )
    given = dict(zip(names, args, strict=False))
    for name, value in named.items():
        if name not in names:
            raise _unknown_argument(cascade, name)
        if name in given:
            raise error("A606", f"`{name}` is given twice: by position and by name")
        given[name] = value
    given = {name: value for name, value in given.items() if value is not None}
    missing = [item for item in cascade.inputs if item.default is None and item.name not in given]
    if missing:
        raise AttnError(*(_missing(cascade, item) for item in missing))
    return given


def _unknown_argument(cascade: Cascade, name: str) -> AttnError:
    inputs = ", ".join(f"`{item.name}`" for item in cascade.inputs)
    options = ", ".join(f"`{option}`" for option, _ in cascade.options)
    helps = [f"its inputs are {inputs}"] + ([f"its options are {options}"] if options else [])
    return error("A606", f"`{cascade.name}` has no input or option `{name}`", helps=helps)


def _missing(cascade: Cascade, item: Input) -> Diagnostic:
    axes = ", ".join(item.indices)
    text = f"`{cascade.name}` is called without its input `{item.name}`"
    found = error("A605", text, item.span, "declared here", helps=(f"pass `{item.name}=` a tensor over [{axes}]",))
    return found.diagnostics[0]


def _sizes(cascade: Cascade, tensors: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """The extent of every index, from the first tensor that carries it; the others must agree."""
    sizes: dict[str, int] = {}
    first: dict[str, Input] = {}
    for item in cascade.inputs:
        if item.name not in tensors:
            continue
        for index, extent in zip(item.indices, tensors[item.name].shape, strict=True):
            if sizes.setdefault(index, extent) != extent:
                raise _mismatch(index, first[index], sizes[index], item, extent)
            first.setdefault(index, item)
    for item in cascade.inputs:
        for index in item.indices:
            if index not in sizes:
                sizes[index] = _declared(cascade, index, item, sizes)
    return sizes


def _declared(cascade: Cascade, index: str, item: Input, sizes: Mapping[str, int]) -> int:
    """The extent of an index that no given tensor carries: what its range says."""
    span = cascade.range(index)
    if {node.index for node in walk(span) if isinstance(node, Size)} <= set(sizes):
        return max(0, whole(span.hi, sizes) - whole(span.lo, sizes))
    what = f"nothing fixes the extent of `{index}`: it occurs only in `{item.name}`, which was not given"
    raise error("A612", what, item.span, "declared here", helps=(f"pass `{item.name}=` with an axis for `{index}`",))


def _mismatch(index: str, item: Input, extent: int, other: Input, found: int) -> AttnError:
    helps: tuple[str, ...] = ()
    if found == 1 or extent == 1:
        one, many = (other.name, extent) if found == 1 else (item.name, found)
        sizes = ", ".join(str(many) if name == index else "-1" for name in (other if found == 1 else item).indices)
        helps = (f"nothing is broadcast silently: write `{one}.expand({sizes})` if one value is meant for all",)
    return error(
        "A601",
        f"index `{index}` has extent {extent} in `{item.name}` but {found} in `{other.name}`",
        other.span,
        f"here `{index}` is {found}",
        clashes=((item.span, f"here `{index}` is {extent}"),),
        helps=helps,
    )


def _check_requires(cascade: Cascade, sizes: Mapping[str, int]) -> None:
    for need in cascade.requires:
        if not evaluate(need.test, sizes):
            given = ", ".join(f"{index} = {extent}" for index, extent in sizes.items())
            raise error(
                "A608",
                "this requirement of the spec does not hold for the tensors of this call",
                need.span,
                "is false here",
                notes=(f"extents: {given}",),
            )
    for span in cascade.ranges:
        _check_range(span.index, sizes, span)


def _check_range(index: str, sizes: Mapping[str, int], span: Range) -> None:
    if index not in sizes or _spans_tensors(span):
        return
    extent = whole(span.hi, sizes) - whole(span.lo, sizes)
    if max(0, extent) != sizes[index]:
        raise error(
            "A613",
            f"index `{index}` has {sizes[index]} positions in the tensors but {max(0, extent)} by its range",
            span.span,
            "declared here",
        )


def _spans_tensors(span: Range) -> bool:
    """Whether an index goes from 0 to its own extent, as most do: nothing is to be checked."""
    match span:
        case Range(index, Const(0), Size(size)):
            return size == index
        case _:
            return False

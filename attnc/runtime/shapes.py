"""Extents that a person gives by index, for inputs that are not there: drawn ones, and those of explanations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attnc.diagnostics import AttnError, error
from attnc.ir.cascade import Cascade
from attnc.runtime.convert import plain

LARGEST = 2**40
"""No tensor has a longer axis; with eight of them byte counts still fit Python's exact integers."""


def checked_shape(cascade: Cascade, shape: Mapping[str, object]) -> dict[str, int]:
    """The extents by index, each a whole number for an index of the inputs."""
    known = {index for item in cascade.inputs for index in item.indices}
    stray = [index for index in shape if index not in known]
    if stray:
        helps = (f"they are {', '.join(sorted(known))}",)
        raise error("A625", f"the shape names `{stray[0]}`, which is no index of the inputs", helps=helps)
    return {index: _extent(index, plain(value)) for index, value in shape.items()}


def _extent(index: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST:
        return value
    raise bad_extent(f"{index}={value}")


def bad_extent(item: str) -> AttnError:
    """What is said of a piece of a shape that is not INDEX=EXTENT."""
    notes = (f"an extent is a whole number from 0 to 2**{LARGEST.bit_length() - 1}",)
    helps = ("`--shape b=1,h=8,m=4096,n=4096`",)
    return error("A621", f"`{item[:60]}` in the shape is not INDEX=EXTENT", notes=notes, helps=helps)


def require_extents(shape: Mapping[str, int], needed: Iterable[str]) -> None:
    """Error A625 where an index that is needed has no extent."""
    needed = list(dict.fromkeys(needed))
    missing = ", ".join(f"`{index}`" for index in needed if index not in shape)
    if missing:
        example = ",".join(f"{index}={shape.get(index, 8)}" for index in needed)
        raise error("A625", f"the shape says nothing about {missing}", helps=(f"`--shape {example}`",))

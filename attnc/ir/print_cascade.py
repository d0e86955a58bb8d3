"""A cascade as text, in the language's own syntax: what `attnc show` prints."""

from __future__ import annotations

from collections.abc import Iterator

from attnc.ir.cascade import Cascade, Const, Input, Part, Range, Size
from attnc.ir.print_expression import Sizes, capital, show, show_where

INDENT = "    "


def show_cascade(cascade: Cascade) -> str:
    """The whole cascade, one statement a line, in order of evaluation.

    In explicit form a `where` shows the conditions of a fold or of a statement in full; read as stated
    form it means the same, since conditions that a read brings along are among them.
    """
    sizes = sizes_of(cascade)
    lines = [f'{INDENT}"""{cascade.doc}"""'] if cascade.doc else []
    lines += [f"{INDENT}{line}" for line in _statements(cascade, sizes)]
    return "\n".join([_head(cascade, sizes), *lines]) + "\n"


def sizes_of(cascade: Cascade) -> Sizes:
    """How the cascade writes extents: capitals, or `extent(n)` where the capital names something else."""
    inputs, tensors = ({item.name for item in cascade.inputs}, {item.name for item in cascade.tensors})
    names = inputs | tensors | {name for name, _ in cascade.options}

    def write(index: str) -> str:
        return f"extent({index})" if capital(index) in names or capital(index) == index else capital(index)

    return write


def show_part(part: Part, sizes: Sizes = capital) -> str:
    """One defining statement."""
    left = f"[{','.join(show(sub, sizes) for sub in part.left)}]" if part.left else ""
    return f"{part.tensor}{left} = {show_where(part.value, part.when, sizes)}"


def _head(cascade: Cascade, sizes: Sizes) -> str:
    inputs = ", ".join(_input(item, sizes) for item in cascade.inputs)
    options = ", ".join(f"{name}: {_kind(value)} = {show(Const(value))}" for name, value in cascade.options)
    signature = f"{inputs}; {options}" if options else inputs
    return f"attention {cascade.name}({signature}) -> {', '.join(cascade.outputs)}:"


def _input(item: Input, sizes: Sizes) -> str:
    kind = "" if item.type == "real" else f": {item.type}"
    default = "" if item.default is None else f" = {show(item.default, sizes)}"
    return f"{item.name}[{','.join(item.indices)}]{kind}{default}"


def _kind(value: bool | int | float) -> str:
    return "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "real"


def _statements(cascade: Cascade, sizes: Sizes) -> Iterator[str]:
    ranges = [_range(item, sizes) for item in cascade.ranges if not _of_input(cascade, item)]
    if ranges:
        yield f"index {', '.join(ranges)}"
    for item in cascade.requires:
        yield f"require {show(item.test, sizes)}"
    for step in cascade.steps:
        for name in step.tensors:
            tensor = cascade.tensor(name)
            assert tensor is not None, f"no tensor {name}"
            yield from (show_part(part, sizes) for part in tensor.parts)
    for carry in cascade.carries:
        yield f"carry {carry.name} = {show(carry.value, sizes)}"
    for limit in cascade.limits:
        yield f"require passes[{limit.index}] <= {limit.limit}"


def _of_input(cascade: Cascade, item: Range) -> bool:
    plain = item.lo == Const(0) and item.hi == Size(item.index)
    return plain and any(item.index in source.indices for source in cascade.inputs)


def _range(item: Range, sizes: Sizes) -> str:
    low = "" if item.lo == Const(0) else f"{show(item.lo, sizes)} <= "
    return f"{low}{item.index} < {show(item.hi, sizes)}"

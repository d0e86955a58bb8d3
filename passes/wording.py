"""What a plan under construction is called in messages: by the names and the words of the spec."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from attnc.ir.cascade import Expr, Map, Order, Part, Read, Reduce, Var
from attnc.ir.node import Node
from attnc.ir.operators import COMPARISONS
from attnc.ir.print_cascade import sizes_of
from attnc.ir.print_expression import show
from attnc.ir.walk import top_down, walk
from attnc.passes.families import Shapes

WORDS = {"max": "maximum", "min": "minimum", "sum": "sum", "prod": "product"}
LONGEST = 50  # characters of a quoted expression


def part_of(shapes: Shapes, name: str) -> Part:
    """The statement that a message about a tensor points at: of a recurrence the one that steps."""
    parts = shapes.tensors[name].parts
    mates = next(step.tensors for step in shapes.cascade.steps if name in step.tensors)
    steps = (part for part in parts if any(isinstance(node, Read) and node.tensor in mates for node in walk(part)))
    return next(steps, parts[0])


def called(shapes: Shapes, name: str) -> str:
    """A tensor's name; of one that attnc made, what it is in the tensor that the spec has."""
    if name not in shapes.tensors:  # of the cascade before its rewrites
        return f"`{name}`"
    owner = _owner(shapes, name)
    value = shapes.tensors[name].parts[0].value
    if owner != name and isinstance(value, Reduce | Order):
        return f"the {WORDS.get(value.op, value.op)} in `{owner}`"
    return f"`{owner}`"


def listed(shapes: Shapes, names: Iterable[str]) -> str:
    """Several tensors, each once."""
    *most, last = dict.fromkeys(called(shapes, name) for name in names)
    return f"{', '.join(most)} and {last}" if most else last


def _owner(shapes: Shapes, name: str) -> str:
    """The tensor of the spec whose statement a tensor was made for: its left side stands in the text."""
    part = shapes.tensors[name].parts[0]
    if _is_stated(part):
        return name
    stated = (other for tensor in shapes.cascade.tensors for other in tensor.parts if _is_stated(other))
    return next((other.tensor for other in stated if other.span == part.span), name)


def _is_stated(part: Part) -> bool:
    return not part.left or bool(part.left[0].span.source.text) or part.span.text.startswith(part.tensor)


def is_condition(factor: Expr | None) -> bool:
    """Whether what mixes is a condition: it decides point by point."""
    return factor is not None and getattr(factor, "op", "") in (*COMPARISONS, "and", "or", "not")


def quoted(shapes: Shapes, factor: Expr | None) -> str:
    """An expression in the spec's words, or nothing where it would be long or name what the spec does not."""
    if factor is None:
        return ""
    if isinstance(factor, Map) and factor.op == "and":  # without what it says of sizes alone
        told = tuple(arg for arg in factor.args if any(isinstance(node, Read | Var) for node in walk(arg)))
        factor = told[0] if len(told) == 1 else replace(factor, args=told)
    names = {node.name for node in walk(factor) if isinstance(node, Var)}
    names |= {node.tensor for node in walk(factor) if isinstance(node, Read) and node.tensor in shapes.tensors}
    if any(_owner(shapes, name) != name for name in names):
        return ""
    text = show(top_down(factor, lambda node: _bare(shapes, node)), sizes_of(shapes.cascade))
    return f"`{text}`" if len(text) <= LONGEST else ""


def _bare(shapes: Shapes, node: Node) -> Node | None:
    """A read at a tensor's own indices as its name."""
    if isinstance(node, Read) and node.tensor in shapes.tensors:
        return Var(node.tensor) if node.subs == shapes.tensors[node.tensor].parts[0].left else None
    return None

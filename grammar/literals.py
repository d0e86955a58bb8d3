"""What the grammar lets pass and no meaning could be given to: depth, numbers, ranges."""

from __future__ import annotations

from attnc.diagnostics import Diagnostic, error
from attnc.grammar import shapes
from attnc.ir import syntax as syn
from attnc.ir.node import Node
from attnc.ir.walk import children

_OUTSIDE = (syn.File, syn.Attention, syn.Function, syn.Param, syn.Option, syn.Define, syn.Place, syn.Check, syn.Bind)


def check(file: syn.File) -> list[Diagnostic]:
    """Every such mistake of the file, in the order of the text."""
    wrong: list[Diagnostic] = []
    stack: list[tuple[Node, int]] = [(file, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > shapes.NESTING:
            span = node.span
            return [*wrong, *shapes.too_deep(span.source, span.start, span.end, shapes.NESTING).diagnostics]
        wrong += _wrong(node)
        deeper = 0 if isinstance(node, _OUTSIDE) else depth + 1
        stack.extend((child, deeper) for child in reversed(tuple(children(node))))
    return wrong


def _wrong(node: Node) -> tuple[Diagnostic, ...]:
    match node:
        case syn.Number(value) if isinstance(value, int) and value >= 2**63:
            return _number(node, "this integer does not fit 64 bits", f"the largest is {2**63 - 1}", "1.0e19")
        case syn.Number(value) if value == float("inf"):
            return _number(node, "this number is too large", "the largest real is about 1.8e308", "inf")
        case syn.Range(test):
            return _range(test)
        case _:
            return ()


def _number(node: syn.Number, message: str, label: str, instead: str) -> tuple[Diagnostic, ...]:
    notes = ("integers have 64 bits, reals are those of float64",)
    return error("A018", message, node.span, label, notes=notes, helps=(f"a real is written `{instead}`",)).diagnostics


def _range(test: syn.Compare) -> tuple[Diagnostic, ...]:
    """Exactly one part of a range is the declared name, and the signs all point the same way."""
    for direction in (("<", "<="), (">", ">=")):
        if all(op in direction for op in test.ops):
            break
    else:
        return _range_error(test, f"a range cannot be made with `{'` and `'.join(test.ops)}`", "expected `<` or `<=`")
    if len(test.args) == 3 and not isinstance(test.args[1], syn.Name):
        return _range_error(test.args[1], "the middle of a range is the declared index", "expected a name")
    if len(test.args) == 2 and not any(isinstance(side, syn.Name) for side in test.args):
        return _range_error(test, "this range declares no index", "neither side is a name")
    return ()


def _range_error(node: Node, message: str, label: str) -> tuple[Diagnostic, ...]:
    notes = ("exactly one part of a range is a bare name, the index; the others are its bounds",)
    helps = ("write `index c < 4`, or with a start `index -1 <= c < 4`",)
    return error("A017", message, node.span, label, notes=notes, helps=helps).diagnostics

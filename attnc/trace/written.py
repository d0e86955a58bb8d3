"""A traced function run: the file of syntax that it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from attnc.diagnostics import AttnError, error
from attnc.ir import syntax as syn
from attnc.ir.node import Node
from attnc.ir.walk import bottom_up
from attnc.source import Span
from attnc.trace.names import named
from attnc.trace.recording import Recording, recording
from attnc.trace.signature import Declared
from attnc.trace.tensors import Call, Variable
from attnc.trace.values import Laid, Value

Returned = list[tuple[str | None, object]]


def written(function: Callable[..., Any], declared: Declared, options: Mapping[str, object]) -> syn.File:
    """The file that a function writes with these options."""
    tensors, values = declared.arguments(options)
    names = {*(item.name for item in declared.params), *(item.name for item in declared.options)}
    program = Recording(declared.name, names)
    with recording(program):
        returned = _listed(function(*tensors, **values))
        outputs = tuple(_output(program, declared.span, name, value, len(returned)) for name, value in returned)
    attention = syn.Attention(
        declared.name,
        declared.params,
        declared.options,
        outputs,
        tuple(program.statements),
        declared.doc,
        span=declared.span,
    )
    definitions = (*program.definitions, with_capitals(attention, program.taken))
    return syn.File(tuple(program.uses), definitions, span=declared.span)


def _listed(returned: Any) -> Returned:
    """What a function returns: a tensor, a tuple of them, or a dict by name."""
    match returned:
        case dict():
            return list(returned.items())
        case tuple() | list() if not isinstance(returned, str):
            return [(None, item) for item in returned]
        case _:
            return [(None, returned)]


def _output(program: Recording, span: Span, name: str | None, value: object, count: int) -> str:
    """The name of an output, defined now where it is an expression."""
    if isinstance(value, Variable) and name in (None, value.name):
        return value.name
    if not isinstance(value, Laid):
        raise _no_output(value, span)
    own = named(name, "an output") if name is not None else program.fresh("O", alone=count == 1)
    place = syn.Place(own, tuple(item.node for item in value.layout), span=value.node.span)
    program.statements.append(syn.Define((place,), value.node, span=value.node.span))
    return own


def _no_output(value: object, span: Span) -> AttnError:
    if isinstance(value, Variable):
        helps = (f"return it under its own name: `{{{value.name!r}: {value.name}}}`",)
        return error("A676", f"the tensor `{value.name}` is returned under another name", span, "here", helps=helps)
    if isinstance(value, Call):
        help_ = "give the call a name: `O = attnc.tensor('O'); O[b,h,m,f] = call(..)`"
        return error("A676", "a call is returned", value.place(), "has no name", helps=(help_,))
    if isinstance(value, Value):
        helps = ("say in which order its axes stand: `return x[b,h,m,f]`",)
        return error("A676", "this output has no axes", value.place(), "returned", helps=helps)
    what = "the function returns nothing" if value is None else f"the function returns a `{type(value).__name__}`"
    helps = ("return a tensor, an expression with its axes `x[b,h,m,f]`, or a tuple or dict of them",)
    return error("A676", what, span, "an output is expected", helps=helps)


def with_capitals(attention: syn.Attention, taken: set[str]) -> syn.Attention:
    """Extents under their short names, `N` for `extent(n)`, where these mean nothing else."""
    every = [index for item in attention.params for index in item.indices or ()]
    every += [arg.name for arg in _declared(attention) if isinstance(arg, syn.Name)]
    capitals = [index.upper() for index in dict.fromkeys(every)]

    def rule(node: Node) -> Node | None:
        match node:
            case syn.Apply(syn.Name("extent"), (syn.Name(name),)):
                short = name.upper()
                plain = short != name and short not in taken and capitals.count(short) == 1
                return syn.Name(short, span=node.span) if plain else None
            case _:
                return None

    changed: syn.Attention = bottom_up(attention, rule)
    return replace(changed, span=attention.span)


def _declared(attention: syn.Attention) -> list[syn.Expr]:
    ranges = [item for line in attention.body if isinstance(line, syn.Indices) for item in line.ranges]
    return [arg for item in ranges for arg in item.test.args]

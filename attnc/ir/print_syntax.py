"""Syntax as text, with no parenthesis that the precedence does not ask for: parse(show(x)) == x."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from attnc.ir import syntax as syn
from attnc.ir.node import Node

WHERE, CHOOSE, OR, AND, NOT, COMPARE, SUM, TERM, UNARY, POWER, POSTFIX = range(11)
"""The levels of precedence, loosest first."""

_BINARY = {"+": SUM, "-": SUM, "*": TERM, "/": TERM, "//": TERM, "%": TERM}


def show(node: Node) -> str:
    """The text of a node of any kind: a file, a definition, a statement, an expression or a piece of one."""
    match node:
        case syn.File() | syn.Use() | syn.Attention() | syn.Function() | syn.Param() | syn.Option():
            return _definition(node)
        case syn.Define() | syn.Indices() | syn.Carry() | syn.Require() | syn.Check():
            return _statement(node)
        case syn.Place(name, subs):
            return name if subs is None else f"{name}[{_list(subs)}]"
        case syn.Range(test):
            return expression(test)
        case syn.Bind(target, value):
            return f"{expression(target, POSTFIX)} = {expression(value, CHOOSE)}"
        case syn.Equals() | syn.Gives():
            return _goal(node)
        case syn.Reindex() | syn.Keyword() | syn.All():
            return _piece(node)
        case _:
            return expression(node)  # type: ignore[arg-type]  # the expressions are what is left


def expression(node: syn.Expr, level: int = WHERE) -> str:
    """The expression, in parentheses where it binds weaker than `level`."""
    text, own = _expression(node)
    return text if own >= level else f"({text})"


def _expression(node: syn.Expr) -> tuple[str, int]:
    """The expression's text and the level at which it binds."""
    match node:
        case syn.Name(name) | syn.Constant(name):
            return name, POSTFIX
        case syn.Number(value):
            return repr(value), POSTFIX
        case syn.List(items):
            return f"[{', '.join(expression(item, CHOOSE) for item in items)}]", POSTFIX
        case syn.At(x, subs, slots, extras):
            return f"{expression(x, POSTFIX)}[{_arguments(_list(subs), slots, extras)}]", POSTFIX
        case syn.Apply(f, args, extras):
            written = ", ".join(expression(arg) for arg in args)
            return f"{expression(f, POSTFIX)}({_arguments(written, (), extras)})", POSTFIX
        case _:
            return _operation(node)


def _operation(
    node: syn.Unary | syn.Binary | syn.Logic | syn.Compare | syn.Choose | syn.Where,
) -> tuple[str, int]:
    match node:
        case syn.Unary("not", x):
            return f"not {expression(x, NOT)}", NOT
        case syn.Unary(op, x):
            return f"{op}{expression(x, UNARY)}", UNARY
        case syn.Binary("**", a, b):
            return f"{expression(a, POSTFIX)} ** {expression(b, UNARY)}", POWER
        case syn.Binary(op, a, b):
            level = _BINARY[op]
            return f"{expression(a, level)} {op} {expression(b, level + 1)}", level
        case syn.Logic(op, args):
            level = AND if op == "and" else OR
            return f" {op} ".join(expression(arg, level + 1) for arg in args), level
        case syn.Compare(ops, args):
            sides = [expression(arg, SUM) for arg in args]
            return sides[0] + "".join(f" {op} {side}" for op, side in zip(ops, sides[1:], strict=True)), COMPARE
        case syn.Choose(then, test, other):
            written = f"{expression(then, OR)} if {expression(test, OR)} else {expression(other, CHOOSE)}"
            return written, CHOOSE
        case syn.Where(x, test):
            return f"{expression(x, CHOOSE)} where {expression(test, CHOOSE)}", WHERE
        case _:
            assert_never(node)


def _piece(node: syn.Expr | syn.Reindex | syn.Keyword | syn.All) -> str:
    match node:
        case syn.Reindex(name, value) | syn.Keyword(name, value):
            return f"{name} = {expression(value, CHOOSE)}"
        case syn.All():
            return ":"
        case _:
            return expression(node, CHOOSE)


def _list(nodes: Iterable[syn.Expr | syn.Reindex | syn.All]) -> str:
    """Subscripts, tight as in `S[b,h,m,n]`."""
    return ",".join(_piece(node) for node in nodes)


def _arguments(written: str, slots: tuple[str, ...], extras: tuple[syn.Expr | syn.Keyword, ...]) -> str:
    arrow = f"{' ' if written else ''}-> {', '.join(slots)}" if slots else ""
    more = f"; {', '.join(_piece(extra) for extra in extras)}" if extras else ""
    return written + arrow + more


def _statement(node: syn.Statement) -> str:
    match node:
        case syn.Define(places, value):
            return f"{', '.join(show(place) for place in places)} = {expression(value)}"
        case syn.Indices(ranges):
            return f"index {', '.join(show(item) for item in ranges)}"
        case syn.Carry(name, value):
            return f"carry {name} = {expression(value)}"
        case syn.Require(test):
            return f"require {expression(test, CHOOSE)}"
        case syn.Check(name, binds, goal):
            given = f"with {', '.join(show(bind) for bind in binds)} " if binds else ""
            return f"check {name}: {given}{_goal(goal)}"
        case _:
            assert_never(node)


def _goal(node: syn.Equals | syn.Gives) -> str:
    match node:
        case syn.Equals(call):
            return f"equals {expression(call, CHOOSE)}"
        case syn.Gives(binds, within):
            tolerance = f" within {within!r}" if within is not None else ""
            return f"gives {', '.join(show(bind) for bind in binds)}{tolerance}"
        case _:
            assert_never(node)


def _definition(node: syn.File | syn.Use | syn.Attention | syn.Function | syn.Param | syn.Option) -> str:
    match node:
        case syn.File(uses, definitions, doc):
            head = _doc(doc) + [show(use) for use in uses]
            blocks = ["\n".join(head)] * bool(head) + [show(definition) for definition in definitions]
            return "\n\n".join(blocks) + "\n" * bool(blocks)
        case syn.Use(path, names):
            return f"use {'.'.join(path)}" + (f": {', '.join(names)}" if names else "")
        case syn.Attention():
            header = f"attention {node.name}({_params(node)}) -> {', '.join(node.outputs)}:"
            return "\n    ".join([header, *_doc(node.doc), *(show(item) for item in node.body)])
        case syn.Function():
            return _function(node)
        case syn.Param(name, indices, kind, default):
            return _typed(name if indices is None else f"{name}[{','.join(indices)}]", kind, default)
        case syn.Option(name, kind, default):
            return _typed(name, kind, default)
        case _:
            assert_never(node)


def _function(node: syn.Function) -> str:
    indices = f"[{','.join(node.indices)}]" if node.indices else ""
    header = f"{node.kind} {node.name}{indices}({_params(node)})"
    if not node.body and node.doc is None:
        return f"{header} = {expression(node.value)}"
    body = [*_doc(node.doc), *(show(item) for item in node.body), f"return {expression(node.value)}"]
    return "\n    ".join([f"{header}:", *body])


def _params(node: syn.Attention | syn.Function) -> str:
    options = f"; {', '.join(show(option) for option in node.options)}" if node.options else ""
    return ", ".join(show(param) for param in node.params) + options


def _typed(name: str, kind: str | None, default: syn.Expr | None) -> str:
    typed = f"{name}: {kind}" if kind else name
    return typed if default is None else f"{typed} = {expression(default, CHOOSE)}"


def _doc(doc: str | None) -> list[str]:
    """The docstring's line; inside a block its further rows stay as they are."""
    return [] if doc is None else [f'"""{doc}"""']

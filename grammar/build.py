"""From what the parser found to the nodes of `attnc.ir.syntax`: one small function per rule of the grammar.

Each takes the span of its rule and the rule's parts, tokens (punctuation too) and what the rules below gave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeAlias

from lark.lexer import Token
from lark.tree import Tree

from attnc.ir import syntax as syn
from attnc.source import Source, Span

Parts: TypeAlias = list[Any]

_LAYOUT = ("_NL", "_INDENT", "_DEDENT")


def build(tree: Tree[Token], source: Source) -> syn.File:
    """The file of a parse tree; every node spans exactly the text it was read from."""
    built: dict[int, tuple[Any, int, int]] = {}
    for branch in tree.iter_subtrees():  # children come before their parents, so depth is no limit
        parts: Parts = []
        start, end = -1, -1
        for child in branch.children:
            value, low, high = _read(child, built)
            if low < 0:
                parts.append(value)
            elif not (isinstance(value, Token) and value.type in _LAYOUT):
                parts.append(value)
                start, end = (low if start < 0 else start), high
        built[id(branch)] = _RULES[branch.data](Span(source, max(start, 0), max(end, 0)), parts), start, end
    file: syn.File = built[id(tree)][0]
    return file


def _read(child: Tree[Token] | Token, built: dict[int, tuple[Any, int, int]]) -> tuple[Any, int, int]:
    if isinstance(child, Token):
        return child, child.start_pos or 0, child.end_pos or 0
    return built[id(child)]


def _nodes(parts: Iterable[Any], *kinds: type) -> tuple[Any, ...]:
    """The parts that are nodes, of some kinds if given."""
    return tuple(part for part in parts if not isinstance(part, Token) and (not kinds or isinstance(part, kinds)))


def _words(parts: Iterable[Any], kind: str = "NAME") -> tuple[str, ...]:
    """The texts of the tokens of a kind."""
    return tuple(str(part) for part in parts if isinstance(part, Token) and part.type == kind)


def _doc(parts: Parts) -> str | None:
    for text in _words(parts, "DOC"):
        quotes = 3 if text.startswith('"""') else 1
        return text[quotes:-quotes]
    return None


# ---- expressions ---------------------------------------------------------------------------


def _number(span: Span, parts: Parts) -> syn.Number:
    text = str(parts[0]).replace("_", "")
    if not text.isdigit():
        return syn.Number(float(text), span=span)
    digits = text.lstrip("0") or "0"  # more than 20 digits fit no integer: the check of literals will say so
    return syn.Number(int(digits) if len(digits) <= 20 else float("inf"), span=span)


def _flat(span: Span, parts: Parts) -> syn.Logic:
    op = next(str(part) for part in parts if isinstance(part, Token))
    return syn.Logic(op, _nodes(parts), span=span)


def _compare(span: Span, parts: Parts) -> syn.Compare:
    return syn.Compare(_words(parts, "COMPARE"), _nodes(parts), span=span)


def _binary(span: Span, parts: Parts) -> syn.Binary:
    a, op, b = parts
    return syn.Binary(str(op), a, b, span=span)


def _unary(span: Span, parts: Parts) -> syn.Unary:
    return syn.Unary(str(parts[0]), parts[1], span=span)


def _at(span: Span, parts: Parts) -> syn.At:
    subs, slots, extras = parts[2]
    return syn.At(parts[0], subs, slots, extras, span=span)


def _apply(span: Span, parts: Parts) -> syn.Apply:
    args, _, extras = parts[2]
    named = tuple(arg for arg in args if isinstance(arg, syn.Keyword))
    return syn.Apply(parts[0], args[: len(args) - len(named)], named + extras, span=span)


def _arguments(span: Span, parts: Parts) -> tuple[tuple[Any, ...], tuple[str, ...], tuple[Any, ...]]:
    """What stands in brackets: subscripts or arguments, slots behind `->`, extras behind `;`."""
    semicolon = next((i for i, part in enumerate(parts) if _is(part, "SEMICOLON")), len(parts))
    arrow = next((i for i, part in enumerate(parts) if _is(part, "ARROW")), semicolon)
    return _nodes(parts[:arrow]), _words(parts[arrow:semicolon]), _nodes(parts[semicolon:])


def _is(part: Any, kind: str) -> bool:
    return isinstance(part, Token) and part.type == kind


# ---- statements ----------------------------------------------------------------------------


def _define(span: Span, parts: Parts) -> syn.Define:
    return syn.Define(_nodes(parts[:-1]), parts[-1], span=span)


def _place(span: Span, parts: Parts) -> syn.Place:
    return syn.Place(str(parts[0]), _nodes(parts) if len(parts) > 1 else None, span=span)


def _range(span: Span, parts: Parts) -> syn.Range:
    return syn.Range(_compare(span, parts), span=span)


def _check(span: Span, parts: Parts) -> syn.Check:
    return syn.Check(str(parts[1]), _nodes(parts[:-1], syn.Bind), parts[-1], span=span)


def _gives(span: Span, parts: Parts) -> syn.Gives:
    within = _words(parts, "NUMBER")
    return syn.Gives(_nodes(parts), float(within[0].replace("_", "")) if within else None, span=span)


# ---- definitions ---------------------------------------------------------------------------


def _param(span: Span, parts: Parts) -> syn.Param:
    indices = next((part for part in parts if isinstance(part, tuple)), None)
    return syn.Param(str(parts[0]), indices, _type(parts), _default(parts), span=span)


def _option(span: Span, parts: Parts) -> syn.Option:
    return syn.Option(str(parts[0]), _type(parts), _default(parts), span=span)


def _type(parts: Parts) -> str | None:
    return next(iter(_words(parts, "TYPE")), None)


def _default(parts: Parts) -> syn.Expr | None:
    return parts[-1] if len(parts) > 1 and _is(parts[-2], "EQUAL") else None


def _signature(parts: Parts) -> tuple[tuple[syn.Param, ...], tuple[syn.Option, ...]]:
    found = next(part for part in parts if isinstance(part, list))
    return _nodes(found, syn.Param), _nodes(found, syn.Option)


_STATEMENT = (syn.Define, syn.Indices, syn.Carry, syn.Require, syn.Check)


def _attention(span: Span, parts: Parts) -> syn.Attention:
    name, *outputs = _words(parts)
    body = _nodes(parts, *_STATEMENT)
    return syn.Attention(name, *_signature(parts), tuple(outputs), body, _doc(parts), span=span)


def _function(span: Span, parts: Parts) -> syn.Function:
    kind, name, *indices = (str(part) for part in parts if isinstance(part, Token) and part.type in ("FUN", "NAME"))
    body = _nodes(parts[:-1], *_STATEMENT)
    return syn.Function(kind, name, tuple(indices), *_signature(parts), body, parts[-1], _doc(parts), span=span)


def _use(span: Span, parts: Parts) -> syn.Use:
    colon = next((i for i, part in enumerate(parts) if _is(part, "COLON")), len(parts))
    return syn.Use(_words(parts[:colon]), _words(parts[colon:]), span=span)


def _file(span: Span, parts: Parts) -> syn.File:
    definitions = _nodes(parts, syn.Attention, syn.Function)
    return syn.File(_nodes(parts, syn.Use), definitions, _doc(parts), span=span)


_RULES: dict[str, Callable[[Span, Parts], Any]] = {
    "start": _file,
    "use": _use,
    "attention": _attention,
    "function": _function,
    "params": lambda span, parts: parts,
    "param": _param,
    "indices": lambda span, parts: _words(parts),
    "option": _option,
    "define": _define,
    "place": _place,
    "indices_line": lambda span, parts: syn.Indices(_nodes(parts), span=span),
    "range": _range,
    "carry": lambda span, parts: syn.Carry(str(parts[1]), parts[3], span=span),
    "require": lambda span, parts: syn.Require(parts[1], span=span),
    "check": _check,
    "equals": lambda span, parts: syn.Equals(parts[1], span=span),
    "gives": _gives,
    "bind": lambda span, parts: syn.Bind(parts[0], parts[2], span=span),
    "where": lambda span, parts: syn.Where(parts[0], parts[2], span=span),
    "choose": lambda span, parts: syn.Choose(parts[0], parts[2], parts[4], span=span),
    "or": _flat,
    "and": _flat,
    "not": _unary,
    "compare": _compare,
    "sum": _binary,
    "term": _binary,
    "unary": _unary,
    "power": _binary,
    "at": _at,
    "apply": _apply,
    "name": lambda span, parts: syn.Name(str(parts[0]), span=span),
    "number": _number,
    "constant": lambda span, parts: syn.Constant(str(parts[0]), span=span),
    "parentheses": lambda span, parts: replace(parts[1], span=span),
    "list": lambda span, parts: syn.List(_nodes(parts), span=span),
    "subs": _arguments,
    "args": _arguments,
    "reindex": lambda span, parts: syn.Reindex(str(parts[0]), parts[2], span=span),
    "all": lambda span, parts: syn.All(span=span),
    "keyword": lambda span, parts: syn.Keyword(str(parts[0]), parts[2], span=span),
}

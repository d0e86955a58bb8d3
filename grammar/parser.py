"""The LALR(1) parser of `attn.lark`, built once per process when first needed."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from lark import Lark
from lark.lexer import Token
from lark.tree import Tree

from attnc.grammar.layout import Layout


def tree(flat: str) -> Tree[Token]:
    """The parse tree of a flattened text, or lark's UnexpectedInput."""
    return _parser().parse(flat)


@cache
def _parser() -> Lark:
    grammar = (files("attnc.grammar") / "attn.lark").read_text(encoding="utf-8")
    return Lark(
        grammar, lexer="contextual", parser="lalr", postlex=Layout(), keep_all_tokens=True, maybe_placeholders=False
    )

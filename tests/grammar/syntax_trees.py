"""Random syntax of every kind, as hypothesis strategies."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from attnc.ir import syntax as syn

_RESERVED = {"where", "if", "else", "and", "or", "not", "true", "false", "inf", "pi"}
_WORDS = [
    "index",
    "check",
    "with",
    "carry",
    "require",
    "return",
    "mask",
    "use",
    "gives",
    "equals",
    "within",
    "int",
    "def",
]

names: SearchStrategy[str] = st.one_of(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,3}", fullmatch=True), st.sampled_from(_WORDS)
).filter(lambda name: name not in _RESERVED)
numbers = st.one_of(st.integers(0, 2**63 - 1), st.floats(0, allow_nan=False, allow_infinity=False))
docs = st.none() | st.text(
    st.characters(codec="utf-8", exclude_characters='"\r', categories=("L", "N", "P", "S", "Zs"))
)


def several(strategy: SearchStrategy[Any], least: int = 0, most: int = 3) -> SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, min_size=least, max_size=most).map(tuple)


def _deeper(below: SearchStrategy[Any]) -> SearchStrategy[Any]:
    keyword = st.builds(syn.Keyword, names, below)
    value = below | st.builds(syn.Where, below, below)
    binary = st.sampled_from(["+", "-", "*", "/", "//", "%", "**"])
    compare = st.integers(1, 3).flatmap(
        lambda n: st.builds(
            syn.Compare,
            st.tuples(*[st.sampled_from(["<", "<=", "==", "!=", ">", ">="])] * n),
            st.tuples(*[below] * (n + 1)),
        )
    )
    sub = below | st.builds(syn.Reindex, names, below) | st.just(syn.All())
    extras = several(below | keyword, most=2)
    return st.one_of(
        st.builds(syn.Unary, st.sampled_from(["-", "+", "not"]), below),
        st.builds(syn.Binary, binary, below, below),
        st.builds(syn.Logic, st.sampled_from(["and", "or"]), several(below, 2)),
        compare,
        st.builds(syn.Choose, below, below, below),
        st.builds(syn.At, below, several(sub), several(names, most=2), extras),
        st.builds(syn.Apply, below, several(value), extras),
        st.builds(syn.List, several(below)),
        st.builds(syn.Where, below, below),
    )


_leaves = st.one_of(
    st.builds(syn.Name, names),
    st.builds(syn.Number, numbers),
    st.builds(syn.Constant, st.sampled_from(["true", "false", "inf", "pi"])),
)
expressions: SearchStrategy[Any] = st.recursive(_leaves, _deeper, max_leaves=12)

_places = several(st.builds(syn.Place, names, st.none() | several(expressions)), 1, 2)
_sides = st.builds(syn.Name, names)
_ranges = st.one_of(
    st.builds(
        lambda n, e, op: syn.Range(syn.Compare((op,), (n, e))), _sides, expressions, st.sampled_from(["<", "<="])
    ),
    st.builds(lambda a, n, b: syn.Range(syn.Compare(("<=", "<"), (a, n, b))), expressions, _sides, expressions),
)
_targets = _sides | st.builds(syn.At, _sides, several(expressions | st.just(syn.All())))
_binds = st.builds(syn.Bind, _targets, expressions)
_gives = st.builds(syn.Gives, several(_binds, 1), st.none() | st.floats(0, 1))
statements: SearchStrategy[Any] = st.one_of(
    st.builds(syn.Define, _places, expressions),
    st.builds(syn.Indices, several(_ranges, 1)),
    st.builds(syn.Carry, names, expressions),
    st.builds(syn.Require, expressions),
    st.builds(syn.Check, names, several(_binds), st.builds(syn.Equals, expressions) | _gives),
)

_types = st.none() | st.sampled_from(["int", "real", "bool"])
_params = several(st.builds(syn.Param, names, st.none() | several(names), _types, st.none() | expressions))
_options = several(st.builds(syn.Option, names, _types, st.none() | expressions), most=2)
_attention = st.builds(syn.Attention, names, _params, _options, several(names, 1), several(statements, 1), docs)
_function = st.builds(
    syn.Function,
    st.sampled_from(["def", "mask", "score"]),
    names,
    several(names),
    _params,
    _options,
    several(statements, most=2),
    expressions,
    docs,
)
_uses = several(st.builds(syn.Use, several(names, 1), several(names)), most=2)
files: SearchStrategy[syn.File] = st.builds(syn.File, _uses, several(_attention | _function, most=2), docs)

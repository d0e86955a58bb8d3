"""Specs with mistakes in them: texts of the project, changed by a character or a token here and there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
PIECE = re.compile(r"\w+|\s+|[<>=!*/]{2}|.", re.DOTALL)
NAME, NUMBER, OPERATOR = re.compile(r"[A-Za-z_]\w*"), re.compile(r"-?[\d.]+\w*"), re.compile(r"[-+*/%<>=!]+")
CHARACTERS = "()[]{}:;,.=<>+-*/%\"'# \n\t_aNx09\u00e9\0"
WORDS = """
( ) [ ] , ; : = == < <= + - * / // % ** -> . and or not if else where index require check use carry mask score def
return attention with gives equals within real int bool true false inf pi sum prod max min mean var any all argmax
softmax logsumexp kth topk sort argsort argtopk exp log sqrt rsqrt abs floor tanh sigmoid xlogx exists extent default
stop uniform grad passes b h m n e f g i j k t M N E F G H S A O Q K V R L T 0 1 2 7 -1 0.5 1e300 9223372036854775807
"""
TOKENS = (*WORDS.split(), "\n", "\n    ", "    ")
# A module of definitions is reached through an attention that uses them.
USERS = {
    "masks": "attention probe(X[m], Y[n]) -> O:\n    O[m] = sum[n](X * Y where causal(m, n) and band(m, n; W = 3))\n",
    "norm": "attention probe(X[m,e]) -> O:\n    O[m,e] = layer_norm[e](X) + softmax0[e](rms_norm[e](X))\n",
    "position": "attention probe(X[m,e]) -> O:\n    require E % 2 == 0 and E >= 2\n    O[m,e] = rope[e](X, m)\n",
    "random": "attention probe(X[m,e], seed[]: int) -> O:\n    O[m,e] = dropout[e](X, seed; p = 0.5)\n",
}


@cache
def originals() -> tuple[str, ...]:
    """The examples, the standard library and the language's texts."""
    found = []
    for folder in ("examples", "stdlib", "tests/language"):
        for file in sorted((ROOT / folder).glob("*.attn")):
            user = USERS.get(file.stem, "") if folder == "stdlib" else ""
            found.append(file.read_text(encoding="utf-8") + ("\n" + user if user else ""))
    return tuple(found)


@st.composite
def mutants(draw: st.DrawFn) -> tuple[str, str | None]:
    """A changed text, and the attention of it that is asked for (None: the last)."""
    text = draw(st.sampled_from(originals()))
    names = re.findall(r"^attention (\w+)", text, re.MULTILINE)
    for _ in range(draw(st.integers(1, 3))):
        text = draw(st.sampled_from((_kin, _kin, _kin, _kin, _token, _line, _character)))(draw, text)
    return text, draw(st.sampled_from(names)) if len(names) > 1 else None


def _kin(draw: st.DrawFn, text: str) -> str:
    """A token replaced by another of its kind, from the same text or any: a name, a number or an operator."""
    pieces = PIECE.findall(text)
    kind = draw(st.sampled_from((NAME, NAME, NUMBER, OPERATOR)))
    places = [place for place, piece in enumerate(pieces) if kind.fullmatch(piece)]
    if not places:
        return text
    near, any_kin = sorted({pieces[place] for place in places}), [token for token in TOKENS if kind.fullmatch(token)]
    pieces[draw(st.sampled_from(places))] = draw(st.sampled_from(draw(st.sampled_from((near, any_kin)))))
    return "".join(pieces)


def _character(draw: st.DrawFn, text: str) -> str:
    at, new = draw(st.integers(0, len(text))), draw(st.sampled_from(CHARACTERS))
    return text[:at] + new + text[at + draw(st.integers(0, 1)) :]


def _token(draw: st.DrawFn, text: str) -> str:
    """A token dropped, doubled, replaced, or exchanged with another of the same text."""
    pieces = PIECE.findall(text)
    places = [place for place, piece in enumerate(pieces) if not piece.isspace()]
    if not places:
        return text
    at = draw(st.sampled_from(places))
    match draw(st.sampled_from(("drop", "double", "replace", "exchange"))):
        case "drop":
            pieces[at] = ""
        case "double":
            pieces[at] += " " + pieces[at]
        case "replace":
            pieces[at] = draw(st.sampled_from(TOKENS))
        case _:
            other = draw(st.sampled_from(places))
            pieces[at], pieces[other] = pieces[other], pieces[at]
    return "".join(pieces)


def _line(draw: st.DrawFn, text: str) -> str:
    """A line dropped, doubled, or put elsewhere."""
    lines = text.split("\n")
    line = lines.pop(draw(st.integers(0, len(lines) - 1)))
    for _ in range(draw(st.integers(0, 2))):
        lines.insert(draw(st.integers(0, len(lines))), line)
    return "\n".join(lines)

"""What is said about a value or a left side that the grammar refuses; rules as in `attnc.grammar.frames`."""

from __future__ import annotations

import re
from difflib import get_close_matches

from attnc.diagnostics import AttnError, error
from attnc.grammar.found import CLAUSES, HEADS, Found, clip, deeper
from attnc.source import Span

_RESERVED = ("where", "if", "else", "and", "or", "not", "true", "false", "inf", "pi")
_DEEPER = "indent it deeper than the line above, which it then continues"
_JOIN = "join them, `where p and q`; or write `(x where p) where q` if they are conditions of their own"


def stray_where(f: Found) -> AttnError | None:
    """A `where` with no value before it, or a second one."""
    if f.word != "where" or f.first in HEADS:
        return None
    if not f.words:
        return _stray(f, "this `where` restricts nothing", "no value stands before it", _DEEPER)
    if _same_level(f):
        return _stray(f, "this value has a second `where`", "one `where` is already there", _JOIN)
    if f.first in ("index", "require"):
        help_ = "a predicate on sizes is written plainly: `require H % G == 0`"
        return _stray(f, f"a `where` cannot stand in `{f.first}`", "nothing exists or not here", help_)
    if f.words[-1] in ("=", "(", "[", ",", "+", "-", "*", "/"):
        return _stray(f, "this `where` restricts nothing", "no value stands before it", "write `x where p`")
    return _stray(f, "a `where` cannot stand here", "it needs parentheses", "write `(x where p)`")


def _same_level(f: Found) -> bool:
    """Whether an earlier `where` of the line stands in the same brackets."""
    depth = 0
    for word in reversed(f.words):
        depth += (word in ")]") - (word in "([")
        if depth < 0:
            return False
        if depth == 0 and word == "where":
            return True
    return False


def _stray(f: Found, message: str, label: str, help_: str) -> AttnError:
    notes = ("`x where p` is x, existing only where p holds; it binds weaker than any operator",)
    return error("A013", message, f.at, label, notes=notes, helps=(help_,))


def half_conditional(f: Found) -> AttnError | None:
    """An `if` without its `else`, or the other way round."""
    if "ELSE" in f.accepts and f.word != "else":
        at = f.before.rfind("if")
        span = Span(f.at.source, f.line.start + at, f.line.start + at + 2)
        helps = ("write `x if p else 0`; or `x where p`, for a value that exists only where p holds",)
        return error("A014", "this `if` has no `else`", span, "chooses between two values", helps=helps)
    if f.word == "else":
        return error(
            "A014", "this `else` has no `if`", f.at, "nothing is chosen here", helps=("write `x if p else y`",)
        )
    return None


def reserved_name(f: Found) -> AttnError | None:
    """A word of the language in the place of a name."""
    if f.word not in _RESERVED or "NAME" not in f.accepts:
        return None
    return error(
        "A014",
        f"`{f.word}` is a word of the language and cannot be a name",
        f.at,
        "expected a name",
        notes=(f"reserved are {', '.join(f'`{word}`' for word in _RESERVED)}",),
        helps=(f"write `{f.word}_` or another name",),
    )


def equals_sign(f: Found) -> AttnError | None:
    """`=` for `==`, or `==` for `=`."""
    text, at = f.text, f.at.start
    if (f.word == "=" and text[at - 1 : at] == "=") or (text[at : at + 2] == "==" and "EQUAL" in f.accepts):
        start = at - (text[at - 1 : at] == "=")
        span = Span(f.at.source, start, start + 2)
        helps = (f"write `{clip(f.before.rstrip('= '))} = ..`",)
        return error("A023", "`==` compares; a definition has one `=`", span, "expected `=`", helps=helps)
    if f.word == "=" and "COMPARE" in f.accepts:
        helps = (f"write `{clip(_operand(f))} == {clip(_right(f))}`",)
        return error("A023", "`=` defines; a comparison is written `==`", f.at, "expected `==`", helps=helps)
    return None


def _operand(f: Found) -> str:
    """What stands left of a comparison: the text behind the clause's word or last bracket."""
    text = f.before
    for word in ("require", "where", " if ", " and ", " or ", "not "):
        text = text.rpartition(word)[2]
    return text.strip() if text.count("(") == text.count(")") else text.rpartition("(")[2].strip()


def _right(f: Found) -> str:
    """What stands right of a comparison, up to the end of its clause."""
    return re.split(r",| and | or | if | else |\)", f.text[f.at.end : f.line.end])[0].strip()


def update(f: Found) -> AttnError | None:
    """An update: `+=` and its like."""
    both = f.text[f.at.start : f.at.start + len(f.word) + 1]
    if "EQUAL" not in f.accepts or f.open or both not in ("+=", "-=", "*=", "/="):
        return None
    span = Span(f.at.source, f.at.start, f.at.start + 2)
    helps = ("write a reduction, `T[m] = sum[n](..)`, or a recurrence, `T[i+1] = T[i] + ..`",)
    notes = ("statements are equations, in no order: nothing is updated",)
    return error(
        "A024", f"`{both}` updates a tensor; attnc only defines them", span, "expected `=`", notes=notes, helps=helps
    )


def left_side(f: Found) -> AttnError | None:
    """A definition whose left side is more than names with subscripts."""
    if not f.line.indent or f.first in (*CLAUSES, *HEADS, "return") or "=" in f.words:
        return None
    rest = f.text[f.at.start : f.line.end]
    if f.open == "[" and f.word in (":", "=", ";", "->"):
        notes = ("a left side holds indices and sizes; a statement defines all their points at once",)
        helps = ("write the axis' index, as in `O[b,h,m,f]`",)
        return error(
            "A025", f"`{f.word}` cannot stand on a left side", f.at, "expected a subscript", notes=notes, helps=helps
        )
    if f.open or not f.accepts & {"EQUAL", "COMMA"} or not f.words:
        return None
    if " = " in rest:
        plain = f.kind == "NAME" and len(f.words) == 1 and rest.split()[1:2] == ["="]  # `size r = ..`, `let r = ..`
        helps = (f"write `{clip(rest)}`",) if plain else ("give the name alone: `T[b,m] = ..`",)
        return error("A025", "a left side is a name with subscripts", f.at, "expected `=`", helps=helps)
    span = Span(f.at.source, f.line.start, f.line.rows[0].end)
    notes = ("a statement is a definition, `index`, `require`, `carry` or `check`",)
    close = get_close_matches(f.first, CLAUSES, n=1)
    helps = (f"did you mean `{close[0]}`?",) if close else (f"name it: `T[..] = {clip(f.code)}`",)
    return error("A016", "this line defines nothing", span, "a value without a name", notes=notes, helps=helps)


def juxtaposed(f: Found) -> AttnError | None:
    """Two operands side by side."""
    if f.kind not in ("NAME", "NUMBER") or "TIMES" not in f.accepts:
        return None
    said = deeper(f)
    helps = said or (f"write `{clip(f.words[-1])} * {f.word}` for a product",)
    return error("A015", f"unexpected `{f.word}`", f.at, "expected an operator before it", helps=helps)

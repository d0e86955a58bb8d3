"""What is said about a line that the grammar refuses: the likeliest mistake that explains it."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches

from attnc.diagnostics import AttnError, error
from attnc.grammar.found import Found
from attnc.source import Span

_HEADS = ("attention", "def", "mask", "score")
_CLAUSES = ("index", "carry", "require", "check")
_RESERVED = ("where", "if", "else", "and", "or", "not", "true", "false", "inf", "pi")
_TYPES = {"float": "real", "double": "real", "number": "real", "integer": "int", "long": "int", "boolean": "bool"}
_OPERAND = {"NAME", "NUMBER", "CONSTANT", "LPAR", "LSQB"}
_WRITTEN = {
    "NAME": "a name",
    "NUMBER": "a number",
    "TYPE": "a type",
    "COMMA": "`,`",
    "COLON": "`:`",
    "SEMICOLON": "`;`",
    "EQUAL": "`=`",
    "ARROW": "`->`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "DOT": "`.`",
    "DOC": "a docstring",
    "_NL": "the end of the line",
    "COMPARE": "a comparison",
    "EQUALS": "`equals`",
    "GIVES": "`gives`",
    "WITH": "`with`",
    "ELSE": "`else`",
    "RETURN": "`return`",
    "WHERE": "`where`",
}


def explain(found: Found) -> AttnError:
    """The mistake, named as precisely as the line allows."""
    for rule in _RULES:
        if said := rule(found):
            return said
    return _plain(found)


def _outside(f: Found) -> AttnError | None:
    """A line at the margin that begins no definition."""
    if "USE" not in f.accepts or f.line.indent or f.words:
        return None
    close = get_close_matches(f.word, (*_HEADS, "use"), n=1)
    helps = [f"did you mean `{close[0]}`?"] if close else ["indent it, so that it belongs to the definition above"]
    return error(
        "A021",
        f"`{f.word}` begins no definition",
        f.at,
        "expected `attention`, `def`, `mask`, `score` or `use`",
        notes=("statements stand inside an attention, indented below its header",),
        helps=helps,
    )


def _arrow(f: Found) -> AttnError | None:
    if f.first != "attention" or "ARROW" not in f.accepts or f.open:
        return None
    return error(
        "A012",
        "this attention names no outputs",
        f.behind,
        "expected `->` and the outputs' names",
        notes=("the header ends with the tensors that the attention returns",),
        helps=(f"write `{_clip(f.before)} -> O:`",),
    )


def _colon(f: Found) -> AttnError | None:
    if "COLON" not in f.accepts or f.open or f.first not in (*_HEADS, "check", "use"):
        return None
    own = {"check": "the name of a check", "use": "a module, before the names taken from it,"}
    what = own.get(f.first, "a header")
    row = _clip(f.before)
    helps = [f"write `{row}:`"] if f.first in ("attention", "check") else [f"write `{row}: ..`"]
    if f.first in ("def", "mask", "score"):
        helps = [f"write `{row}:` and a block below, or `{row} = ..`"]
    return error("A011", f"a `:` is missing behind {what}", f.behind, "expected `:`", helps=helps)


def _type(f: Found) -> AttnError | None:
    if f.accepts != {"TYPE"}:
        return None
    instead = _TYPES.get(f.word.lower(), "real")
    return error(
        "A027",
        f"`{f.word}` is no type" if f.word else "a type is missing",
        f.at,
        "expected `int`, `real` or `bool`",
        notes=("a spec states kinds of numbers; the width comes with the tensors of a call",),
        helps=(f"write `{instead}`",),
    )


def _where(f: Found) -> AttnError | None:
    if f.word != "where" or f.first in _HEADS:
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


_DEEPER = "indent it deeper than the line above, which it then continues"
_JOIN = "join them, `where p and q`; or write `(x where p) where q` if they are conditions of their own"


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


def _conditional(f: Found) -> AttnError | None:
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


def _reserved(f: Found) -> AttnError | None:
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


def _equality(f: Found) -> AttnError | None:
    text, at = f.text, f.at.start
    if (f.word == "=" and text[at - 1 : at] == "=") or (text[at : at + 2] == "==" and "EQUAL" in f.accepts):
        start = at - (text[at - 1 : at] == "=")
        span = Span(f.at.source, start, start + 2)
        helps = (f"write `{_clip(f.before.rstrip('= '))} = ..`",)
        return error("A023", "`==` compares; a definition has one `=`", span, "expected `=`", helps=helps)
    if f.word == "=" and "COMPARE" in f.accepts:
        helps = (f"write `{_clip(_operand(f))} == {_clip(_right(f))}`",)
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


def _augmented(f: Found) -> AttnError | None:
    both = f.text[f.at.start : f.at.start + len(f.word) + 1]
    if "EQUAL" not in f.accepts or f.open or both not in ("+=", "-=", "*=", "/="):
        return None
    span = Span(f.at.source, f.at.start, f.at.start + 2)
    helps = ("write a reduction, `T[m] = sum[n](..)`, or a recurrence, `T[i+1] = T[i] + ..`",)
    notes = ("statements are equations, in no order: nothing is updated",)
    return error(
        "A024", f"`{both}` updates a tensor; attnc only defines them", span, "expected `=`", notes=notes, helps=helps
    )


def _left_side(f: Found) -> AttnError | None:
    """A definition whose left side is more than names with subscripts."""
    if not f.line.indent or f.first in (*_CLAUSES, *_HEADS, "return") or "=" in f.words:
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
        helps = (f"write `{_clip(rest)}`",) if plain else ("give the name alone: `T[b,m] = ..`",)
        return error("A025", "a left side is a name with subscripts", f.at, "expected `=`", helps=helps)
    span = Span(f.at.source, f.line.start, f.line.rows[0].end)
    notes = ("a statement is a definition, `index`, `require`, `carry` or `check`",)
    close = get_close_matches(f.first, _CLAUSES, n=1)
    helps = (f"did you mean `{close[0]}`?",) if close else (f"name it: `T[..] = {_clip(f.code)}`",)
    return error("A016", "this line defines nothing", span, "a value without a name", notes=notes, helps=helps)


def _twice(f: Found) -> AttnError | None:
    """A section that stands there already."""
    again = (f.word == ";" and ";" in f.words) or (f.word in ("with", "equals", "gives") and f.first == "check")
    if again and f.word in f.words[2:]:
        help_ = {";": "separate what follows by `,`", "with": "separate the bindings by `,`"}.get(
            f.word, "write a second `check` with a name of its own"
        )
        return error("A019", f"a second `{f.word}`", f.at, "one stands there already", helps=(help_,))
    if f.first == "check" and {f.word, *f.words} >= {"equals", "gives"} and f.word in ("equals", "gives"):
        helps = ("write a second `check` with a name of its own",)
        return error("A019", "a check has one goal", f.at, "`equals` and `gives` exclude each other", helps=helps)
    if f.kind == "DOC":
        notes = ("a docstring is the first line of a file or of a block",)
        return error("A019", "a docstring cannot stand here", f.at, "", notes=notes, helps=("make it a `#` comment",))
    return None


def _option(f: Found) -> AttnError | None:
    if f.first not in _HEADS or f.open != "(" or ";" not in f.words or f.word != "[":
        return None
    return error(
        "A026",
        f"the option `{f.words[-1]}` cannot have indices",
        f.at,
        "an option is one constant",
        notes=("behind `;` stand options, constants at compile time; tensors are inputs and stand before it",),
        helps=(f"move `{f.words[-1]}[..]` before the `;`",),
    )


def _goal(f: Found) -> AttnError | None:
    if f.first != "check" or not f.accepts & {"EQUALS", "GIVES"}:
        return None
    return error(
        "A020",
        "this check states no result",
        f.at if f.word else f.behind,
        "expected `equals` or `gives`",
        helps=("write `.. equals causal_softmax(Q, K, V)` or `.. gives O = [[1]] within 1e-12`",),
    )


def _return(f: Found) -> AttnError | None:
    if f.word == "return" and f.accepts != {"_DEDENT"}:
        helps = ("name the output in the header, `-> O`, and define it: `O[b,h,m,f] = ..`",)
        return error("A022", "an attention has no `return`", f.at, "only a `def` block ends so", helps=helps)
    if f.kind == "_DEDENT" and "RETURN" in f.accepts:
        helps = ("end the block with `return` and the value",)
        return error("A022", "this block returns nothing", f.behind, "expected `return` below", helps=helps)
    if f.accepts == {"_DEDENT"}:
        notes = ("`return` is the last line of a `def` block",)
        helps = ("move it above the `return`",)
        return error("A022", "a statement behind `return`", f.at, "never reached", notes=notes, helps=helps)
    return None


def _factor(f: Found) -> AttnError | None:
    """Two operands side by side."""
    if f.kind not in ("NAME", "NUMBER") or "TIMES" not in f.accepts:
        return None
    said = _deeper(f)
    helps = said or (f"write `{_clip(f.words[-1])} * {f.word}` for a product",)
    return error("A015", f"unexpected `{f.word}`", f.at, "expected an operator before it", helps=helps)


def _deeper(f: Found) -> tuple[str, ...]:
    """The remark for a row that continues the one above without meaning to."""
    if any(row.start == f.at.start for row in f.line.rows[1:]):
        return ("this row is deeper and so continues the line above; start it in the same column",)
    return ()


def _plain(f: Found) -> AttnError:
    expected = _expected(f.accepts)
    if f.ends:
        return error("A015", f"the line ends where {expected} should stand", f.behind, f"expected {expected}")
    helps = _deeper(f)
    return error("A015", f"unexpected `{f.word}`", f.at, f"expected {expected}", helps=helps)


def _expected(accepts: frozenset[str]) -> str:
    known: list[str] = []
    rest = set(accepts)
    if rest >= {"NUMBER", "LPAR"}:
        known.append("an expression")
        rest -= _OPERAND | {"PLUS", "NOT"}
    elif "TIMES" in rest:
        known.append("an operator")
        rest -= {"PLUS", "TIMES", "POWER", "COMPARE", "AND", "OR", "IF", "WHERE", "LPAR", "LSQB"}
    known += sorted(_WRITTEN[kind] for kind in rest if kind in _WRITTEN)
    if not known:
        return "something else"
    return known[0] if len(known) == 1 else f"{', '.join(known[:-1])} or {known[-1]}"


def _clip(text: str) -> str:
    """A text on one row, short enough to quote."""
    words = " ".join(text.split())
    return words if len(words) <= 80 else f"{words[:37]} .. {words[-37:]}"


_RULES: tuple[Callable[[Found], AttnError | None], ...] = (
    _outside,
    _twice,
    _equality,
    _conditional,
    _where,
    _augmented,
    _left_side,
    _goal,
    _arrow,
    _colon,
    _type,
    _option,
    _return,
    _reserved,
    _factor,
)

"""What is said about a line whose frame is wrong: headers, clauses and sections.

Each rule looks at what was found and answers with the mistake, or with nothing where it is not the one.
"""

from __future__ import annotations

from difflib import get_close_matches

from attnc.diagnostics import AttnError, error
from attnc.grammar.found import HEADS, Found, clip

_TYPES = {"float": "real", "double": "real", "number": "real", "integer": "int", "long": "int", "boolean": "bool"}


def outside(f: Found) -> AttnError | None:
    """A line at the margin that begins no definition."""
    if "USE" not in f.accepts or f.line.indent or f.words:
        return None
    close = get_close_matches(f.word, (*HEADS, "use"), n=1)
    helps = [f"did you mean `{close[0]}`?"] if close else ["indent it, so that it belongs to the definition above"]
    return error(
        "A021",
        f"`{f.word}` begins no definition",
        f.at,
        "expected `attention`, `def`, `mask`, `score` or `use`",
        notes=("statements stand inside an attention, indented below its header",),
        helps=helps,
    )


def no_arrow(f: Found) -> AttnError | None:
    """An attention without `->`."""
    if f.first != "attention" or "ARROW" not in f.accepts or f.open:
        return None
    return error(
        "A012",
        "this attention names no outputs",
        f.behind,
        "expected `->` and the outputs' names",
        notes=("the header ends with the tensors that the attention returns",),
        helps=(f"write `{clip(f.before)} -> O:`",),
    )


def no_colon(f: Found) -> AttnError | None:
    """A header, check or `use` without its `:`."""
    if "COLON" not in f.accepts or f.open or f.first not in (*HEADS, "check", "use"):
        return None
    own = {"check": "the name of a check", "use": "a module, before the names taken from it,"}
    what = own.get(f.first, "a header")
    row = clip(f.before)
    helps = [f"write `{row}:`"] if f.first in ("attention", "check") else [f"write `{row}: ..`"]
    if f.first in ("def", "mask", "score"):
        helps = [f"write `{row}:` and a block below, or `{row} = ..`"]
    return error("A011", f"a `:` is missing behind {what}", f.behind, "expected `:`", helps=helps)


def no_type(f: Found) -> AttnError | None:
    """Something else where a type is expected."""
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


def indexed_option(f: Found) -> AttnError | None:
    """An option with indices."""
    if f.first not in HEADS or f.open != "(" or ";" not in f.words or f.word != "[":
        return None
    return error(
        "A026",
        f"the option `{f.words[-1]}` cannot have indices",
        f.at,
        "an option is one constant",
        notes=("behind `;` stand options, constants at compile time; tensors are inputs and stand before it",),
        helps=(f"move `{f.words[-1]}[..]` before the `;`",),
    )


def misplaced_return(f: Found) -> AttnError | None:
    """A `return` where none can be, or none where one must be."""
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


def no_goal(f: Found) -> AttnError | None:
    """A check without `equals` or `gives`."""
    if f.first != "check" or not f.accepts & {"EQUALS", "GIVES"}:
        return None
    return error(
        "A020",
        "this check states no result",
        f.at if f.word else f.behind,
        "expected `equals` or `gives`",
        helps=("write `.. equals causal_softmax(Q, K, V)` or `.. gives O = [[1]] within 1e-12`",),
    )


def twice(f: Found) -> AttnError | None:
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

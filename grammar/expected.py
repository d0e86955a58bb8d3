"""What is said about a line that the grammar refuses: the likeliest mistake that explains it."""

from __future__ import annotations

from collections.abc import Callable

from attnc.diagnostics import AttnError, error
from attnc.grammar import frames, values
from attnc.grammar.found import Found, deeper

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


def _plain(f: Found) -> AttnError:
    expected = _expected(f.accepts)
    if f.ends:
        helps: tuple[str, ...] = ("complete the line, or continue it on a row that is indented deeper",)
        return error(
            "A015", f"the line ends where {expected} should stand", f.behind, f"expected {expected}", helps=helps
        )
    helps = deeper(f)
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


_RULES: tuple[Callable[[Found], AttnError | None], ...] = (
    frames.outside,
    frames.twice,
    values.equals_sign,
    values.half_conditional,
    values.stray_where,
    values.update,
    values.left_side,
    frames.no_goal,
    frames.no_arrow,
    frames.no_colon,
    frames.no_type,
    frames.indexed_option,
    frames.misplaced_return,
    values.reserved_name,
    values.juxtaposed,
)

"""The words of the language, from its grammar and its tables of operators, with what examples of them give."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from attnc.cli import language_words as words
from attnc.diagnostics import AttnError
from attnc.ir.operators import FUNCTIONS, ORDERINGS, REDUCTIONS, SUGARED_REDUCTIONS
from attnc.passes.names.modules import BUILT_IN

if TYPE_CHECKING:
    from attnc.ir.cascade import Cascade

INPUTS = {"x": (3.0, 1.0, 2.0), "p": (True, False, True), "i": (2, 0, 1), "seed": 7}
FRAME = """attention example(x[n], p[n]: bool, i[n]: int, seed[]: int) -> T:
    index t < 2
    T{left} = {expression}
"""
DEFINING = ("USE", "ATTENTION", "FUN", "RETURN")
CLAUSES = ("WITH", "EQUALS", "GIVES", "WITHIN")


@dataclass(frozen=True)
class Entry:
    """A word, its meaning, an example; a level or a type, and what the example gives."""

    word: str
    meaning: str
    example: str
    note: str = ""
    value: str = ""


# ---- the words of the grammar -------------------------------------------------------------------


@cache
def grammar() -> str:
    """The grammar as it is written."""
    return files("attnc.grammar").joinpath("attn.lark").read_text(encoding="utf-8")


def spelled(terminal: str) -> tuple[str, ...]:
    """The words or signs that a terminal of the grammar stands for."""
    found = re.search(rf"^{terminal}(?:\.\d)?: (.*)$", grammar(), re.MULTILINE)
    assert found is not None, terminal
    if found[1].startswith('"'):
        return tuple(re.findall(r'"([^"]+)"', found[1]))
    pattern = re.sub(r"\(\?!.*?\)", "", found[1][1:-1].partition(r"\b")[0]).replace("\\", "")
    return tuple(pattern.strip("()").split("|"))


def terminals(rule: str) -> tuple[str, ...]:
    """The terminals that a rule of the grammar names, in order."""
    found = re.search(rf"^{rule}: (.*)$", grammar(), re.MULTILINE)
    assert found is not None, rule
    return tuple(dict.fromkeys(re.findall(r"\b[A-Z]+\b", found[1])))


def precedence() -> Iterator[tuple[str, ...]]:
    """The operators from the loosest to the closest, a level each, as the rules of expressions nest."""
    expressions = grammar().partition("_value: ")[2].partition("_atom: ")[0]
    for rule, body in re.findall(r"^([a-z]+): (.*)$", expressions, re.MULTILINE):
        brackets = re.findall(r'"(.)"', body)
        signs = [sign for name in terminals(rule) for sign in spelled(name)]
        if brackets:
            yield (" ".join(brackets),)
        elif rule == "unary":
            yield tuple(f"{sign}x" for sign in signs)
        else:
            yield (" ".join(signs),) if rule == "choose" else tuple(signs)


# ---- entries ------------------------------------------------------------------------------------


def definitions() -> Iterator[Entry]:
    """What a file is made of."""
    return _stated((word for name in DEFINING for word in spelled(name)), words.DEFINITIONS)


def types() -> Iterator[Entry]:
    """The types of inputs and options."""
    return _stated(spelled("TYPE"), words.TYPES)


def statements() -> Iterator[Entry]:
    """Statements, by the word that begins them."""
    found = re.search(r"^_statement: (.*)$", grammar(), re.MULTILINE)
    assert found is not None
    for rule in found[1].split(" | "):
        head = "T[..] =" if rule == "define" else spelled(terminals(rule)[0])[0]
        yield Entry(head, *words.STATEMENTS[rule])


def clauses() -> Iterator[Entry]:
    """What a check is made of."""
    return _stated((word for name in CLAUSES for word in spelled(name)), words.CLAUSES)


def operators() -> Iterator[Entry]:
    """Operators with their level: what binds closer has a larger one."""
    return (_valued(sign, words.OPERATORS, str(at)) for at, signs in enumerate(precedence(), 1) for sign in signs)


def reductions() -> Iterator[Entry]:
    """What folds over indices."""
    return (_valued(name, words.REDUCTIONS) for name in (*REDUCTIONS, *SUGARED_REDUCTIONS))


def orderings() -> Iterator[Entry]:
    """What orders along indices."""
    return (_valued(name, words.ORDERINGS) for name in ORDERINGS)


def functions() -> Iterator[Entry]:
    """Elementwise functions with the type that they give, then what looks like one."""
    signs = {sign for level in precedence() for sign in level}
    for name in (name for name in FUNCTIONS if name not in signs):
        result = FUNCTIONS[name].result
        yield _valued(name, words.FUNCTIONS, "as given" if result == "join" else result)
    rest = BUILT_IN - {*FUNCTIONS, *REDUCTIONS, *SUGARED_REDUCTIONS, *ORDERINGS}
    yield from (_valued(name, words.SPECIAL) for name in sorted(rest))


def constants() -> Iterator[Entry]:
    """Constants."""
    return (_valued(name, words.CONSTANTS) for name in spelled("CONSTANT"))


def _stated(names: Iterable[str], lines: words.Lines) -> Iterator[Entry]:
    return (Entry(name, *lines[name]) for name in names)


def _valued(name: str, lines: words.Lines, note: str = "") -> Entry:
    meaning, example = lines[name]
    return Entry(name, meaning, example, note, value(example))


TABLES: dict[str, Callable[[], Iterator[Entry]]] = {
    "definitions": definitions,
    "types": types,
    "statements": statements,
    "clauses": clauses,
    "operators": operators,
    "reductions": reductions,
    "orderings": orderings,
    "functions": functions,
    "constants": constants,
}


# ---- what examples give -------------------------------------------------------------------------


@cache
def value(expression: str) -> str:
    """What an expression gives by the definition, along the first of no index, `n` and `t` that it has."""
    import torch

    from attnc.ir.interpret import run

    given = {name: torch.tensor(item) for name, item in INPUTS.items()}
    for left in ("[]", "[n]", "[t]"):
        try:
            cascade = _stated_program(FRAME.format(left=left, expression=expression))
        except AttnError as mistake:
            refused = mistake
            continue
        return ", ".join(_written(item) for item in run(cascade, given).outputs["T"].reshape(-1).tolist())
    raise refused


def _stated_program(text: str) -> Cascade:
    from attnc.compiler import stated
    from attnc.library import Library, Spec
    from attnc.source import Source

    return stated(Spec(Source("example", text), None, None), {}, Library(None))


def _written(number: float) -> str:
    return str(number).lower() if isinstance(number, bool) else f"{number:.4g}"

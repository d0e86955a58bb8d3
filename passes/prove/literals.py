"""Comparisons as inequalities: a boolean expression as alternatives of rows that are at least 0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import TypeAlias

from attnc.ir.cascade import Choose, Const, Coord, Expr, Map, Size
from attnc.ir.walk import walk
from attnc.passes.prove.atoms import Atoms, Named
from attnc.passes.prove.polynomials import UNIT, Polynomial, atoms_of, constant, minus

Rows: TypeAlias = tuple[Polynomial, ...]
Alternatives: TypeAlias = tuple[Rows, ...]  # one of these holds; none: nothing can; one without rows: nothing is known

MOST = 16
UNKNOWN: Alternatives = ((),)
OPPOSITE = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne", "ne": "eq"}


def alternatives(atoms: Atoms, test: Expr, holds: bool = True, *, observed: bool = False) -> Alternatives:
    """What a test says, or its negation, in inequalities.

    An `observed` test is a condition of a spec: where it holds its operands exist, so their divisors are not 0;
    where it fails one of them may be absent.
    """
    match test:
        case Const(bool() as value):
            return UNKNOWN if value == holds else ()
        case Map("not", (x,)):
            return alternatives(atoms, x, not holds, observed=observed)
        case Map("and" | "or" as op, args):
            found = [alternatives(atoms, arg, holds, observed=observed) for arg in args]
            return both(found) if (op == "and") == holds else _either(found)
        case Map("eq" | "ne" | "lt" | "le" | "gt" | "ge" as op, (a, b)) if atoms.whole(a, b):
            if observed and not holds and not _present(test):
                return UNKNOWN
            rows = _compared(op if holds else OPPOSITE[op], atoms.of(a), atoms.of(b))
            return both((rows, (tuple(_divisors(atoms, test)),))) if observed and holds else rows
        case _:
            return UNKNOWN


def both(sets: Iterable[Alternatives]) -> Alternatives:
    """All of several statements; those that would make too many alternatives are forgotten."""
    found: Alternatives = UNKNOWN
    for item in sorted(sets, key=len):
        if len(found) * len(item) <= MOST:
            found = tuple((*a, *b) for a, b in product(found, item))
    return found


def _either(sets: Iterable[Alternatives]) -> Alternatives:
    found = tuple(rows for item in sets for rows in item)
    return found if len(found) <= MOST and () not in found else UNKNOWN


def _compared(op: str, a: Polynomial, b: Polynomial) -> Alternatives:
    up, down = minus(b, a), minus(a, b)
    match op:
        case "lt" | "gt":
            return ((minus(up if op == "lt" else down, constant(1)),),)
        case "le" | "ge":
            return ((up if op == "le" else down,),)
        case "eq":
            return ((up, down),)
        case _:
            return ((minus(up, constant(1)),), (minus(down, constant(1)),))


def _present(test: Expr) -> bool:
    """Whether the operands exist everywhere: positions, sizes, numbers, and no division by what can be 0."""
    for node in walk(test):
        match node:
            case Const() | Size() | Coord() | Choose():
                continue
            case Map("floordiv" | "mod" | "div", (_, divisor)) if not isinstance(divisor, Const) or not divisor.value:
                return False
            case Map():
                continue
            case _:
                return False
    return True


def _divisors(atoms: Atoms, test: Expr) -> Iterator[Polynomial]:
    """d - 1 for every divisor d that is a sum of sizes: it is not 0 where it has divided."""
    for node in walk(test):
        match node:
            case Map("floordiv" | "mod" | "div", (_, divisor)) if atoms.whole(divisor):
                d = atoms.of(divisor)
                names = [atoms[atom] for atom in atoms_of(d)]
                sizes = all(isinstance(name, Named) and isinstance(name.expr, Size) for name in names)
                if sizes and all(value > 0 for value in d.values()) and d.keys() - {UNIT}:
                    yield minus(d, constant(1))

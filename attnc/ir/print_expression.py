"""Cascade expressions as text in the language's own syntax, with no more parentheses than needed.

Conversions of type are implicit in the language and not shown. `shift` and the names of derived scalars
have no spelling in the language; they print as a function and as names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never

from attnc.ir.cascade import (
    Choose,
    Const,
    Coord,
    Default,
    Exists,
    Expr,
    Grad,
    Map,
    Order,
    Read,
    Reduce,
    Size,
    Softmax,
    Uniform,
    Var,
    Where,
)
from attnc.ir.operators import COMPARISONS, OPERATORS

Sizes = Callable[[str], str]

WHERE, IF, OR, AND, NOT, COMPARE, SUM, PRODUCT, UNARY, POWER, ATOM = range(11)

# operator: its own level, and the levels its left and right operands need
_INFIX = {
    "add": (SUM, SUM, PRODUCT),
    "sub": (SUM, SUM, PRODUCT),
    "mul": (PRODUCT, PRODUCT, UNARY),
    "div": (PRODUCT, PRODUCT, UNARY),
    "floordiv": (PRODUCT, PRODUCT, UNARY),
    "mod": (PRODUCT, PRODUCT, UNARY),
    "pow": (POWER, ATOM, UNARY),
    **dict.fromkeys(COMPARISONS, (COMPARE, SUM, SUM)),
}


def capital(index: str) -> str:
    """The extent of an index as a spec writes it."""
    return index.upper()


def show(expr: Expr, sizes: Sizes = capital, level: int = WHERE) -> str:
    """The text of an expression that stands where operators of at least this level may stand bare."""
    text, own = _show(expr, sizes)
    return text if own >= level else f"({text})"


def show_where(expr: Expr, when: Iterable[Expr], sizes: Sizes = capital) -> str:
    """`x where p`, each condition a clause of its own, the first one innermost."""
    text, bare = show(expr, sizes), not isinstance(expr, Where)
    for test in when:
        text = f"{text if bare else f'({text})'} where {show(test, sizes, IF)}"
        bare = False
    return text


def _show(expr: Expr, sizes: Sizes) -> tuple[str, int]:
    match expr:
        case Const():
            return _constant(expr.value)
        case Size(index):
            return sizes(index), ATOM
        case Coord(name) | Var(name):
            return name, ATOM
        case Read(tensor, subs):
            return (f"{tensor}[{_list(subs, sizes)}]" if subs else tensor), ATOM
        case Map(op, args):
            return _map(op, args, sizes)
        case Choose(test, then, other):
            return f"{show(then, sizes, OR)} if {show(test, sizes, OR)} else {show(other, sizes, IF)}", IF
        case Where(x, test):
            return show_where(x, (test,), sizes), WHERE
        case Default(x, other):
            return f"default({show(x, sizes)}, {show(other, sizes)})", ATOM
        case Exists(x):
            return f"exists({show(x, sizes)})", ATOM
        case Reduce(op, over, body, when):
            return f"{op}[{','.join(over)}]({show_where(body, when, sizes)})", ATOM
        case Softmax(over, body):
            return f"softmax[{','.join(over)}]({show(body, sizes)})", ATOM
        case Order():
            return f"{expr.op}[{_order_head(expr, sizes)}]({show_where(expr.body, expr.when, sizes)})", ATOM
        case Uniform(coords, seed):
            return f"uniform[{_list(coords, sizes)}]({show(seed, sizes)})", ATOM
        case Grad(y, x):
            return f"grad({show(y, sizes)}, {show(x, sizes)})", ATOM
        case _:
            assert_never(expr)


def _list(items: Iterable[Expr], sizes: Sizes) -> str:
    return ",".join(show(item, sizes, IF) for item in items)


def _order_head(expr: Order, sizes: Sizes) -> str:
    head = ",".join(expr.over)
    if expr.slots and expr.op != "topk":
        return f"{head} -> {','.join(expr.slots)}"
    return head if expr.k is None else f"{head}; {show(expr.k, sizes, IF)}"


def _constant(value: bool | int | float) -> tuple[str, int]:
    if isinstance(value, bool):
        return ("true" if value else "false"), ATOM
    if value != value:
        return "inf - inf", SUM
    text = repr(value)
    return text, UNARY if text.startswith("-") else ATOM


def _map(op: str, args: tuple[Expr, ...], sizes: Sizes) -> tuple[str, int]:
    match op:
        case "real" | "int":
            return _show(args[0], sizes)
        case "neg":
            return f"-{show(args[0], sizes, UNARY)}", UNARY
        case "not":
            return f"not {show(args[0], sizes, NOT)}", NOT
        case "and" | "or":
            level = AND if op == "and" else OR
            return f" {op} ".join(show(arg, sizes, level + 1) for arg in args), level
        case _ if op in _INFIX:
            own, left, right = _INFIX[op]
            space = "" if op == "pow" else " "
            sign = OPERATORS[op].written
            return f"{show(args[0], sizes, left)}{space}{sign}{space}{show(args[1], sizes, right)}", own
        case _:
            return f"{OPERATORS[op].written or op}({', '.join(show(arg, sizes) for arg in args)})", ATOM

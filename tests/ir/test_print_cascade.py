"""What is printed parses back to the same tree: no parenthesis is missing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnc.grammar.parse import parse
from attnc.ir import syntax
from attnc.ir.cascade import Choose, Const, Coord, Default, Exists, Expr, Map, Order, Read, Reduce, Size, Where
from attnc.ir.operators import COMPARISONS, OPERATORS
from attnc.ir.print_expression import show
from attnc.source import Source

ARITHMETIC = ("add", "sub", "mul", "div", "floordiv", "mod", "pow")


def parsed(text: str) -> syntax.Expr:
    file = parse(Source("printed.attn", f"def f(x) = {text}\n"))
    (definition,) = file.definitions
    assert isinstance(definition, syntax.Function)
    return definition.value


def written(expr: Expr) -> syntax.Expr:
    """The tree that the text of an expression must have."""
    match expr:
        case Const(bool() as value):
            return syntax.Constant("true" if value else "false")
        case Const(value):
            return syntax.Constant("inf") if value == math.inf else syntax.Number(value)
        case Coord(index):
            return syntax.Name(index)
        case Size(index):
            return syntax.Name(index.upper())
        case Read(tensor, subs):
            return syntax.At(syntax.Name(tensor), tuple(map(written, subs)))
        case Choose(test, then, other):
            return syntax.Choose(written(then), written(test), written(other))
        case Where(x, test):
            return syntax.Where(written(x), written(test))
        case Default(x, other):
            return syntax.Apply(syntax.Name("default"), (written(x), written(other)))
        case Exists(x):
            return syntax.Apply(syntax.Name("exists"), (written(x),))
        case Reduce(op, over, body):
            head = syntax.At(syntax.Name(op), tuple(map(syntax.Name, over)))
            return syntax.Apply(head, (written(body),))
        case Map(op, args):
            return written_map(op, tuple(map(written, args)))
        case _:
            raise AssertionError(expr)


def written_map(op: str, args: tuple[syntax.Expr, ...]) -> syntax.Expr:
    sign = OPERATORS[op].written or op
    if op in ARITHMETIC:
        return syntax.Binary(sign, *args)
    if op in COMPARISONS:
        return syntax.Compare((sign,), args)
    if op in ("and", "or"):
        return syntax.Logic(op, args)
    if op in ("neg", "not"):
        return syntax.Unary(sign, *args)
    return syntax.Apply(syntax.Name(sign), args)


def maps(below: st.SearchStrategy[Expr], names: tuple[str, ...], arity: int) -> st.SearchStrategy[Expr]:
    args = st.lists(below, min_size=arity, max_size=arity)
    return st.builds(lambda op, args: Map(op, tuple(args)), st.sampled_from(names), args)


def larger(below: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    return st.one_of(
        maps(below, ARITHMETIC, 2),
        maps(below, COMPARISONS, 2),
        maps(below, ("neg", "not", "exp", "floor"), 1),
        maps(below, ("max", "shift"), 2),
        st.builds(Choose, below, below, below),
        st.builds(Where, below, below),
        st.builds(Default, below, below),
        st.builds(Exists, below),
        st.builds(lambda a, b: Read("T", (a, b)), below, below),
        st.builds(lambda body: Reduce("sum", ("n",), body), below),
    )


leaves: list[Expr] = [Coord("i"), Size("n"), Const(2), Const(0.5), Const(1e-6), Const(math.inf), Const(True)]
expressions: st.SearchStrategy[Expr] = st.recursive(st.sampled_from(leaves), larger, max_leaves=10)


@settings(max_examples=300, deadline=None)
@given(expressions)
def test_text_parses_to_the_tree_it_shows(expr: Expr) -> None:
    assert parsed(show(expr, level=1)) == written(expr)


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (Map("sub", (Coord("a"), Map("sub", (Coord("b"), Coord("c"))))), "a - (b - c)"),
        (Map("sub", (Map("sub", (Coord("a"), Coord("b"))), Coord("c"))), "a - b - c"),
        (Map("neg", (Map("pow", (Coord("a"), Const(2))),)), "-a**2"),
        (Map("pow", (Map("neg", (Coord("a"),)), Const(2))), "(-a)**2"),
        (Map("mul", (Map("add", (Coord("a"), Const(1))), Const(-2))), "(a + 1) * -2"),
        (Map("and", (Map("or", (Coord("p"), Coord("q"))), Map("not", (Coord("r"),)))), "(p or q) and not r"),
        (Map("sqrt", (Map("real", (Size("e"),)),)), "sqrt(E)"),
        (Reduce("max", ("n",), Coord("n"), (Map("le", (Coord("n"), Coord("m"))),)), "max[n](n where n <= m)"),
        (Order("topk", ("d",), (), Const(4), Read("G", (Coord("d"),))), "topk[d; 4](G[d])"),
        (Order("argtopk", ("n",), ("t",), None, Read("G", (Coord("n"),))), "argtopk[n -> t](G[n])"),
        (Reduce("sum", ("i", "j"), Const(1.0), (Coord("p"), Coord("q"))), "sum[i,j]((1.0 where p) where q)"),
        (Read("tau", ()), "tau"),
    ],
)
def test_text(expr: Expr, text: str) -> None:
    assert show(expr) == text


def test_an_extent_whose_capital_is_taken_is_spelled_out() -> None:
    assert show(Size("n"), lambda index: f"extent({index})") == "extent(n)"

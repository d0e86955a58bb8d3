"""The grammar against nodes written by hand, and spans against the text itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from attnc.grammar.parse import parse
from attnc.grammar.read import read
from attnc.ir import syntax as syn
from attnc.ir.node import Node
from attnc.ir.walk import walk
from attnc.source import Source

ROOT = Path(__file__).parents[2]
SPECS = [path for folder in ("examples", "stdlib") for path in sorted((ROOT / folder).glob("*.attn"))]
SPECS += [ROOT / "tests/language" / f"{name}.attn" for name in ("hip_attention", "landmark_attention", "set2set")]
Q, K, S, m, n = (syn.Name(name) for name in "QKSmn")


def file(text: str) -> syn.File:
    return parse(Source("spec.attn", text))


def body(*rows: str) -> tuple[syn.Statement, ...]:
    definition = file("attention f(Q[m]) -> O:\n" + "".join(f"    {row}\n" for row in rows)).definitions[0]
    assert isinstance(definition, syn.Attention)
    return definition.body


def value(text: str) -> syn.Expr:
    (statement,) = body(f"X = {text}")
    assert isinstance(statement, syn.Define)
    return statement.value


def number(x: float) -> syn.Number:
    return syn.Number(x)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("-m ** 2", syn.Unary("-", syn.Binary("**", m, number(2)))),
        ("m ** -n ** 2", syn.Binary("**", m, syn.Unary("-", syn.Binary("**", n, number(2))))),
        ("m - n - 1", syn.Binary("-", syn.Binary("-", m, n), number(1))),
        ("m - n * 2 // 3", syn.Binary("-", m, syn.Binary("//", syn.Binary("*", n, number(2)), number(3)))),
        ("-m * n", syn.Binary("*", syn.Unary("-", m), n)),
        ("0 <= m - n < 4", syn.Compare(("<=", "<"), (number(0), syn.Binary("-", m, n), number(4)))),
        ("not m < n", syn.Unary("not", syn.Compare(("<",), (m, n)))),
        ("m or n and S", syn.Logic("or", (m, syn.Logic("and", (n, S))))),
        ("m and n and S", syn.Logic("and", (m, n, S))),
        ("(m and n) and S", syn.Logic("and", (syn.Logic("and", (m, n)), S))),
        ("m if n else S if Q else K", syn.Choose(m, n, syn.Choose(S, Q, K))),
        (
            "Q * K where n <= m or S",
            syn.Where(syn.Binary("*", Q, K), syn.Logic("or", (syn.Compare(("<=",), (n, m)), S))),
        ),
        ("(Q where m) where n", syn.Where(syn.Where(Q, m), n)),
        ("Q[m,:]", syn.At(Q, (m, syn.All()))),
        ("Q[]", syn.At(Q, ())),
        ("Q[n = m + 1]", syn.At(Q, (syn.Reindex("n", syn.Binary("+", m, number(1))),))),
        ("sort[n -> m, S]", syn.At(syn.Name("sort"), (n,), ("m", "S"))),
        ("topk[n; 4](S)", syn.Apply(syn.At(syn.Name("topk"), (n,), (), (number(4),)), (S,))),
        ("f(Q, K where m; W = 4)", syn.Apply(syn.Name("f"), (Q, syn.Where(K, m)), (syn.Keyword("W", number(4)),))),
        ("f(Q, K = S)", syn.Apply(syn.Name("f"), (Q,), (syn.Keyword("K", S),))),
        ("[[1, 2.5], []]", syn.List((syn.List((number(1), number(2.5))), syn.List(())))),
        ("1e-6 + 1_000 + .5 + 2.", None),
        (
            "inf if true else -pi",
            syn.Choose(syn.Constant("inf"), syn.Constant("true"), syn.Unary("-", syn.Constant("pi"))),
        ),
    ],
)
def test_expressions(text: str, tree: syn.Expr | None) -> None:
    found = value(text)
    if tree is None:
        assert [node.value for node in walk(found) if isinstance(node, syn.Number)] == [1e-6, 1000, 0.5, 2.0]
    else:
        assert found == tree


def test_statements() -> None:
    index, define, carry, require, equals, gives = body(
        "index N - M <= m < N, c < 4",
        "A[m], B[m] = flash(Q, Q; W = 64)",
        "carry Q = A",
        "require passes[n] <= 1",
        "check one: with Q = 0, W = 4 equals f(Q)",
        "check two: gives O[0,:] = [1], A = 2 within 1e-12",
    )
    nm = syn.Binary("-", syn.Name("N"), syn.Name("M"))
    ranges = (
        syn.Range(syn.Compare(("<=", "<"), (nm, m, syn.Name("N")))),
        syn.Range(syn.Compare(("<",), (syn.Name("c"), number(4)))),
    )
    assert index == syn.Indices(ranges)
    call = syn.Apply(syn.Name("flash"), (Q, Q), (syn.Keyword("W", number(64)),))
    assert define == syn.Define((syn.Place("A", (m,)), syn.Place("B", (m,))), call)
    assert carry == syn.Carry("Q", syn.Name("A"))
    assert require == syn.Require(syn.Compare(("<=",), (syn.At(syn.Name("passes"), (n,)), number(1))))
    binds = (syn.Bind(Q, number(0)), syn.Bind(syn.Name("W"), number(4)))
    assert equals == syn.Check("one", binds, syn.Equals(syn.Apply(syn.Name("f"), (Q,))))
    row = syn.Bind(syn.At(syn.Name("O"), (number(0), syn.All())), syn.List((number(1),)))
    assert gives == syn.Check("two", (), syn.Gives((row, syn.Bind(syn.Name("A"), number(2))), 1e-12))


def test_definitions() -> None:
    found = file(
        '"""About."""\nuse std.masks: causal, window\nuse mine\n\n'
        "mask near[e](m, x[e]; W: int = 4) = 0 <= m < W\n"
        'def f(x):\n    "Half."\n    y = x / 2\n    return y where y > 0\n'
        'attention g(Q[b,m], t[], k[m]: int = -1, x; on: bool = true) -> O, L:\n    """Plain."""\n    O[b,m] = Q\n'
    )
    assert found.doc == "About."
    assert found.uses == (syn.Use(("std", "masks"), ("causal", "window")), syn.Use(("mine",)))
    near, half, plain = found.definitions
    below = syn.Compare(("<=", "<"), (number(0), m, syn.Name("W")))
    params = (syn.Param("m"), syn.Param("x", ("e",)))
    assert near == syn.Function("mask", "near", ("e",), params, (syn.Option("W", "int", number(4)),), (), below)
    assert isinstance(half, syn.Function)
    assert (half.doc, len(half.body), type(half.value)) == ("Half.", 1, syn.Where)
    assert isinstance(plain, syn.Attention)
    assert plain.params == (
        syn.Param("Q", ("b", "m")),
        syn.Param("t", ()),
        syn.Param("k", ("m",), "int", syn.Unary("-", number(1))),
        syn.Param("x"),
    )
    assert plain.options == (syn.Option("on", "bool", syn.Constant("true")),)
    assert (plain.outputs, plain.doc) == (("O", "L"), "Plain.")


def test_layout() -> None:
    plain = body("S[m] = Q where m < 4", "O = S")
    deeper = body("S[m] = Q   # a comment", "", "    # another", "        where m < 4", "O = S")
    inside = body("S[m] = (Q where", "m < 4)", "", "O = S  ")
    assert plain == deeper == inside
    checked = body("check two:", "    with Q = [[1,", "2]]", "    gives O = 1")
    assert checked == body("check two: with Q = [[1, 2]] gives O = 1")
    assert file("") == file("\n\n# nothing\n   # here") == syn.File((), ())
    ended = "attention f(Q[m]) -> O:\n    O[m] = Q"
    assert file(ended) == file(ended + "\n") == file(ended + "\n  # deeper\n") == file(ended.replace("\n", "\r\n"))


def test_words_are_names_elsewhere() -> None:
    written = "mask score use check with index carry require return equals gives within attention def int real bool"
    words = written.split()
    text = "".join(f"    {word}[{word}] = {word}[0] * {word}({word})\n" for word in words)
    (definition,) = file(f"attention attention({', '.join(words)}; within: int = 2) -> use:\n{text}").definitions
    assert [place.name for node in definition.body if isinstance(node, syn.Define) for place in node.places] == words


def expressions(node: Node) -> list[Node]:
    kinds = (
        syn.Name,
        syn.Number,
        syn.Constant,
        syn.Unary,
        syn.Binary,
        syn.Logic,
        syn.Compare,
        syn.Choose,
        syn.At,
        syn.Apply,
    )
    return [part for part in walk(node) if isinstance(part, (*kinds, syn.List, syn.Where))]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_span_is_exact(path: Path) -> None:
    """The text of an expression's span, read alone, is that expression; statements and definitions likewise."""
    found = parse(read(path))
    for node in expressions(found):
        assert value(f"({node.span.text})") == node
    for definition in found.definitions:
        assert file(definition.span.text).definitions == (definition,)
        for statement in definition.body:
            assert body(*statement.span.text.split("\n")) == (statement,)
        for param in definition.params:
            assert param.span.text.startswith(param.name)
        for option in definition.options:
            assert option.span.text.startswith(option.name)


def test_parentheses_belong_to_the_span() -> None:
    found = value("(m + n) * 2")
    assert isinstance(found, syn.Binary)
    assert (found.span.text, found.a.span.text) == ("(m + n) * 2", "(m + n)")
    assert (found.span.line, found.span.column) == (2, 9)

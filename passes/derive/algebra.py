"""Between cascade expressions and sympy: algebra is seen through, everything else is an atom.

Atoms that vary along the stream ("full"), that do not ("row"), and completed reductions get one real
symbol each, so that a symbol's kind says where a factor belongs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf
from typing import Any

import sympy

from attnc.ir.cascade import Choose, Const, Expr, Map, Read, Reduce, Size, Var
from attnc.ir.sizes import SCALAR
from attnc.ir.walk import walk
from attnc.passes.derive.bounds import Interval, facts, interval
from attnc.passes.derive.written import written

ALGEBRA: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "shift": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "exp": sympy.exp,
    "exp2": lambda a: sympy.exp(a * sympy.log(2)),
    "log": sympy.log,
    "log2": lambda a: sympy.log(a) / sympy.log(2),
    "sqrt": sympy.sqrt,
    "rsqrt": lambda a: 1 / sympy.sqrt(a),
    "xlogx": lambda a: a * sympy.log(a),
    "real": lambda a: a,
    "stop": lambda a: a,
}


OPAQUE = "@"  # before the name of a completed value that is no reduction itself
EXACT = {math.log(2): sympy.log(2), 1 / math.log(2): 1 / sympy.log(2)}  # constants that people write as digits
UNREAL = (sympy.zoo, sympy.nan, sympy.oo, sympy.I)  # a division by 0, the root of a negative number
MOST_PARTS = 4096  # 0.3333333333333333 is a third: the fraction with a small denominator that is this very number


@dataclass
class Algebra:
    """The symbols of one stage. `inline` opens a read where the algebra should see through it."""

    inline: Callable[[Expr], Expr]
    is_full: Callable[[Expr], bool]
    completed: Callable[[Expr], str | None]
    waits: Callable[[Expr], bool]
    opened: Callable[[Expr], Expr]  # every definition in it opened, to see its bounds
    lowest: Callable[[str], float]  # a number that a completed reduction is never below
    symbols: dict[Expr, Any] = field(default_factory=dict)
    wholes: dict[Expr, Any] = field(default_factory=dict)  # the same by what they are when opened
    atoms: dict[Any, Expr] = field(default_factory=dict)
    full: set[Any] = field(default_factory=set)
    done: dict[str, Any] = field(default_factory=dict)
    closed: bool = False  # no logarithm of the stream is opened: powers of what is in it may be beyond all bounds

    def of(self, expr: Expr) -> Any:
        """The expression in sympy's terms."""
        expr = expr if self.completed(expr) else self.inline(expr)
        name = self.completed(expr)
        if name is not None:
            return self.reduction(name)
        match expr:
            case Const(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < inf:
                return number(value)
            case Map("pow", (base, power)) if (found := self._raised(base, power)) is not None:
                return found
            case Map("log" | "log2", (inside,)) if self._keeps_logarithm(self.of(inside)):
                return self.atom(expr)
            case Map("shift") | Map("exp", (Map("shift"),)) if self.is_full(expr) and not self.waits(expr):
                return self.atom(expr)  # relative to what a score never passes: nothing is left to be in range of
            case Map("stop") if not self.waits(expr):
                return self.atom(expr)  # no derivative passes it, which seeing through it would forget
            case Map("exp", (argument,)) if self.transparent(expr):
                return sympy.exp(self._without_softplus(self.of(argument)))
            case Map(op, args) if op in ALGEBRA and self.transparent(expr):
                found = ALGEBRA[op](*(self.of(arg) for arg in args))
                return self.atom(expr) if found.has(*UNREAL) else found
            case Map(op, args) if op in SCALAR and all(isinstance(arg, Const) for arg in args):
                return self._constant(expr)
        return self.atom(expr)

    def _constant(self, expr: Map) -> Any:
        """The value of a function of constants, if it is a number."""
        try:
            value = SCALAR[expr.op](*(arg.value for arg in expr.args if isinstance(arg, Const)))
        except (ArithmeticError, ValueError):
            return self.atom(expr)
        plain = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return number(value) if plain else self.atom(expr)

    def transparent(self, expr: Map) -> bool:
        """Whether the algebra sees through a map: differences of coordinates stay one atom."""
        whole = not any(isinstance(node, Read | Var | Reduce | Choose) for node in walk(expr))
        return not (whole and self.is_full(expr)) or expr.op in ("exp", "exp2")

    def bounds(self, value: Any, tests: tuple[Expr, ...]) -> Interval:
        """An interval that holds a value of the stream where these conditions do."""
        return interval(self.opened(self.expr(sympy.signsimp(value), {})), facts(tests))

    def _raised(self, base: Expr, power: Expr) -> Any:
        """A power whose laws hold: a whole one, or of what is never negative; None for any other."""
        below, above = self.of(base), self.of(power)
        if below.is_number and below.is_positive:
            return sympy.exp(above * sympy.log(below))
        if above.is_Integer or below.is_positive or (above.is_number and not below.free_symbols & self.full):
            return below**above
        return below**above if below.is_nonnegative and not above.free_symbols & self.full else None

    def _without_softplus(self, argument: Any) -> Any:
        """exp(-softplus(x)) is 1 / (1 + exp(x))."""
        terms = []
        for term in sympy.Add.make_args(argument):
            factor, symbol = term.as_coeff_Mul()
            atom = self.atoms.get(symbol)
            below = factor < 0 and symbol in self.full and not self.closed
            if isinstance(atom, Map) and atom.op == "softplus" and below:
                term = factor * sympy.log(1 + sympy.exp(self.of(atom.args[0])))
            terms.append(term)
        return sympy.Add(*terms)

    def _keeps_logarithm(self, inside: Any) -> bool:
        """Whether a logarithm of the stream stays closed: exp(log(x)) = x holds for what is never negative, and
        would lose the exponent that x may need.
        """
        if not inside.free_symbols & self.full or inside.free_symbols & set(self.done.values()):
            return False
        if self.closed:
            return True
        factors = sympy.Mul.make_args(inside)
        return not inside.is_nonnegative and not any(isinstance(factor, sympy.exp) for factor in factors)

    def reduction(self, name: str) -> Any:
        """The symbol of a completed reduction."""
        if name not in self.done:
            sign = {"positive": True} if self.lowest(name) >= 0 else {}  # 0 where nothing was folded: guarded later
            self.done[name] = sympy.Symbol(f"R_{name}", real=True, **sign)
        return self.done[name]

    def atom(self, expr: Expr) -> Any:
        """The symbol of an expression that the algebra does not open; equal definitions have one.

        A function of completed reductions counts as completed; one that varies along the stream besides mixes
        the two for good.
        """
        if expr not in self.symbols:
            whole = self.opened(expr)
            self.symbols[expr] = self.wholes[whole] if whole in self.wholes else self._new(expr)
            self.wholes[whole] = self.symbols[expr]
        return self.symbols[expr]

    def _new(self, expr: Expr) -> Any:
        waits, full = self.waits(expr), self.is_full(expr)
        if waits and full:
            raise MixedError(expr)
        symbol = sympy.Symbol(f"a{len(self.atoms)}", real=True, **self._sign(expr))
        self.atoms[symbol] = expr
        if full:
            self.full.add(symbol)
        if waits:
            self.done[f"{OPAQUE}{len(self.atoms)}"] = symbol
        return symbol

    def _sign(self, expr: Expr) -> dict[str, bool]:
        """What is known of an atom's sign: a size counts as positive, for where it is 0 there are no points."""
        low = 1.0 if isinstance(expr, Size) else interval(self.opened(expr))[0]
        return {"positive": True} if low > 0 else {"nonnegative": True} if low == 0 else {}

    def expr(self, value: Any, named: Mapping[Any, Expr]) -> Expr:
        """The cascade expression of a sympy one; `named` gives the symbols that are not atoms."""
        return written(value, {**self.atoms, **named})


def number(value: int | float) -> Any:
    """A constant, exactly: the fraction or the logarithm whose digits it is."""
    if isinstance(value, int):
        return sympy.Integer(value)
    if value < 0:
        return -number(-value)
    if value in EXACT:
        return EXACT[value]
    simple = Fraction(value).limit_denominator(MOST_PARTS)
    return sympy.Rational(simple if float(simple) == value else Fraction(repr(value)))


class MixedError(Exception):
    """A function that is not algebra takes the stream and a completed reduction together."""

    def __init__(self, expr: Expr) -> None:
        """Keeps the expression for the message."""
        super().__init__(expr)
        self.expr = expr

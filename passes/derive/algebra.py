"""Between cascade expressions and sympy: algebra is seen through, everything else is an atom.

Atoms that vary along the stream ("full"), that do not ("row"), and completed reductions get one real
symbol each, so that a symbol's kind says where a factor belongs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import sympy

from attnc.ir.cascade import Choose, Const, Expr, Map, Read, Reduce, Size, Var
from attnc.ir.walk import walk

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


@dataclass
class Algebra:
    """The symbols of one stage. `inline` opens a read where the algebra should see through it."""

    inline: Callable[[Expr], Expr]
    is_full: Callable[[Expr], bool]
    completed: Callable[[Expr], str | None]
    waits: Callable[[Expr], bool]
    symbols: dict[Expr, Any] = field(default_factory=dict)
    atoms: dict[Any, Expr] = field(default_factory=dict)
    full: set[Any] = field(default_factory=set)
    done: dict[str, Any] = field(default_factory=dict)

    def of(self, expr: Expr) -> Any:
        """The expression in sympy's terms."""
        name = self.completed(expr)
        if name is not None:
            return self.reduction(name)
        expr = self.inline(expr)
        match expr:
            case Const(value) if isinstance(value, int) and not isinstance(value, bool):
                return sympy.Integer(value)
            case Const(value) if isinstance(value, float) and value == value and abs(value) != float("inf"):
                return sympy.Rational(Fraction(repr(value)))
            case Map("pow", (base, Const(power))) if isinstance(power, int):
                return self.of(base) ** power
            case Map("log" | "log2", (inside,)) if self._keeps_logarithm(self.of(inside)):
                return self.atom(expr)
            case Map(op, args) if op in ALGEBRA and self.transparent(expr):
                return ALGEBRA[op](*(self.of(arg) for arg in args))
        return self.atom(expr)

    def transparent(self, expr: Map) -> bool:
        """Whether the algebra sees through a map: differences of coordinates stay one atom."""
        whole = not any(isinstance(node, Read | Var | Reduce | Choose) for node in walk(expr))
        return not (whole and self.is_full(expr)) or expr.op in ("exp", "exp2")

    def _keeps_logarithm(self, inside: Any) -> bool:
        """Whether a logarithm of the stream stays closed: exp(log(x)) = x would lose the exponent that x may need."""
        if not inside.free_symbols & self.full or inside.free_symbols & set(self.done.values()):
            return False
        return not any(isinstance(factor, sympy.exp) for factor in sympy.Mul.make_args(inside))

    def reduction(self, name: str) -> Any:
        """The symbol of a completed reduction."""
        return self.done.setdefault(name, sympy.Symbol(f"R_{name}", real=True))

    def atom(self, expr: Expr) -> Any:
        """The symbol of an expression that the algebra does not open.

        A function of completed reductions counts as completed; one that varies along the stream besides mixes
        the two for good.
        """
        if expr not in self.symbols:
            waits = self.waits(expr)
            if waits and self.is_full(expr):
                raise MixedError(expr)
            positive = isinstance(expr, Size)
            symbol = sympy.Symbol(f"a{len(self.symbols)}", real=True, **({"positive": True} if positive else {}))
            self.symbols[expr] = symbol
            self.atoms[symbol] = expr
            if self.is_full(expr):
                self.full.add(symbol)
            if waits:
                self.done[f"{OPAQUE}{len(self.symbols)}"] = symbol
        return self.symbols[expr]

    def expr(self, value: Any, named: dict[Any, Expr]) -> Expr:
        """The cascade expression of a sympy one; `named` gives the symbols that are not atoms."""
        match value:
            case sympy.Integer():
                return Const(int(value))
            case sympy.Rational() | sympy.Float():
                return Const(float(value))
            case sympy.Symbol():
                return named[value] if value in named else self.atoms[value]
            case sympy.Add():
                return self._sum(value, named)
            case sympy.Mul():
                return self._product(value, named)
            case sympy.Pow():
                return self._power(value, named)
            case sympy.exp():
                return Map("exp", (self.expr(value.args[0], named),))
            case sympy.log():
                return Map("log", (self.expr(value.args[0], named),))
        if value.is_number:
            return Const(float(value))
        raise UnknownFormError(str(value))

    def _sum(self, value: Any, named: dict[Any, Expr]) -> Expr:
        terms = sorted(value.args, key=lambda term: (term.could_extract_minus_sign(), sympy.default_sort_key(term)))
        result = self.expr(terms[0], named)
        for term in terms[1:]:
            negative = term.could_extract_minus_sign()
            result = Map("sub" if negative else "add", (result, self.expr(-term if negative else term, named)))
        return result

    def _product(self, value: Any, named: dict[Any, Expr]) -> Expr:
        if value.args[0] == -1:
            return Map("neg", (self.expr(-value, named),))
        below = [factor for factor in value.args if _is_divisor(factor)]
        if below:
            above = sympy.Mul(*(factor for factor in value.args if not _is_divisor(factor)))
            over = sympy.Mul(*(1 / factor for factor in below))
            return Map("div", (self.expr(above, named), self.expr(over, named)))
        factors = [self.expr(factor, named) for factor in value.args]
        result = factors[0]
        for factor in factors[1:]:
            result = Map("mul", (result, factor))
        return result

    def _power(self, value: Any, named: dict[Any, Expr]) -> Expr:
        base, power = value.args
        if power == sympy.Rational(1, 2):
            return Map("sqrt", (self.expr(base, named),))
        if power.is_negative:
            return Map("div", (Const(1.0), self.expr(base**-power, named)))
        if power == 2:
            inner = self.expr(base, named)
            return Map("mul", (inner, inner))
        return Map("pow", (self.expr(base, named), self.expr(power, named)))


def _is_divisor(factor: Any) -> bool:
    """Whether a factor stands under the bar: a negative power, or one over an integer."""
    if isinstance(factor, sympy.Pow):
        return bool(factor.args[1].is_negative)
    return isinstance(factor, sympy.Rational) and factor.p == 1 and factor.q > 1


class UnknownFormError(Exception):
    """A sympy form that has no cascade expression; the derivation treats it as opaque."""


class MixedError(Exception):
    """A function that is not algebra takes the stream and a completed reduction together."""

    def __init__(self, expr: Expr) -> None:
        """Keeps the expression for the message."""
        super().__init__(expr)
        self.expr = expr

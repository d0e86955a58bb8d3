"""Options: constants of an attention, given by name or by default."""

from __future__ import annotations

from collections.abc import Mapping

from attnc.diagnostics import error
from attnc.ir import syntax
from attnc.ir.cascade import Const, Expr, Read, Size
from attnc.ir.sizes import evaluate
from attnc.ir.walk import walk
from attnc.passes.names.expressions import Resolver
from attnc.passes.names.macros import FITTING
from attnc.passes.names.mistakes import unknown
from attnc.passes.names.scope import Scope
from attnc.passes.names.sizes import check_size
from attnc.source import Span

Value = bool | int | float


def option_values(resolver: Resolver, attention: syntax.Attention, given: Mapping[str, object]) -> dict[str, Value]:
    """Enter the options as constants; the values of those that are numbers or booleans. Mistakes are kept."""
    scope, values = resolver.scope, dict[str, Value]()
    known = sorted(item.name for item in attention.options)
    for name in given:
        with scope.mistakes.kept():
            if name not in known:
                raise unknown(name, scope.call or attention.span, known, f"option of `{attention.name}`:")
    for item in attention.options:
        scope.broken.add(item.name)
        with scope.mistakes.kept():
            value = _option(resolver, item, given)
            scope.broken.discard(item.name)
            scope.constants[item.name] = value if isinstance(value, Expr) else Const(value, span=item.span)
            if not isinstance(value, Expr):
                values[item.name] = value
    return values


def _option(resolver: Resolver, item: syntax.Option, given: Mapping[str, object]) -> Value | Expr:
    """An option's value: as given, or its default, which may mention the options before it."""
    if item.name in given:
        return _fitting(resolver.scope, item, given[item.name])
    if item.default is None:
        raise error(
            "A113",
            f"option `{item.name}` has no default and was not given",
            item.span,
            "declared here",
            clashes=_called(resolver.scope),
            helps=(f"pass `{item.name} = ..`",),
        )
    default = resolver.of(item.default)
    for node in walk(default):
        if isinstance(node, Size | Read):
            raise error("A138", "an option is the same for all calls", item.default.span, "depends on what is given")
    check_size(resolver.scope, default, item.default.span, "an option")
    return _fitting(resolver.scope, item, evaluate(default, {}))


def _fitting(scope: Scope, item: syntax.Option, value: object) -> Value | Expr:
    """The value in the option's type; an option without one takes what it is given."""
    found: str = type(value).__name__
    if isinstance(value, Expr):
        found = scope.kind(value)
        if found in FITTING[item.type or found]:
            return value
    elif isinstance(value, bool | int | float):
        found = _name(value)
        if found in FITTING[item.type or found]:
            return float(value) if item.type == "real" else value
    said = f"a {found}" if isinstance(value, Expr) else repr(value)
    raise error(
        "A114",
        f"option `{item.name}` is {item.type or 'a number or boolean'}, but {said} was given",
        item.span,
        "declared here",
        clashes=_called(scope),
    )


def _called(scope: Scope) -> tuple[tuple[Span, str], ...]:
    return ((scope.call, "called here"),) if scope.call is not None else ()


def _name(value: Value) -> str:
    return "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "real"

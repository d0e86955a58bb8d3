"""What speaks of a whole attention: requirements, bounds on passes, defaults, carried inputs."""

from __future__ import annotations

from dataclasses import replace

from attnc.diagnostics import AttnError, error
from attnc.ir import syntax
from attnc.ir.cascade import Carry, Const, Expr, PassLimit, Read, Require, Size
from attnc.ir.sizes import evaluate
from attnc.ir.walk import walk
from attnc.passes.names.einsum import right_side
from attnc.passes.names.expressions import Resolver, missing
from attnc.passes.names.macros import FITTING
from attnc.passes.names.mistakes import unknown
from attnc.passes.names.scope import Claim, Scope
from attnc.passes.names.sizes import check_requirement


def requirements(resolver: Resolver, tests: list[syntax.Require]) -> None:
    """What the attention requires of sizes and options; what options already decide is decided here."""
    scope = resolver.scope
    for item in tests:
        with scope.mistakes.kept():
            test = resolver.of(item.test)
            check_requirement(scope, test, item.test.span)
            if not any(isinstance(node, Size) for node in walk(test)) and not evaluate(test, {}):
                raise _refused(scope, item)
            scope.requires.append(Require(test, span=item.span))


def _refused(scope: Scope, item: syntax.Require) -> AttnError:
    names = {node.name for node in walk(item.test) if isinstance(node, syntax.Name)}
    values = [
        f"{name} = {value.value}"
        for name, value in scope.constants.items()
        if name in names and isinstance(value, Const)
    ]
    note = (f"here {', '.join(values)}",) if values else ()
    clashes = ((scope.call, "called here"),) if scope.call is not None else ()
    what = "this requirement does not hold for these options"
    return error("A140", what, item.span, "is false", clashes=clashes, notes=note)


def defaults(resolver: Resolver, attention: syntax.Attention) -> None:
    """The defaults of inputs: over their own indices, sizes, options and earlier inputs."""
    scope, earlier = resolver.scope, set[str]()
    for param in attention.params:
        if param.default is not None:
            with scope.mistakes.kept():
                value = resolver.of(param.default)
                _check_default(scope, param, value, earlier)
                scope.inputs[param.name] = replace(scope.inputs[param.name], default=value)
        earlier.add(param.name)


def _check_default(scope: Scope, param: syntax.Param, value: Expr, earlier: set[str]) -> None:
    assert param.default is not None
    later = [node for node in walk(value) if isinstance(node, Read) and node.tensor not in earlier]
    foreign = missing(value, param.indices or (), scope)
    if later or foreign:
        what = f"`{later[0].tensor}`, which is given later or defined" if later else f"index {foreign[0]}"
        raise error(
            "A138",
            f"the default of `{param.name}` mentions {what}",
            param.default.span,
            "not known when it is needed",
            notes=("a default may mention the input's own indices, sizes, options and earlier inputs",),
        )
    kind = scope.kind(value)
    if kind not in FITTING[param.type or "real"]:
        what = f"`{param.name}` is {param.type or 'real'}, but its default is {kind}"
        raise error("A131", what, param.default.span, kind, clashes=((param.span, "declared here"),))


def pass_limit(
    resolver: Resolver,
    item: syntax.Require,
    ops: tuple[str, ...],
    subs: tuple[syntax.Expr | syntax.Reindex | syntax.All, ...],
    limit: syntax.Expr,
) -> PassLimit:
    """`require passes[n] <= 1`."""
    match ops, subs, limit:
        case ("<=",), (syntax.Name(index, span=span),), syntax.Number(int() as most):
            return PassLimit(resolver.one_index(index, span, None), most, span=item.span)
    raise error(
        "A132",
        "a bound on passes is written `require passes[n] <= 1`",
        item.span,
        "not of this form",
        notes=("it speaks of one index and gives a whole number",),
    )


def carry(resolver: Resolver, item: syntax.Carry, earlier: list[str]) -> Carry:
    """`carry X = value`: over the indices of the input, and of its type."""
    scope = resolver.scope
    given = scope.inputs.get(item.name)
    if given is None:
        raise unknown(item.name, item.span, list(scope.inputs), "input")
    if item.name in earlier:
        raise error("A137", f"`{item.name}` is carried twice", item.span, "again here")
    value = right_side(resolver, item.value, given.indices)
    what = f"`{item.name}` is {given.type}, and so is its next value"
    scope.claims.append(Claim(value, FITTING[given.type], what, item.value.span, given.span, "A131"))
    return Carry(item.name, value, span=item.span)

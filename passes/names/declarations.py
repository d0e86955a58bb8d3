"""What an attention declares: options, inputs, indices, sizes and tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from attnc.diagnostics import AttnError, error
from attnc.ir import syntax
from attnc.ir.cascade import Const, Expr, Input, Map, Range, Read, Require, Size, Type
from attnc.ir.sizes import evaluate
from attnc.ir.walk import walk
from attnc.passes.names.expressions import Resolver, missing
from attnc.passes.names.macros import FITTING
from attnc.passes.names.mistakes import unknown
from attnc.passes.names.ranges import declare, declared_name
from attnc.passes.names.scope import Scope
from attnc.passes.names.sizes import check_size
from attnc.source import Span

KINDS: dict[str | None, Type] = {None: "real", "real": "real", "int": "int", "bool": "bool"}
Value = bool | int | float


def declare_all(resolver: Resolver, attention: syntax.Attention, given: Mapping[str, object]) -> dict[str, Value]:
    """Enter everything by name, so that statements may stand in any order; the options' values. Mistakes are kept."""
    scope = resolver.scope
    for param in attention.params:
        scope.inputs[param.name] = Input(param.name, param.indices or (), KINDS[param.type], span=param.span)
        scope.types[param.name] = KINDS[param.type]
        for index in param.indices or ():
            scope.ranges.setdefault(index, Range(index, Const(0), Size(index), span=param.span))
    for statement in attention.body:
        if isinstance(statement, syntax.Define):
            for place in statement.places:
                scope.places.setdefault(place.name, []).append(statement)
    values = _options(resolver, attention, given)
    _sizes(scope, attention)
    _indices(resolver, attention)
    for name in scope.sizes:
        with scope.mistakes.kept():
            if name not in scope.constants and name not in scope.broken:
                resolver.size(name)
    return values


# ---- options -------------------------------------------------------------------------------


def _options(resolver: Resolver, attention: syntax.Attention, given: Mapping[str, object]) -> dict[str, Value]:
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


# ---- sizes and indices ---------------------------------------------------------------------


def _sizes(scope: Scope, attention: syntax.Attention) -> None:
    """Definitions without brackets that read no tensor are sizes or constants."""
    for statement in attention.body:
        if isinstance(statement, syntax.Define) and _is_size(scope, statement, attention.outputs):
            scope.sizes[statement.places[0].name] = statement
    for name in scope.sizes:
        del scope.places[name]


def _is_size(scope: Scope, statement: syntax.Define, outputs: tuple[str, ...]) -> bool:
    place, call = statement.places[0], statement.value
    if (
        place.subs is not None
        or place.name in outputs
        or len(statement.places) > 1
        or len(scope.places[place.name]) > 1
    ):
        return False
    if isinstance(call, syntax.Apply) and isinstance(call.f, syntax.Name) and call.f.name in scope.attentions:
        return False
    for node in walk(statement.value):
        if isinstance(node, syntax.At):
            return False
        if isinstance(node, syntax.Name) and (node.name in scope.inputs or _is_tensor(scope, node.name)):
            return False
    return True


def _is_tensor(scope: Scope, name: str) -> bool:
    return any(
        place.name == name and place.subs is not None for item in scope.places.get(name, ()) for place in item.places
    )


def _indices(resolver: Resolver, attention: syntax.Attention) -> None:
    """The ranges of `index` lines; each index has one."""
    scope = resolver.scope
    ranges = [item for line in attention.body if isinstance(line, syntax.Indices) for item in line.ranges]
    for item in ranges:
        name = declared_name(item)
        scope.ranges.setdefault(name, Range(name, Const(0), Size(name), span=item.span))
    for item in ranges:
        before = len(scope.mistakes.found)
        with scope.mistakes.kept():
            declare(resolver, item)
        if len(scope.mistakes.found) > before:
            scope.broken.add(declared_name(item))


# ---- what mentions all of these ------------------------------------------------------------


def requirements(resolver: Resolver, tests: list[syntax.Require]) -> None:
    """What the attention requires of sizes and options; what options already decide is decided here."""
    scope = resolver.scope
    for item in tests:
        with scope.mistakes.kept():
            test = resolver.of(item.test)
            check_size(scope, test, item.test.span, "a requirement")
            if scope.kind(test) != "bool":
                raise error(
                    "A206",
                    f"`require` wants a boolean, but this is {scope.kind(test)}",
                    item.test.span,
                    scope.kind(test),
                    helps=(f"compare it: `require {item.test.span.text} {_usual(test)}`",),
                )
            if not any(isinstance(node, Size) for node in walk(test)) and not evaluate(test, {}):
                raise _refused(scope, item)
            scope.requires.append(Require(test, span=item.span))


def _usual(value: Expr) -> str:
    """What a size is usually required to be."""
    return "== 0" if isinstance(value, Map) and value.op == "mod" else ">= 1"


def _refused(scope: Scope, item: syntax.Require) -> AttnError:
    names = {node.name for node in walk(item.test) if isinstance(node, syntax.Name)}
    values = [
        f"{name} = {value.value}"
        for name, value in scope.constants.items()
        if name in names and isinstance(value, Const)
    ]
    note = (f"here {', '.join(values)}",) if values else ()
    return error("A140", "this requirement does not hold for these options", item.span, "is false", notes=note)


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

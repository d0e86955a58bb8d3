"""The inputs and options of a traced function, as its parameters declare them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from attnc.diagnostics import AttnError, error
from attnc.ir import syntax as syn
from attnc.source import Span
from attnc.trace.kinds import Kind
from attnc.trace.names import named
from attnc.trace.places import Place
from attnc.trace.tensors import KINDS, Axes, Variable
from attnc.trace.values import Value, literal


@dataclass(frozen=True)
class Declared:
    """What a function declares: inputs, options, and where it stands."""

    name: str
    params: tuple[syn.Param, ...]
    options: tuple[syn.Option, ...]
    defaults: Mapping[str, object]
    doc: str | None
    span: Span

    def arguments(self, options: Mapping[str, object]) -> tuple[list[Variable], dict[str, Value]]:
        """What the function is called with: tensors, and options with their values for who looks at them."""
        tensors = [Variable(item.name, _kind(item.type) or "real") for item in self.params]
        values: dict[str, Value] = {}
        for item in self.options:
            known: Any = options.get(item.name, self.defaults.get(item.name))
            kind = _kind(item.type) or KINDS.get(type(known))
            values[item.name] = Value(syn.Name(item.name), kind, known)
        return tensors, values


def declared(function: Callable[..., Any], names: Mapping[str, Any]) -> Declared:
    """What the parameters of a function declare; `names` are those around it, for annotations."""
    code = function.__code__
    params: list[syn.Param] = []
    options: list[syn.Option] = []
    defaults: dict[str, object] = {}
    for item in inspect.signature(function).parameters.values():
        span = Place(code, function.__globals__, item.name)
        named(item.name, "a parameter")
        annotation = _evaluated(item.annotation, function, names, span)
        given = None if item.default is item.empty else _default(item.default)
        if item.kind is item.KEYWORD_ONLY:
            kind = KINDS.get(annotation) if isinstance(annotation, type) else None
            if given is not None:
                defaults[item.name] = item.default
            options.append(syn.Option(item.name, kind, given, span=span))
        elif item.kind in (item.VAR_POSITIONAL, item.VAR_KEYWORD):
            raise _mistake(f"`{item.name}` stands for any number of arguments", span, "declare each input")
        elif isinstance(annotation, Axes):
            kind = None if annotation.kind == "real" else annotation.kind
            params.append(syn.Param(item.name, annotation.indices, kind, given, span=span))
        else:
            raise _no_axes(item.name, span, annotation)
    doc = inspect.getdoc(function)
    span = Place(code, function.__globals__, "")
    named(function.__name__, "an attention")
    return Declared(function.__name__, tuple(params), tuple(options), defaults, doc and _doc(doc), span)


def _kind(written: str | None) -> Kind | None:
    return written if written in ("bool", "int", "real") else None  # type: ignore[return-value]


def _default(value: object) -> syn.Expr:
    return literal(value).node


def _doc(text: str) -> str:
    """A docstring that a spec can hold."""
    text = text.replace('"""', "'''").strip()
    return text + " " if text.endswith('"') else text


def _evaluated(annotation: Any, function: Callable[..., Any], names: Mapping[str, Any], span: Span) -> Any:
    """An annotation's value; with `from __future__ import annotations` it is a text until now."""
    if not isinstance(annotation, str):
        return annotation
    closure = inspect.getclosurevars(function).nonlocals
    try:
        return eval(annotation, {**function.__globals__, **names, **closure})  # the user's own code, as Python would
    except AttnError:
        raise
    except Exception as failure:
        raise error("A670", f"the annotation `{annotation}` fails: {failure}", span, "declared here") from None


def _no_axes(name: str, span: Span, annotation: object) -> AttnError:
    if annotation in KINDS:
        return _mistake(f"the option `{name}` is given by position", span, "options stand after `*`, inputs before it")
    help_ = f"write `{name}: attnc.Tensor[b,h,m,e]`, with a type last where it is not real: `attnc.Tensor[b,int]`"
    return _mistake(f"`{name}` has no axes", span, help_)


def _mistake(what: str, span: Span, help_: str) -> AttnError:
    return error("A670", what, span, "declared here", helps=(help_,))

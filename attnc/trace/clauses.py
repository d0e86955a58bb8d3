"""What a program says of itself: what it requires, what it carries on, and what must hold of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnc.diagnostics import error
from attnc.ir import syntax as syn
from attnc.library import parse_source, standard_folder
from attnc.trace.functions import Over, indices
from attnc.trace.names import named, several
from attnc.trace.places import here
from attnc.trace.recording import Recording, current, running
from attnc.trace.tensors import Call, Index, Variable
from attnc.trace.values import Value, literal

if TYPE_CHECKING:
    from attnc.runtime.attention import Attention


def require(test: object) -> None:
    """Says what must hold of sizes, or of the passes: `require(passes(n) <= 1)`."""
    current("a requirement").statements.append(syn.Require(literal(test).node, span=here()))


def passes(over: Index) -> Value:
    """How many passes over an index the derived program takes; for `require` alone."""
    span = here()
    return Value(syn.At(syn.Name("passes", span=span), (over.node,), span=span), "int")


def carry(tensor: Variable, value: object) -> None:
    """Says what an input is in the next call."""
    current("a carried input").statements.append(syn.Carry(tensor.name, literal(value).node, span=here()))


def check(
    name: str,
    *,
    given: Mapping[Any, object] | None = None,
    equals: Call | None = None,
    gives: Mapping[Any, object] | None = None,
    within: float | None = None,
) -> None:
    """Says what must hold: with these inputs and options it equals a call, or gives these numbers."""
    goal: syn.Equals | syn.Gives
    if (equals is None) == (gives is None):
        helps = ('`check("flat", given={"slope": 0}, equals=call("causal_softmax", Q, K, V))`',)
        raise error("A676", f"the check `{name}` wants `equals` or `gives`", here(), "one of them", helps=helps)
    if equals is not None:
        goal = syn.Equals(equals.node, span=here())
    else:
        goal = syn.Gives(_binds(gives or {}), within, span=here())
    current("a check").statements.append(syn.Check(named(name, "a check"), _binds(given or {}), goal, span=here()))


def _binds(values: Mapping[Any, object]) -> tuple[syn.Bind, ...]:
    span = here()
    return tuple(
        syn.Bind(syn.Name(key, span=span) if isinstance(key, str) else key.node, _listed(value), span=span)
        for key, value in values.items()
    )


def _listed(value: object) -> syn.Expr:
    """Nested lists of numbers as a literal tensor."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple):
        return syn.List(tuple(_listed(item) for item in value), span=here())
    return literal(value).node


# ---- the library and other attentions ----------------------------------------------------------


@dataclass(frozen=True)
class Def:
    """A def, mask or score of a module, called as a function: `rope(x, pos, over=e, base=500.0)`."""

    module: tuple[str, ...]
    name: str

    def __call__(self, *args: object, over: Over = (), **options: object) -> Value:
        """Its value; `over` are the indices in its brackets."""
        program = running()
        use = syn.Use(self.module, (self.name,), span=here())
        if program is not None and use not in program.uses:
            program.uses.append(use)
        values = [literal(item) for item in args]
        extras = tuple(syn.Keyword(name, literal(value).node, span=here()) for name, value in options.items())
        head: syn.Expr = syn.Name(self.name, span=here())
        if not (isinstance(over, tuple) and not over):
            head = syn.At(head, indices(over, self.name), span=here())
        node = syn.Apply(head, tuple(item.node for item in values), extras, span=here())
        return Value(node, None, None, 1 + max((item.depth for item in values), default=0))


def use(names: str) -> Any:
    """The defs of a module: `causal, window = attnc.use("std.masks: causal, window")`; one alone as itself."""
    module, _, wanted = names.partition(":")
    path = tuple(named(word, "a module") for word in module.strip().split("."))
    found = tuple(Def(path, name) for name in several(wanted, "a def"))
    return found[0] if len(found) == 1 else found


def call(attention: Attention | str, *args: object, **named: object) -> Call:
    """A call of another attention, inlined: `O[b,h,m,f] = call(..)`, `O[..], L[..] = call(..)`.

    The attention is any that attnc has, or the name of one in the standard library.
    """
    from attnc import load

    if isinstance(attention, str):
        attention = load(f"std:{attention}")
    program = running()
    if program is not None:
        _bring(program, attention)
    own = attention.signature
    extras = tuple(syn.Keyword(name, literal(value).node, span=here()) for name, value in named.items())
    node = syn.Apply(syn.Name(own.name), tuple(literal(arg).node for arg in args), extras, span=here())
    return Call(node, len(own.outputs))


def _bring(program: Recording, attention: Attention) -> None:
    """Makes what an attention is defined by visible in the program."""
    spec = attention.spec
    if spec.folder == standard_folder():
        uses: tuple[syn.Use, ...] = (syn.Use(_module(spec.source.name), (attention.signature.name,)),)
        definitions: tuple[syn.Attention | syn.Function, ...] = ()
    else:
        file = parse_source(spec.source)
        uses, definitions = file.uses, file.definitions
    foreign = next((item for item in uses if item.path[0] != "std"), None)
    if foreign is not None:
        what = f"`{attention.signature.name}` uses `{'.'.join(foreign.path)}`, which lies in the folder of its own spec"
        raise error("A676", what, here(), "called here", helps=("write the calling attention in that folder too",))
    program.uses += [item for item in uses if item not in program.uses]
    program.definitions += [item for item in definitions if item not in program.definitions]


def _module(path: str) -> tuple[str, ...]:
    from pathlib import Path

    return ("std", *Path(path).relative_to(standard_folder()).with_suffix("").parts)

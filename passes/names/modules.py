"""What a file's definitions see: its own defs and attentions, and those of the modules it uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from attnc.diagnostics import AttnError, error
from attnc.ir import syntax
from attnc.ir.operators import FUNCTIONS, ORDERINGS, REDUCTIONS, SUGARED_REDUCTIONS
from attnc.passes.names.mistakes import Mistakes, unknown
from attnc.passes.names.scope import Def
from attnc.source import Span

Definition: TypeAlias = syntax.Attention | syntax.Function
Path: TypeAlias = tuple[str, ...]
Use: TypeAlias = Callable[[Path, Span], syntax.File]

BUILT_IN = {*FUNCTIONS, *REDUCTIONS, *SUGARED_REDUCTIONS, *ORDERINGS, "uniform", "grad", "exists", "default", "extent"}


@dataclass(frozen=True, eq=False)
class Module:
    """The defs that a file's definitions can call, and the attentions with the modules that they belong to."""

    file: syntax.File
    functions: dict[str, Def] = field(default_factory=dict)
    attentions: dict[str, tuple[syntax.Attention, Module]] = field(default_factory=dict)
    named: dict[str, Span] = field(default_factory=dict)  # its own, and those that a `use` names
    mistakes: Mistakes = field(default_factory=Mistakes)  # in its `use` lines and in the names it defines


def module_of(file: syntax.File, use: Use | None) -> Module:
    """A file with all that it uses; what a mistaken `use` should bring is missing."""
    return _Reader(use).module(file, ())


@dataclass
class _Reader:
    """Reads modules, each once."""

    use: Use | None
    done: dict[Path, Module] = field(default_factory=dict)

    def module(self, file: syntax.File, within: tuple[Path, ...]) -> Module:
        """A file with all that it uses; `within` are the modules that are being read."""
        module = Module(file)
        mistakes = module.mistakes
        for definition in file.definitions:
            with mistakes.kept():
                _check_name(module, definition)
                module.named[definition.name] = _head(definition)
                _enter(module, definition, module)
        for item in file.uses:
            with mistakes.kept():
                self._use(module, item, within)
        return module

    def _use(self, module: Module, item: syntax.Use, within: tuple[Path, ...]) -> None:
        if item.path in within:
            raise _uses_itself(item, within[within.index(item.path) :])
        if self.use is None:
            return
        if item.path not in self.done:
            self.done[item.path] = self.module(self.use(item.path, item.span), (*within, item.path))
        home = self.done[item.path]
        module.mistakes.add(home.mistakes.found)
        given = {definition.name: definition for definition in home.file.definitions}
        for name in item.names or given:
            with module.mistakes.kept():
                if name not in given:
                    raise unknown(name, item.span, given, f"definition of `{'.'.join(item.path)}`:")
                _used(module, given[name], home, item)


def _uses_itself(item: syntax.Use, ring: tuple[Path, ...]) -> AttnError:
    chain = " uses ".join(f"`{'.'.join(path)}`" for path in (*ring, item.path))
    return error(
        "A116", f"a module uses itself: {chain}", item.span, "used here", helps=("remove one of the `use` lines",)
    )


def _check_name(module: Module, definition: Definition) -> None:
    name = definition.name
    if name in module.named:
        raise error(
            "A115",
            f"`{name}` is defined twice",
            _head(definition),
            "defined again here",
            clashes=((module.named[name], "defined here"),),
            helps=("give one of them another name",),
        )
    if isinstance(definition, syntax.Function) and name in BUILT_IN:
        raise error("A115", f"`{name}` is built in", _head(definition), "cannot be defined", helps=("rename it",))


def _head(definition: Definition) -> Span:
    """The first line of a definition."""
    span = definition.span
    end = span.text.find("\n")
    return Span(span.source, span.start, span.start + end) if end > 0 else span


def _enter(module: Module, definition: Definition, home: Module) -> None:
    """Make a definition visible in a module; it sees what its home sees."""
    if isinstance(definition, syntax.Function):
        module.functions[definition.name] = Def(definition, home.functions)
    else:
        module.attentions[definition.name] = (definition, home)


def _used(module: Module, definition: Definition, home: Module, item: syntax.Use) -> None:
    """One name that a `use` brings; where the line names none, what has a meaning already keeps it."""
    name = definition.name
    if name in module.named and item.names:
        raise error(
            "A115",
            f"`{name}` is used from `{'.'.join(item.path)}`, but has a meaning here already",
            item.span,
            "used here",
            clashes=((module.named[name], "defined here"),),
            helps=("leave one of them out, or rename the file's own",),
        )
    if item.names:
        module.named[name] = item.span
    if item.names or not (name in module.functions or name in module.attentions):
        _enter(module, definition, home)


def attention_named(file: syntax.File, name: str | None) -> syntax.Attention:
    """The attention of this name, the last one if none is given; error A101 where there is none."""
    found = [item for item in file.definitions if isinstance(item, syntax.Attention)]
    chosen = [item for item in found if name in (None, item.name)]
    if not chosen:
        raise unknown(name or "", file.span, [item.name for item in found], "attention")
    return chosen[-1]

"""An attention analysed for given options: the stated cascade, the explicit one, and the plan.

Analysis is kept on disk by the spec's text, the texts of all modules it uses, its options and attnc itself,
so that a warm process runs neither lark nor sympy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from attnc.diagnostics import AttnError, error
from attnc.grammar.read import read
from attnc.ir.cascade import Cascade
from attnc.ir.serial import dump, load
from attnc.ir.stage import Host, Plan, Stream
from attnc.library import Library, Spec, digest, module_path
from attnc.runtime import cache
from attnc.runtime.carry import with_carries
from attnc.runtime.needs import Needs, needs_of
from attnc.runtime.replay import Replays
from attnc.runtime.spans import Cutting
from attnc.runtime.types import operands, shared

if TYPE_CHECKING:
    from attnc.passes.join import Joined
    from attnc.passes.pack import Packed
    from attnc.passes.split import Split


@dataclass(frozen=True)
class Program:
    """What the passes found; `key` names it in the cache: it depends on the texts of all modules used."""

    key: str
    stated: Cascade
    explicit: Cascade
    plan: Plan

    @cached_property
    def replays(self) -> Replays:
        """The kinds of runs of its stages so far."""
        return Replays()

    @cached_property
    def needs(self) -> dict[str, Needs]:
        """What each stage needs, by its name."""
        return {stage.name: needs_of(stage, self.explicit) for stage in self.plan.stages}

    @cached_property
    def cuttings(self) -> dict[str, Cutting]:
        """How calls cut each stream into spans, by its name."""
        return {stage.name: Cutting(stage, self.explicit) for stage in self.streams}

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streamed stages."""
        return tuple(stage for stage in self.plan.stages if isinstance(stage, Stream))

    @cached_property
    def operands(self) -> tuple[str, ...]:
        """The tensors that are made once for products to read, and that may be as narrow as the inputs."""
        return tuple(operands(self.explicit, self.plan))

    @cached_property
    def shared(self) -> frozenset[str]:
        """The real inputs that all rows share."""
        return frozenset(shared(self.explicit, self.plan))

    @cached_property
    def splits(self) -> dict[str, Split]:
        """Each stream that can be cut into spans as two, by its name."""
        from attnc.passes.split import split

        return {stage.name: split(stage, self.explicit) for stage in self.streams if stage.stream is not None}

    @cached_property
    def pairs(self) -> dict[str, Program]:
        """Those two as a program each, whose kernels are kept as others are."""
        found = {}
        for name, pair in self.splits.items():
            plan = Plan((pair.spans, pair.merge))
            found[name] = Program(cache.key(self.key, "split", name), self.stated, pair.cascade, plan)
        return found

    @cached_property
    def packs(self) -> dict[str, tuple[Packed, Program]]:
        """Each stream whose heads share their keys, by its name: with these heads among its rows, and as a program."""
        from attnc import compiler

        found = {}
        for stage in self.streams:
            packed = compiler.packed(stage, self.explicit)
            if packed is not None:
                key, plan = cache.key(self.key, "pack", stage.name), Plan((packed.stream,))
                found[stage.name] = packed, Program(key, self.stated, packed.cascade, plan)
        return found

    @cached_property
    def joints(self) -> dict[str, tuple[Joined, Program]]:
        """Each stream that can be joined with the one after it, by its name: the two as one, and as a program."""
        from attnc import compiler

        found = {}
        for first, second in pairwise(self.plan.stages):
            if isinstance(first, Stream) and isinstance(second, Stream):
                joined = compiler.joined(first, second, self.explicit)
                if joined is not None:
                    key = cache.key(self.key, "joint", first.name)
                    plan = Plan((joined.stream, joined.ends))
                    found[first.name] = joined, Program(key, self.stated, joined.cascade, plan)
        return found

    @cached_property
    def heavy(self) -> tuple[Host, ...]:
        """The host stages that are a slower path."""
        return tuple(stage for stage in self.plan.stages if isinstance(stage, Host) and stage.heavy)


def analyse(spec: Spec, options: Mapping[str, object], *, step: bool = False) -> Program:
    """The program of a spec, from the cache where nothing it depends on has changed.

    With `step` the carried inputs' next values are further outputs.
    """
    key = cache.key(spec.source.name, spec.source.text, spec.name, sorted(options.items()), str(spec.folder), step)
    kept = cache.get(key, "program")
    return (_load(key, spec, kept) if kept else None) or _fresh(key, spec, options, step)


def _load(key: str, spec: Spec, kept: bytes) -> Program | None:
    """The kept program; None where a module that it uses reads otherwise now."""
    entry = json.loads(kept)
    for path, known in entry["uses"]:
        if _digest(tuple(path), spec) != known:
            return None
    return Program(cache.key(key, entry["uses"]), *load(entry["nodes"], spec.source))


def _digest(path: tuple[str, ...], spec: Spec) -> str | None:
    file = module_path(path, spec.folder)
    try:
        return digest(read(file).text) if file is not None else None
    except AttnError:
        return None


def _fresh(key: str, spec: Spec, options: Mapping[str, object], step: bool) -> Program:
    library = Library(spec.folder)
    try:
        stated, explicit, plan = _analysed(spec, options, library, step)
    except RecursionError:
        what = f"the statements of `{spec.name}` build on one another too deeply to be analysed"
        helps = ("write long chains of statements as a recurrence over an index",)
        raise error("A303", what, helps=helps) from None
    uses = [[list(path), known] for path, (_, known) in library.used.items()]
    cache.put(key, "program", json.dumps({"uses": uses, "nodes": dump((stated, explicit, plan))}).encode())
    cache.COUNTS["analyses"] += 1
    return Program(cache.key(key, uses), stated, explicit, plan)


def _analysed(spec: Spec, options: Mapping[str, object], library: Library, step: bool) -> tuple[Cascade, Cascade, Plan]:
    from attnc import compiler

    stated = compiler.stated(spec, options, library)
    if step:
        stated = with_carries(stated)
    explicit = compiler.explicit(stated)
    return stated, explicit, compiler.planned(explicit)

"""A call as a graph describes it: the attention, its options and numbers, the names of its tensors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from attnc.diagnostics import error
from attnc.runtime.batches import batched
from attnc.runtime.bind import Bound, bind, match_names
from attnc.runtime.call import Call
from attnc.runtime.carry import NEXT
from attnc.runtime.convert import no_tensor, plain
from attnc.runtime.program import Program
from attnc.runtime.reference import attention_of, attentions_of
from attnc.runtime.types import rounding_shows

if TYPE_CHECKING:
    from attnc.runtime.attention import Attention

F = TypeVar("F", bound=Callable[..., Any])
Names = tuple[str, ...]
Given = tuple[int | str, ...]


@dataclass(frozen=True)
class Site:
    """What of a call is no tensor.

    `inputs` name the tensors in the order in which they come, `wanted` those that may be asked for a gradient, and
    `batches` for each batch the inputs that differ between its elements, the innermost batch first.
    """

    reference: str
    settings: Mapping[str, Any]
    step: bool
    inputs: Names
    wanted: Names = ()
    batches: tuple[Names, ...] = ()

    def written(self) -> str:
        """The description that an operator carries."""
        return json.dumps(
            {
                "attention": self.reference,
                "settings": dict(self.settings),
                "step": self.step,
                "inputs": self.inputs,
                "wanted": self.wanted,
                "batches": self.batches,
            }
        )

    @cached_property
    def attention(self) -> Attention:
        """The attention that is called."""
        return attention_of(self.reference)

    def ran(self, call: Call) -> None:
        """Notes what a call ran where a user can ask for it."""
        for attention in (self.attention, *attentions_of(self.reference)):
            attention.ran(call)

    @cached_property
    def program(self) -> Program:
        """The program for the call's options, over its batches."""
        options = {name: value for name, value in self.settings.items() if name in self.attention.signature.options}
        program = self.attention.program(options, step=self.step)
        for inputs in self.batches:
            program = batched(program, inputs).program
        return program

    @cached_property
    def numbers(self) -> dict[str, Any]:
        """The inputs that were given as numbers."""
        return {name: value for name, value in self.settings.items() if name not in self.attention.signature.options}

    def call(self, tensors: Iterable[torch.Tensor]) -> Call:
        """What of the call does not depend on extents, on these tensors, which may have more behind them."""
        names = tuple(i.name for i in self.program.stated.inputs if i.name in self.inputs or i.name in self.numbers)
        precise = self._precise(tensors)
        return Call(self.program, {}, torch.device("cpu"), names, self.wanted, precise=precise)

    def _precise(self, tensors: Iterable[torch.Tensor]) -> bool:
        types = {name: tensor.dtype for name, tensor in zip(self.inputs, tensors, strict=False)}
        return rounding_shows(self.program, types, self.wanted)

    def bound(self, tensors: list[torch.Tensor]) -> tuple[Call, Bound]:
        """The call on these tensors, which may have more behind them."""
        given = dict(zip(self.inputs, tensors, strict=False))
        found = bind(self.program.stated, (), given | self.numbers)
        precise = self._precise(tensors)
        own = Call(self.program, found.sizes, found.device, tuple(found.tensors), self.wanted, precise=precise)
        return own, found

    def over(self, inputs: Iterable[str], wanted: Names) -> Site:
        """The same over one more batch, of these inputs."""
        return replace(self, batches=(*self.batches, tuple(inputs)), wanted=wanted)


def constant(function: F) -> F:
    """What a compiler evaluates as it traces: `torch.compiler.assume_constant_result`, which would load all of it."""
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


@lru_cache(maxsize=1024)
def site_of(text: str) -> Site:
    """The call that a description writes; error A616 where it writes none."""
    try:
        entry = json.loads(text)
        inputs, wanted = tuple(entry["inputs"]), tuple(entry["wanted"])
        batches = tuple(map(tuple, entry["batches"]))
        return Site(entry["attention"], entry["settings"], entry["step"], inputs, wanted, batches)
    except (ValueError, LookupError, TypeError, AttributeError) as reason:
        what = "this text describes no call of an attention"
        raise error("A616", what, notes=(f"it begins `{text[:60]}`", str(reason))) from None


@constant
def described(
    reference: str,
    given: tuple[int | str, ...],
    inputs: Names,
    wanted: Names,
    settings: Mapping[str, object],
    step: bool,
) -> str:
    """The description of a call; `given` are how many arguments come by position, and the names of the others."""
    values = {name: _fixed(plain(value)) for name, value in settings.items() if value is not None}
    site = Site(reference, dict(sorted(values.items())), step, inputs, wanted)
    count, *names = given
    stated, options = site.program.stated, site.attention.signature.options
    match_names(stated, (0,) * int(count), {str(name): 0 for name in names if name not in options})
    for item in stated.inputs:
        if item.name in values and not isinstance(values[item.name], bool | int | float):
            raise no_tensor(item, values[item.name])
    return site.written()


def _fixed(value: object) -> object:
    """A size that is a symbol as the number it stands for: the graph holds for that one."""
    return int(value) if isinstance(value, torch.SymInt) else value


@constant
def carried(call: str) -> Names:
    """The inputs whose next values follow the outputs of a step."""
    site = site_of(call)
    own = len(site.attention.signature.outputs)
    return tuple(name.removesuffix(NEXT) for name in site.program.stated.outputs[own:])

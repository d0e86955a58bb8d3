"""Attentions as modules: learned inputs are parameters. Programs that were saved need this import to be loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import attnc
import attnc.runtime.operators
from attnc.diagnostics import error
from attnc.runtime.attention import Attention as Analysed
from attnc.runtime.convert import converted

__all__ = ["Attention"]


class Attention(torch.nn.Module):
    """An attention with some of its inputs as parameters and its options as they were given.

    `learned` names those inputs; each comes with a shape, and starts at zero, or with a tensor of what it starts at.
    A call takes the other inputs in their order or by name:

        layer = attnc.nn.Attention("std:alibi", learned={"slope": torch.linspace(1, 0, 8)})
        o = layer(q, k, v)

    A parameter has its input's name, also in the `state_dict`. Options may be set anew at a call.
    """

    def __init__(
        self,
        attention: str | Path | Analysed,
        learned: Mapping[str, Sequence[int] | torch.Tensor] | None = None,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: object,
    ) -> None:
        """Analyses the attention, or the one that `attnc.load` finds, for these options."""
        super().__init__()
        self.attention = attention if isinstance(attention, Analysed) else attnc.load(attention)
        self.options = options
        self._initial = {name: _initial(value) for name, value in (learned or {}).items()}
        self._given = tuple(name for name in self.attention.signature.inputs if name not in self._initial)
        for name, value in self._initial.items():
            own = torch.empty(value.shape, device=device, dtype=dtype or value.dtype)
            self._check(name, own)
            self.register_parameter(name, torch.nn.Parameter(own))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The parameters at what they started at."""
        with torch.no_grad():
            for name, value in self._initial.items():
                self.get_parameter(name).copy_(value)

    def forward(self, *args: object, **named: object) -> Any:
        """The outputs, as the attention itself gives them."""
        return self.attention(**self._arguments(args, named))

    def step(self, *args: object, **named: object) -> tuple[Any, dict[str, torch.Tensor]]:
        """The outputs, and the carried inputs for the next call by name."""
        return self.attention.step(**self._arguments(args, named))

    def extra_repr(self) -> str:
        """The attention, its inputs, those of them that are learned, and the options."""
        known = [f"{name}={value}" for name, value in self.options.items()]
        learned = [f"{name}: {list(value.shape)}" for name, value in self._initial.items()]
        parts = [f"{self.attention.signature.name}({', '.join(self._given)})", *known]
        return ", ".join(parts) + (f", learned {', '.join(learned)}" if learned else "")

    def _arguments(self, args: tuple[object, ...], named: dict[str, object]) -> dict[str, object]:
        placed = dict(zip(self._given, args, strict=False))
        if len(args) > len(self._given) or any(name in placed for name in named):
            raise self._no_call(len(args), [name for name in named if name in placed])
        return {**self.options, **{name: getattr(self, name) for name in self._initial}, **placed, **named}

    def _no_call(self, count: int, twice: list[str]) -> Exception:
        if twice:
            return error("A606", f"`{twice[0]}` is given twice: by position and by name")
        inputs = ", ".join(f"`{name}`" for name in self._given)
        what = f"`{self.attention.signature.name}` takes {len(self._given)} tensors here, {count} were given"
        return error("A607", what, helps=(f"its inputs that are not learned are {inputs}",))

    def _check(self, name: str, value: torch.Tensor) -> None:
        """Error of family A6 where a parameter cannot be that input."""
        stated = self.attention.program(self.options).stated
        item = stated.input(name)
        if item is None:
            inputs = ", ".join(f"`{known.name}`" for known in stated.inputs)
            raise error("A606", f"`{stated.name}` has no input `{name}` to be learned", helps=(f"they are {inputs}",))
        if hasattr(self, name):
            helps = (f"give the input `{name}` another name in the spec", "pass it at the call")
            raise error("A617", f"a module has something else called `{name}`", item.span, "declared here", helps=helps)
        converted(item, value, value.device)


def _initial(value: Sequence[int] | torch.Tensor) -> torch.Tensor:
    return value.detach().clone() if isinstance(value, torch.Tensor) else torch.zeros(tuple(value), device="cpu")

"""Scores and positions as the callables see them: scalars that compute as PyTorch's do, and write down what they do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from attnc.diagnostics import AttnError, error
from attnc.ir import syntax as syn
from attnc.trace.kinds import Kind, Known
from attnc.trace.places import here
from attnc.trace.values import Value, literal

if TYPE_CHECKING:
    from attnc.flex.captured import Captures


class Scalar(Value):
    """A score, a position, or what is computed of them; PyTorch's functions take it for a tensor without axes."""

    __slots__ = ()

    @classmethod
    def _made(cls, node: syn.Expr, kind: Kind | None, known: Known | None, depth: int) -> Scalar:
        return Scalar(node, kind, known, depth)

    @classmethod
    def of(cls, value: object) -> Scalar:
        """A number, or a tensor with one element, as a scalar."""
        if isinstance(value, Scalar):
            return value
        if isinstance(value, torch.Tensor):
            from attnc.flex.captured import element

            return element(value)
        found = literal(_fixed(value))
        return cls(found.node, found.kind, found.known, found.depth)

    def lifted(self, other: object) -> Scalar:
        """The other operand as a scalar."""
        return Scalar.of(other)

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """What a function of PyTorch is of scalars."""
        from attnc.flex.operations import computed

        return computed(func, args, kwargs or {})

    def binary(self, op: str, left: object, right: object) -> Scalar:
        """`left op right` by PyTorch's rules: booleans multiply to `and`, `//` and `%` take reals too."""
        a, b = self.lifted(left), self.lifted(right)
        if a.kind == b.kind == "bool" and op in ("*", "+"):
            return Scalar.of(self.logical("and" if op == "*" else "or", a, b))
        if op in ("//", "%") and "real" in (a.kind, b.kind):
            floor = super().binary("/", a, b).applied("floor", kind="int")
            return Scalar.of(floor if op == "//" else a - b * floor)
        return Scalar.of(super().binary(op, a, b))

    def truth(self) -> Scalar:
        """Whether it is true, or not zero."""
        return self if self.kind == "bool" else Scalar.of(self != 0)

    def where(self, test: object, other: object = None) -> Scalar:
        """This where the condition holds, else the other."""
        return Scalar.of(self.chosen(test, 0 if other is None else other))

    def __xor__(self, other: object) -> Value:
        found: Value = (self & ~self.lifted(other)) | (~self & other)
        return found

    __rxor__ = __xor__

    def __getitem__(self, indices: Any) -> Scalar:
        """Itself at `[()]` and `[...]`: it has no axes."""
        if indices is Ellipsis or (isinstance(indices, tuple) and not indices):
            return self
        raise unfit("a score and a position have no axes", "subscripts belong to captured tensors: `bias[h]`")

    def __setitem__(self, indices: Any, value: object) -> None:
        raise unfit("a score cannot be written to", "return the new score: `return torch.where(p, x, y)`")

    def __getattr__(self, name: str) -> Any:
        from attnc.flex.operations import method

        if name.startswith("__"):
            raise AttributeError(name)
        if name in _PROPERTIES:
            return _PROPERTIES[name](self)
        return partial(method(name), self)


def _fixed(value: object) -> object:
    """A symbol of a compiler as the number that it stands for: what is compiled holds for that one."""
    match value:
        case torch.SymBool():
            return bool(value)
        case torch.SymInt():
            return int(value)
        case torch.SymFloat():
            return float(value)
        case _:
            return value


def _call() -> Captures:
    from attnc.flex.captured import CAPTURES

    found = CAPTURES.get()
    assert found is not None, "scalars live while a callable runs"
    return found


_PROPERTIES: dict[str, Callable[[Scalar], Any]] = {
    "dtype": lambda x: _call().types[str(x.kind)],
    "shape": lambda x: torch.Size(()),
    "ndim": lambda x: 0,
    "device": lambda x: _call().device,
    "requires_grad": lambda x: False,
}


def unfit(what: str, help_: str) -> AttnError:
    """The word on what a score or a mask cannot do."""
    return error("A678", what, here(), "here", helps=(help_,))


def unknown(name: str) -> AttnError:
    """The word on a function that attnc does not have."""
    if name.endswith("_") and not name.endswith("__"):
        plain = name.rpartition(".")[2].rstrip("_")
        return unfit(f"`{name}` writes in place, and a score is not kept anywhere", f"use what `{plain}` returns")
    if name.rpartition(".")[2] in ("item", "tolist", "numpy"):
        return unfit(f"`{name}` wants a value that is not known yet", "choose with `torch.where(p, x, y)`")
    notes = ("a score is a function of one score and its four positions, made of elementwise functions",)
    helps = (
        "elementwise functions are served: `torch.where`, `exp`, `tanh`, `clamp`, `minimum`, ..",
        "a reduction over scores is a statement of its own: write the attention under `@attnc.jit` or in a spec",
    )
    return error("A677", f"`{name}` is not served on scores and positions", here(), "here", notes=notes, helps=helps)

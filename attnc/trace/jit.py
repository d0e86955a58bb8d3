"""`@attnc.jit`: a Python function that writes an attention, as the attention it writes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, overload

from attnc.library import Spec
from attnc.runtime.attention import Attention
from attnc.trace.clauses import call
from attnc.trace.kinds import LOOKED_AT
from attnc.trace.printed import Printed
from attnc.trace.recording import running
from attnc.trace.signature import Declared, declared
from attnc.trace.values import Value
from attnc.trace.written import written


class Traced(Attention):
    """The attention that a function writes: it runs once, and again for values of options that it looks at."""

    def __init__(self, function: Callable[..., Any], names: Mapping[str, Any], *, strict: bool = False) -> None:
        """Keeps the function; it runs when something of the attention is first asked for."""
        self.function = function
        self._names = dict(names)
        self._asked_strict = strict
        self._specs: dict[str, Spec] = {}
        functools.update_wrapper(self, function)

    def __getattr__(self, name: str) -> Any:
        """What an attention has: it becomes one now."""
        if name.startswith("__") or "spec" in self.__dict__:
            raise AttributeError(f"an attention has no attribute `{name}`")
        super().__init__(self.spec_for({}), strict=self._asked_strict, lazy=True)
        return getattr(self, name)

    def __repr__(self) -> str:
        return f"<attention {self.function.__name__} of {self.function.__module__}>"

    @cached_property
    def _declared(self) -> Declared:
        return declared(self.function, self._names)

    def spec_for(self, options: Mapping[str, object]) -> Spec:
        """The spec for these options: the same for all, unless the function looks at their values."""
        if "" in self._specs:
            return self._specs[""]
        key = repr(sorted(options.items()))
        if key not in self._specs:
            token = LOOKED_AT.set(False)
            try:
                file = written(self.function, self._declared, options)
                key = key if LOOKED_AT.get() else ""
            finally:
                LOOKED_AT.reset(token)
            name = f"{self.function.__module__}:{self.function.__qualname__}"
            self._specs[key] = Spec(Printed(name, file), self.function.__name__, None)
        return self._specs[key]

    def __call__(self, *args: object, **named: object) -> Any:
        """The outputs on these tensors; in another traced function, a call that is inlined."""
        if running() is not None and any(isinstance(item, Value) for item in (*args, *named.values())):
            return call(self, *args, **named)
        return super().__call__(*args, **named)

    def to_attn(self, **options: object) -> str:
        """The program as the text of a spec."""
        return self.spec_for(options).source.text


@overload
def jit(function: Callable[..., Any], *, strict: bool = False) -> Traced: ...


@overload
def jit(function: None = None, *, strict: bool = False) -> Callable[[Callable[..., Any]], Traced]: ...


def jit(
    function: Callable[..., Any] | None = None, *, strict: bool = False
) -> Traced | Callable[[Callable[..., Any]], Traced]:
    """The attention that a Python function writes.

    Parameters annotated `Tensor[b,h,m,e]` are inputs, those after `*` options; what is returned is the output. The
    function runs once, to write the program down: Python's loops, branches and functions are there to write with.
    """
    import sys

    names = sys._getframe(1).f_locals  # annotations may name the indices of a function around
    if function is None:
        return lambda function: Traced(function, names, strict=strict)
    return Traced(function, names, strict=strict)

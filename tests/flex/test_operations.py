"""PyTorch's functions on scalars mean what they mean on tensors: each, by the oracle, against PyTorch itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from attnc import AttnError, compiler
from attnc.flex.captured import CAPTURES, Captures
from attnc.flex.reading import Tracing
from attnc.flex.scalars import Scalar
from attnc.ir import syntax as syn
from attnc.ir.interpret import run
from attnc.library import Library, Spec
from attnc.source import NOWHERE
from attnc.trace.printed import Printed

Operation = Callable[[Any, Any, Any, Any, Any], Any]

X = torch.tensor([-2.75, -1.5, -0.5, -0.25, 0.0, 0.25, 0.75, 1.5, 2.5, 3.25], dtype=torch.float64)
Y = torch.tensor([0.5, -1.25, 2.0, -0.25, 1.0, 0.25, 3.0, -2.0, 0.7, 1.1], dtype=torch.float64)
P = torch.tensor([-7, -5, -3, -1, 0, 1, 2, 3, 5, 8])
D = torch.tensor([3, -2, 4, 5, -7, 2, -3, 1, 2, -5])
C = P % 2 == 0

SAME = "exp exp2 expm1 abs sign floor ceil round tanh sigmoid relu sin cos tan sinh cosh erf neg square trunc frac"
POSITIVE = "log log2 log1p sqrt rsqrt reciprocal"
PAIRS = "add sub mul div pow minimum maximum fmod remainder floor_divide logaddexp true_divide eq ne lt le gt ge"
WHOLE = (
    "add sub mul div floor_divide remainder fmod minimum maximum eq ne lt le gt ge logical_and logical_or logical_xor"
)
LOGIC = "logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor"


def _each(names: str, kind: str, operation: Callable[[Any], Operation]) -> dict[str, Operation]:
    """An operation of each of these functions of PyTorch."""
    return {f"{name} of {kind}": operation(getattr(torch, name)) for name in names.split()}


OPERATIONS: dict[str, Operation] = {
    **_each(SAME, "one", lambda f: lambda x, y, p, d, c: f(x)),
    **_each(POSITIVE, "one", lambda f: lambda x, y, p, d, c: f(x.abs() + 0.25)),
    **_each(PAIRS, "reals", lambda f: lambda x, y, p, d, c: f(x.abs() + 0.1, y)),
    **_each(WHOLE, "integers", lambda f: lambda x, y, p, d, c: f(p, d)),
    **_each(LOGIC, "booleans", lambda f: lambda x, y, p, d, c: f(c, p > d)),
    "number first": lambda x, y, p, d, c: (2 - x) / (3 + y.abs()) + 2**x - 7 // d + 7 % d + 1.5 * p,
    "operators": lambda x, y, p, d, c: -x + y * x - x / 2 + p // 3 + p % 3 + x**2 + abs(y),
    "real floors": lambda x, y, p, d, c: x // 0.5 + x % 0.7,
    "comparisons": lambda x, y, p, d, c: (x < y) & (p != 2) | ~(x >= 0) ^ (p == d),
    "product of booleans": lambda x, y, p, d, c: (x < y) * (p < d),
    "sum of booleans": lambda x, y, p, d, c: (x < y) + (p < d),
    "booleans count": lambda x, y, p, d, c: x * (p < d) + c * 2,
    "where": lambda x, y, p, d, c: torch.where(c, x, y) + torch.where(p > 0, x, 0.0) + x.where(c, y),
    "infinite": lambda x, y, p, d, c: torch.where(c, x, float("inf")),
    "clamp": lambda x, y, p, d, c: torch.clamp(x, -1, 1) + x.clamp(min=0) + x.clip(max=0.3) + p.clamp(-2, 3),
    "bounds": lambda x, y, p, d, c: x.clamp_min(0.1) + torch.clamp_max(x, 2.0) + torch.max(x, y) - x.min(y),
    "masked_fill": lambda x, y, p, d, c: x.masked_fill(c, -3.5),
    "alpha": lambda x, y, p, d, c: torch.add(x, y, alpha=2) - torch.sub(x, y, alpha=0.5),
    "rounding": lambda x, y, p, d, c: torch.div(x, y, rounding_mode="floor") + torch.div(p, d, rounding_mode="trunc"),
    "casts": lambda x, y, p, d, c: x.long() + p.double() / 2 + (p > 0).int() + x.to(torch.int32) + c.to(x.dtype),
    "to bool": lambda x, y, p, d, c: p.bool() & x.to(torch.bool),
    "type_as": lambda x, y, p, d, c: p.type_as(x) / 3 + x.type_as(p),
    "like": lambda x, y, p, d, c: torch.zeros_like(x) + torch.ones_like(x) * 3 + torch.full_like(x, 2.5),
    "new": lambda x, y, p, d, c: x.new_ones(()) + x.new_zeros(()) + x.new_full((), 4.0) + x.new_tensor(3.0) + x,
    "new booleans": lambda x, y, p, d, c: p.new_ones((), dtype=torch.bool) & c | p.new_zeros((), dtype=torch.bool),
    "softplus": lambda x, y, p, d, c: F.softplus(x) + F.logsigmoid(x) + F.silu(x) + F.gelu(x),
    "activations": lambda x, y, p, d, c: F.leaky_relu(x, 0.2) + F.elu(x) + F.relu6(x) + F.hardtanh(x),
    "detached": lambda x, y, p, d, c: x.detach() + x.clone() + x.contiguous() + p.detach(),
    "nothing to index": lambda x, y, p, d, c: x[...] + y,
}


def scalar(name: str, tensor: torch.Tensor) -> Scalar:
    """An element of a tensor at one position."""
    captures = CAPTURES.get()
    assert captures is not None
    captures._names[id(tensor)] = name
    captures.tensors[name], captures.spans[name] = tensor, NOWHERE
    return captures.read(tensor, (Scalar(syn.Name("m"), "int"),))


@pytest.fixture(scope="module")
def found() -> dict[str, torch.Tensor]:
    """Every operation as an output of one program, evaluated by the oracle."""
    captures = Captures({"m": len(X)}, torch.device("cpu"), torch.float64)
    token = CAPTURES.set(captures)
    with Tracing():
        given = [scalar(name, tensor) for name, tensor in zip("XYPDC", (X, Y, P, D, C), strict=True)]
        values = [Scalar.of(operation(*given)) for operation in OPERATIONS.values()]
    CAPTURES.reset(token)
    names = tuple(f"T{number}" for number in range(len(values)))
    places = [syn.Place(name, (syn.Name("m"),)) for name in names]
    body = tuple(syn.Define((place,), value.node) for place, value in zip(places, values, strict=True))
    file = syn.File((), (syn.Attention("every", captures.declared()[0], (), names, body),))
    cascade = compiler.stated(Spec(Printed("operations", file), None, None), {}, Library(None))
    outputs = run(cascade, captures.tensors).outputs
    return dict(zip(OPERATIONS, (outputs[name] for name in names), strict=True))


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_is_pytorchs(name: str, found: dict[str, torch.Tensor]) -> None:
    wanted = OPERATIONS[name](X, Y, P, D, C)
    assert found[name].dtype == torch.bool or wanted.dtype != torch.bool
    close = 1e-6 if wanted.dtype == torch.float32 else 1e-12  # PyTorch divides integers in float32
    assert torch.allclose(found[name].double(), wanted.double(), atol=close, rtol=close)


REFUSED: dict[str, Operation] = {
    "sum": lambda x, y, p, d, c: x.sum(),
    "softmax": lambda x, y, p, d, c: torch.softmax(x, -1),
    "max of one": lambda x, y, p, d, c: torch.max(x),
    "atan": lambda x, y, p, d, c: torch.atan(x),
    "item": lambda x, y, p, d, c: x.item(),
    "in place": lambda x, y, p, d, c: x.add_(1),
    "in place function": lambda x, y, p, d, c: torch.relu_(x),
    "writes": lambda x, y, p, d, c: x.__setitem__(..., 0),
    "view": lambda x, y, p, d, c: x.view(-1),
    "approximation": lambda x, y, p, d, c: F.gelu(x, approximate="tanh"),
    "decimals": lambda x, y, p, d, c: torch.round(x, decimals=2),
    "bits": lambda x, y, p, d, c: p & 3,
    "branch": lambda x, y, p, d, c: x if x > 0 else y,
    "python max": lambda x, y, p, d, c: max(x, y),
    "text": lambda x, y, p, d, c: x + "1",
    "whole tensor": lambda x, y, p, d, c: x + X,
    "rows": lambda x, y, p, d, c: torch.ones(4, 4)[p] + x,
    "sum of rows": lambda x, y, p, d, c: torch.ones(4, 4)[p].sum(),
    "function of rows": lambda x, y, p, d, c: torch.exp(torch.ones(4, 4)[:, p]),
    "compared rows": lambda x, y, p, d, c: torch.ones(4, 4)[p] == 1,
    "real position": lambda x, y, p, d, c: torch.ones(4)[x],
    "too many": lambda x, y, p, d, c: torch.ones(4)[p, d],
    "complex": lambda x, y, p, d, c: torch.ones(4, dtype=torch.complex64)[p],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_written_is_refused_at_its_line(name: str) -> None:
    token = CAPTURES.set(Captures({"m": len(X)}, torch.device("cpu"), torch.float64))
    try:
        with Tracing():
            given = [scalar(name, tensor) for name, tensor in zip("XYPDC", (X, Y, P, D, C), strict=True)]
            with pytest.raises(AttnError, match=rf'\| +"{name}": lambda') as raised:
                Scalar.of(REFUSED[name](*given))
    finally:
        CAPTURES.reset(token)
    assert raised.value.code[:2] == "A6"
    assert raised.value.diagnostics[0].helps

"""Both attentions, a router of plain layers, and a gate whose gradient is that of a softmax."""

import math

import torch
from torch.nn.functional import silu

from tests.ir.test_interpret_random import number
from tests.stdlib.attend import attend, last, pairs
from tests.stdlib.cases import Case, Draw, booleans, integers, reals

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
SMALL = {"SINK": 1, "LOCAL": 2, "BLK": 3}
ROUTER = {"b": 3, "h": 2, "m": 40, "e": 4, "k": 32, "c": 8, "a": 16, "g": 4, "o": 2}
LAYERS = {"l": 6, "b": 5, "t": 3}


def _ends(low: int, high: int) -> Draw:
    return integers("b", low=low, high=high)


def flux(
    Q: Tensor, K: Tensor, V: Tensor, full: Tensor, SINK: int = 1, LOCAL: int = 16, BLK: int = 128, LAST: int = 0
) -> Tensor:
    rows, keys = last(Q, K), range(K.shape[2])

    def streaming(m: int, n: int) -> bool:
        return n <= m and (n // BLK < SINK or m // BLK - n // BLK < LOCAL or m >= len(keys) - LAST)

    masks = {True: pairs(rows, keys, lambda m, n: n <= m), False: pairs(rows, keys, streaming)}
    return attend(Q, K, V, torch.stack([masks[one] for one in full.tolist()])[:, None])


def flux_train(Q: Tensor, K: Tensor, V: Tensor, z: Tensor, SINK: int = 1, LOCAL: int = 16, BLK: int = 128) -> Tensor:
    both = [flux(Q, K, V, torch.full_like(z, one, dtype=torch.bool), SINK, LOCAL, BLK) for one in (1, 0)]
    return torch.lerp(both[1], both[0], z[:, None, None, None])


def flux_router(Q: Tensor, first: Tensor, last: Tensor, POOL: int = 100, **layers: Tensor) -> Tensor:
    pooled = []
    for sample, start, end in zip(Q, first.tolist(), last.tolist(), strict=True):
        rows = [*range(start, start + POOL), *range(end - POOL + 1, end + 1)]
        pooled.append(sample[:, rows].mean(1))
    x = torch.stack(pooled).mean(1)
    for number_of in range(1, 6):
        x = x @ layers[f"W{number_of}"] + layers[f"b{number_of}"]
        x = silu(x) if number_of in (1, 3, 4) else x
    return x


def flux_gate(logits: Tensor, seed: Tensor, tau: float = 1.0) -> Tensor:
    noise = [
        [-math.log(-math.log(number((b, o), int(seed)) + 1e-8) + 1e-8) for o in range(logits.shape[1])]
        for b in range(logits.shape[0])
    ]
    soft = ((logits + torch.tensor(noise, dtype=logits.dtype).reshape(logits.shape)) / tau).softmax(-1)
    hard = torch.nn.functional.one_hot(soft.argmax(-1), logits.shape[1]).to(soft.dtype)
    return (hard + soft - soft.detach())[:, 1]


def flux_sparsity(z: Tensor, task: Tensor, target: Tensor, linear: Tensor, square: Tensor) -> Tensor:
    sparse = 1 - z.sum(0) / z.shape[0]
    means = []
    for one in sorted(set(task.tolist())):
        off = sparse[task == one] - target[one]
        means.append((linear[one] * off.abs() + square[one] * off.square()).mean())
    return torch.stack(means).mean()


CASES = (
    Case("flux", SELF, SMALL, {"full": booleans("b")}, causal=True),
    Case("flux", CROSS, SMALL, {"full": booleans("b", share=0.0)}, causal=True),
    Case("flux", SELF, SMALL | {"LAST": 4}, {"full": booleans("b", share=0.0)}, causal=True),
    Case("flux_train", SELF, SMALL, {"z": reals("b")}, causal=True),
    Case("flux_train", CROSS, SMALL, {"z": reals("b")}, causal=True),
    Case("flux_router", ROUTER, {"POOL": 7}, {"first": _ends(0, 9), "last": _ends(20, 40)}, lengths=("h",)),
    Case("flux_gate", {"b": 17, "o": 2}, lengths=("b",)),
    Case("flux_gate", {"b": 5, "o": 2}, {"tau": 0.5}, lengths=("b",)),
    Case("flux_sparsity", LAYERS, draw={"task": integers("b", high="t")}, lengths=()),
)

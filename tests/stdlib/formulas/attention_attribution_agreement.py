"""Rollout by the product of whole matrices, the mean map, and Kendall's tau pair by pair."""

import torch

from tests.stdlib.cases import Case, Sizes, Tensors, reals

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
RANKED = {"x": reals("b", "n"), "y": reals("b", "n")}


def tied(dice: torch.Generator, at: Sizes) -> Tensor:
    """Reals of which several are equal."""
    return torch.randint(0, 6, (at["b"], at["n"]), generator=dice).double()


def plain_map(Q: Tensor, K: Tensor) -> Tensor:
    return torch.softmax(torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5, -1)


def value_norms(V: Tensor, WO: Tensor) -> Tensor:
    sizes: Tensor = torch.linalg.vector_norm(V @ WO, dim=-1)
    return sizes


def average_map(Q: Tensor, K: Tensor, V: Tensor) -> Tensors:
    maps = plain_map(Q, K)
    mean = maps.mean(1)
    return {"O": maps @ V, "imp": mean.amax(-1) if mean.shape[-1] else mean.new_full(mean.shape[:-1], -torch.inf)}


def rollout_step(Q: Tensor, K: Tensor, V: Tensor, r: Tensor, norm: Tensor | float = 1.0) -> Tensors:
    maps = plain_map(Q, K)
    sizes = torch.as_tensor(norm, dtype=Q.dtype).expand(Q.shape[0], Q.shape[1], K.shape[2])
    added = (maps.detach() * sizes[:, :, None]).mean(1) + torch.eye(Q.shape[2], dtype=Q.dtype)
    total = (maps * sizes[:, :, None]).mean(1).sum(-1, keepdim=True) + 1
    return {"O": maps @ V, "next": (r[:, None] @ (added / total))[:, 0]}


def kendall_tau(x: Tensor, y: Tensor, k: int = 1000000000) -> Tensor:
    found = []
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        order = range(len(a))
        first = set(sorted(order, key=lambda i: (-a[i], i))[:k])
        second = set(sorted(order, key=lambda i: (-b[i], i))[:k])
        pairs = {frozenset((i, j)) for i in first for j in second if i != j}
        bad = 0.0
        for i, j in map(sorted, pairs):
            turns = (a[i] > a[j]) - (a[i] < a[j]), (b[i] > b[j]) - (b[i] < b[j])
            bad += 1.0 if turns[0] * turns[1] < 0 else 0.5 if 0 in turns and turns != (0, 0) else 0.0
        found.append(1 - 2 * bad / len(pairs) if pairs else 1.0)
    return torch.tensor(found, dtype=torch.float64)


CASES = (
    Case("kendall_tau", {"b": 3, "n": 21}, draw=RANKED, time=()),
    Case("kendall_tau", {"b": 3, "n": 21}, {"k": 5}, RANKED, time=()),
    Case("kendall_tau", {"b": 3, "n": 33}, {"k": 9}, {"x": tied, "y": RANKED["y"]}, time=(), name="tied"),
    Case("value_norms", {"b": 2, "h": 3, "n": 21, "f": 12, "d": 10}, time=()),
    Case("average_map", SELF, time=()),
    Case("average_map", SELF | {"m": 19, "n": 37}, time=()),
    Case("rollout_step", SELF, draw={"r": reals("b", "m")}, time=()),
    Case("rollout_step", SELF, draw={"r": reals("b", "m"), "norm": reals("b", "h", "n")}, time=(), name="norm"),
)

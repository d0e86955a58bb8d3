"""Weights of a prompt's other tokens turned down, and where positions look by role."""

import torch

from tests.stdlib.cases import Case, Tensors, integers

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}
PROMPT = {"prompt": integers("b", low=9, high=30)}


def causal_map(Q: Tensor, K: Tensor) -> Tensor:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    ahead = torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0
    return torch.softmax(scores.masked_fill(ahead, -torch.inf), -1)


def user_reweighting(Q: Tensor, K: Tensor, V: Tensor, user: Tensor, prompt: Tensor, alpha: float = 0.01) -> Tensor:
    template = ~user & (torch.arange(user.shape[1]) < prompt[:, None])
    weights = causal_map(Q, K) * alpha ** template[:, None, None].double()
    return weights / weights.sum(-1, keepdim=True) @ V


user_steering = user_reweighting


def role_masses(Q: Tensor, K: Tensor, role: Tensor) -> Tensors:
    shares = torch.nn.functional.one_hot(role, 4).to(Q.dtype)
    mass = torch.einsum("zhqk,zkr->zhqr", causal_map(Q, K), shares)
    return {"mass": mass, "head": mass[..., 2].argmax(1)}


def context_dependency(Q: Tensor, K: Tensor, user: Tensor, response: Tensor) -> Tensor:
    mass = (causal_map(Q, K) * user[:, None, None]).sum(-1).amax(1)
    return torch.stack([row[own].mean() for row, own in zip(mass, response, strict=True)])


CASES = (
    Case("user_steering", SELF, draw=PROMPT, causal=True),
    Case("user_steering", CROSS, {"alpha": 0.9}, PROMPT, causal=True),
    Case("user_reweighting", CROSS, {"alpha": 0.5}, PROMPT, causal=True),
    Case("role_masses", CROSS, causal=True),
    Case("context_dependency", SELF, rows=False),
)

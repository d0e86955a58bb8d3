"""Features of attention's output, by matrices, and their parts by head and by position."""

import torch

from tests.stdlib.cases import Case, Tensors, normals

Tensor = torch.Tensor
SELF = {"b": 2, "h": 3, "m": 33, "n": 33, "e": 8, "f": 12}
CROSS = SELF | {"m": 19, "n": 37}


def causal_map(Q: Tensor, K: Tensor) -> Tensor:
    scores = torch.einsum("zhqd,zhkd->zhqk", Q, K) / Q.shape[-1] ** 0.5
    ahead = torch.ones(scores.shape[-2:]).triu(scores.shape[-1] - scores.shape[-2] + 1) > 0
    return torch.softmax(scores.masked_fill(ahead, -torch.inf), -1)


def feature_heads(Wd: Tensor) -> Tensor:
    sizes: Tensor = torch.linalg.vector_norm(Wd, dim=-1)
    return sizes / sizes.sum(1, keepdim=True)


def feature_sources(Q: Tensor, K: Tensor, V: Tensor, We: Tensor) -> Tensors:
    maps = causal_map(Q, K)
    added = maps.detach() * (V * We[:, None]).sum(-1)[:, :, None]
    return {"O": maps @ V, "source": added.sum(1)}


def feature_peaks(Q: Tensor, K: Tensor, V: Tensor, We: Tensor) -> Tensors:
    maps = causal_map(Q, K)
    added = maps * (V * We[:, None]).sum(-1)[:, :, None]
    ahead = torch.ones(maps.shape[-2:]).triu(maps.shape[-1] - maps.shape[-2] + 1) > 0
    return {"O": maps @ V, "peak": added.masked_fill(ahead, -torch.inf).amax(-1)}


def attention_output_sae_dfa(
    Q: Tensor, K: Tensor, V: Tensor, We: Tensor, be: Tensor, bd: Tensor | float = 0.0
) -> Tensors:
    outputs = causal_map(Q, K) @ V
    side = outputs.transpose(1, 2).flatten(2)
    bias = torch.as_tensor(bd, dtype=Q.dtype).expand(We.shape[:2]).flatten()
    features = torch.relu((side - bias) @ We.flatten(0, 1) + be)
    return {"O": outputs, "a": features, "by_head": torch.einsum("bhmf,hfj->bmhj", outputs, We)}


CASES = (
    Case("feature_heads", {"j": 20, "h": 3, "f": 12}, lengths=("j",), time=()),
    Case("feature_sources", SELF, causal=True, time=("m",)),
    Case("feature_sources", CROSS, time=("m",)),
    Case("feature_peaks", CROSS, causal=True),
    Case("attention_output_sae_dfa", SELF | {"j": 20}, causal=True),
    Case("attention_output_sae_dfa", CROSS | {"j": 20}, draw={"bd": normals("h", "f")}, causal=True),
)

"""Models of Transformers, tiny and random, with attentions of attnc in place of their own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

import attnc
from attnc import AttnError
from attnc.contract import Reference, judge

transformers = pytest.importorskip("transformers")
from transformers import masking_utils  # noqa: E402

from attnc.integrations.masks import mask_of, pattern_of  # noqa: E402
from attnc.integrations.transformers import register, served  # noqa: E402
from attnc.library import Spec  # noqa: E402
from attnc.runtime.attention import Attention  # noqa: E402
from attnc.source import Source  # noqa: E402

HEAD = "(Q[b,h,m,e], K[b,g,n,e], V[b,g,n,f], seen[b,n]: bool"
SHARED = """
    require H % G == 0 and G >= 1
    r = H // G
    index N - M <= m < N
"""
LLAMA = f"""
attention llama{HEAD}) -> O:{SHARED}
    S[b,h,m,n] = Q * K[b,h // r,n,e] / sqrt(E) where n <= m and seen
    O[b,h,m,f] = softmax[n](S) * V[b,h // r,n,f]
"""
MISTRAL = f"""
attention mistral{HEAD}; W: int = 8) -> O:{SHARED}
    S[b,h,m,n] = Q * K[b,h // r,n,e] / sqrt(E) where 0 <= m - n < W and seen
    O[b,h,m,f] = softmax[n](S) * V[b,h // r,n,f]
"""
GEMMA = f"""
attention gemma{HEAD}, scale[]; W: int = 8, cap: real = 50.0) -> O:{SHARED}
    S[b,h,m,n] = Q * K[b,h // r,n,e]
    Z[b,h,m,n] = cap * tanh(scale * S / cap) where 0 <= m - n < W and seen
    O[b,h,m,f] = softmax[n](Z) * V[b,h // r,n,f]
"""
SINKS = f"""
attention sinks{HEAD}, sink[h]; W: int = 8) -> O:{SHARED}
    index t <= N
    S[b,h,m,n] = Q * K[b,h // r,n,e] / sqrt(E) where 0 <= m - n < W and seen
    S[b,h,m,N] = sink
    A[b,h,m,t] = softmax[t](S[b,h,m,t])
    O[b,h,m,f] = A[b,h,m,n] * V[b,h // r,n,f]
"""
TABLE = """
attention table(Q[b,h,m,e], K[b,h,n,e], V[b,h,n,f], seen[b,m,n]: bool) -> O:
    index N - M <= m < N
    S[b,h,m,n] = Q * K / sqrt(E) where n <= m and seen[b,m,n]
    O[b,h,m,f] = softmax[n](S) * V
"""
SMALL: dict[str, Any] = {"vocab_size": 67, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
SMALL |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128}
SMALL |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
LAYERS = ["sliding_attention", "full_attention"]
EXPERTS = {"num_local_experts": 2, "num_experts_per_tok": 1}
MODELS: dict[str, tuple[str, dict[str, Any], str, dict[str, str]]] = {
    "llama": ("Llama", {}, LLAMA, {}),
    "mistral": ("Mistral", {"sliding_window": 5}, MISTRAL, {"W": "sliding_window"}),
    "gemma": (
        "Gemma2",
        {"sliding_window": 5, "layer_types": LAYERS, "query_pre_attn_scalar": 3, "attn_logit_softcapping": 2.0},
        GEMMA,
        {"W": "sliding_window", "cap": "softcap", "scale": "scaling"},
    ),
    "sinks": (
        "GptOss",
        {"sliding_window": 5, "layer_types": LAYERS, **EXPERTS},
        SINKS,
        {"W": "sliding_window", "sink": "s_aux"},
    ),
}


def some(*quick: tuple[str, str]) -> list[Any]:
    """Every model with every kind of cache or padding; those that are not named are slow together."""
    kinds = ("dynamic", "static") if quick[0][1] in ("dynamic", "static") else ("left", "right")
    pairs = [(name, kind) for name in MODELS for kind in kinds]
    return [pytest.param(*pair, marks=() if pair in quick else (pytest.mark.exhaustive,)) for pair in pairs]


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    torch.manual_seed(0)


def pair(name: str) -> tuple[Any, Any]:
    """A model as it is, and the same with an attention of attnc."""
    kind, further, text, takes = MODELS[name]
    for implementation, attention in ((f"attnc-{name}", attnc.compile(text)), (f"exact-{name}", defined(text))):
        register(implementation, attention, {"seen": "padding", **takes})
    config = getattr(transformers, f"{kind}Config")(**SMALL | further)
    config._attn_implementation = config._experts_implementation = "eager"
    plain = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.3 if parameter.dim() > 1 else 0.5))
    own = copy.deepcopy(plain)
    own.set_attn_implementation(f"attnc-{name}")
    return plain, own


class Definition(Attention):
    """An attention whose calls are evaluated from its definition in float64."""

    def __call__(self, *args: object, **named: object) -> Any:
        """The outputs by the definition."""
        return self.reference(*args, **named)


def defined(text: str) -> Definition:
    """The definition that a text states."""
    return Definition(Spec(Source("<string>", text), None, None))


def tokens(batch: int = 3, length: int = 19) -> torch.Tensor:
    """A text of nobody's."""
    return torch.randint(3, 67, (batch, length))


def left_padded(batch: int = 3, length: int = 19) -> torch.Tensor:
    """Which tokens are there: the first text is whole, the others begin later."""
    return (torch.arange(length) >= torch.tensor([0, 4, 11])[:batch, None]).long()


def keeps(found: torch.Tensor, plain: Any, name: str, where: torch.Tensor | None = None, **inputs: Any) -> bool:
    """Whether logits are as near to the definition's, in a model of float64, as the model's own are."""
    at = torch.ones_like(inputs["input_ids"]).bool() if where is None else where.bool()
    exactly = copy.deepcopy(plain).double()
    exactly.set_attn_implementation(name)
    with torch.no_grad():
        own, exact = plain(**inputs).logits[at], exactly(**inputs).logits[at]
    largest = float(exact.abs().max())
    assert float((own - exact).abs().max()) < 1e-4 * largest, "the definition is not what the model does itself"
    return judge("logits", found[at], Reference(exact, own.double(), largest)).passed


@pytest.mark.parametrize("name", MODELS)
def test_logits_keep_the_contract(name: str) -> None:
    plain, own = pair(name)
    ids = tokens()
    with torch.no_grad():
        assert keeps(own(input_ids=ids, use_cache=False).logits, plain, f"exact-{name}", input_ids=ids, use_cache=False)
        assert keeps(own(input_ids=ids).logits, plain, f"exact-{name}", input_ids=ids)


@pytest.mark.parametrize(("name", "side"), some(("sinks", "left"), ("llama", "right")))
def test_logits_of_a_padded_batch_keep_the_contract(name: str, side: str) -> None:
    plain, own = pair(name)
    there = left_padded() if side == "left" else left_padded().flip(1)
    given = {"input_ids": tokens(), "attention_mask": there}
    with torch.no_grad():
        assert keeps(own(**given).logits, plain, f"exact-{name}", there, **given)
        # what lies to the right of a text is in its future, and unseen anyway
        assert side == "right" or not keeps(
            own(input_ids=given["input_ids"]).logits, plain, f"exact-{name}", there, **given
        )


@pytest.mark.parametrize(("name", "cache"), some(("mistral", "dynamic"), ("gemma", "static")))
def test_what_is_generated_with_a_cache_is_the_same(name: str, cache: str) -> None:
    plain, own = pair(name)
    options = {"max_new_tokens": 9, "do_sample": False, "cache_implementation": cache, "disable_compile": True}
    options |= {"output_logits": True, "return_dict_in_generate": True, "eos_token_id": None}
    given = {"input_ids": tokens(), "attention_mask": left_padded()}
    wanted, found = plain.generate(**given, **options), own.generate(**given, **options)
    assert torch.equal(found.sequences, wanted.sequences)
    torch.testing.assert_close(torch.stack(found.logits), torch.stack(wanted.logits), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "name", ["sinks", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in MODELS if name != "sinks")]
)
def test_a_step_of_training_is_the_same(name: str) -> None:
    plain, own = pair(name)
    ids = tokens()
    for model in (plain, own):
        model.train()
        optimiser = torch.optim.SGD(model.parameters(), lr=1e-2)
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()
    for (key, one), other in zip(plain.named_parameters(), own.parameters(), strict=True):
        assert other.grad is not None, key
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-3, atol=1e-4 * float(one.grad.abs().max()), msg=key)
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5, msg=key)


def test_key_heads_are_repeated_for_a_spec_that_does_not_share_them() -> None:
    plain, own = pair("llama")
    register("attnc-plain", "std:causal_softmax")
    own.set_attn_implementation("attnc-plain")
    ids = tokens()
    with torch.no_grad():
        assert keeps(own(input_ids=ids).logits, plain, "exact-llama", input_ids=ids)


# ---- compiled ----------------------------------------------------------------------------------


def test_a_model_is_one_graph_and_keeps_the_contract() -> None:
    plain, own = pair("llama")
    torch._dynamo.reset()
    there, given = left_padded(), {"input_ids": tokens(), "use_cache": False}
    compiled: Callable[..., Any] = torch.compile(own, fullgraph=True, backend="aot_eager")
    logits = compiled(**given, attention_mask=there).logits
    assert keeps(logits.detach(), plain, "exact-llama", there, **given, attention_mask=there)
    wanted = own(**given, attention_mask=there).logits
    parameters = list(own.parameters())
    for one, other in zip(*(pulled(found[there.bool()], parameters) for found in (logits, wanted)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))


def pulled(logits: torch.Tensor, parameters: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """The gradients of a loss."""
    return torch.autograd.grad(logits.square().mean(), parameters)


@pytest.mark.parametrize(("name", "mask"), [("llama", None), ("mistral", left_padded())])
def test_a_mask_that_cannot_be_seen_in_compiled_code_is_refused(name: str, mask: torch.Tensor | None) -> None:
    _, own = pair(name)
    torch._dynamo.reset()
    compiled: Callable[..., Any] = torch.compile(own, fullgraph=True, backend="aot_eager")
    with pytest.raises(Exception, match=r"error\[A651\].*a mask of its own making"):
        compiled(input_ids=tokens(), use_cache=False, attention_mask=mask)


# ---- masks -------------------------------------------------------------------------------------


def own_llama(name: str, text: str, takes: dict[str, Any] | None = None, **options: Any) -> tuple[Any, Any]:
    """A Llama, and the same with this attention."""
    plain, own = pair("llama")
    register(name, attnc.compile(text) if text.strip().startswith("attention") else text, takes, **options)
    own.set_attn_implementation(name)
    return plain, own


def code_of(call: Any) -> str:
    with pytest.raises(AttnError) as mistake:
        call()
    return mistake.value.code


def test_padding_is_never_dropped() -> None:
    _, own = own_llama("attnc-unpadded", "std:causal_softmax_gqa")
    ids = tokens()
    assert code_of(lambda: own(input_ids=ids, attention_mask=left_padded())) == "A651"
    own(input_ids=ids, attention_mask=torch.ones_like(ids))


def test_a_table_is_never_dropped() -> None:
    plain, own = own_llama("attnc-causal", "std:causal_softmax_gqa")
    ids = tokens(2, 6)
    packed: dict[str, Any] = {
        "input_ids": ids,
        "position_ids": torch.tensor([[0, 1, 2, 0, 1, 2]] * 2),
        "use_cache": False,
    }
    table = torch.ones(6, 6).tril().bool()
    table[4, :3] = False
    given = {"input_ids": ids, "attention_mask": table.expand(2, 1, 6, 6)}
    assert code_of(lambda: own(**packed)) == "A651"
    assert code_of(lambda: own(**given)) == "A651"
    plain, own = own_llama("attnc-table", TABLE, {"seen": "attention_mask"})
    register("exact-table", defined(TABLE), {"seen": "attention_mask"})
    additive = torch.where(given["attention_mask"], 0.0, torch.finfo(torch.float32).min)
    with torch.no_grad():
        assert keeps(own(**packed).logits, plain, "exact-table", **packed)
        found, wanted = own(**given).logits, plain(input_ids=ids, attention_mask=additive).logits
        padded = {"input_ids": ids, "attention_mask": left_padded(2, 6)}
        assert keeps(own(**padded).logits, plain, "exact-llama", padded["attention_mask"], **padded)
        assert keeps(own(input_ids=ids).logits, plain, "exact-llama", input_ids=ids)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert code_of(lambda: own(input_ids=ids, attention_mask=additive)) == "A651"


def test_a_pattern_that_the_spec_was_not_registered_for_is_refused() -> None:
    _, own = pair("llama")
    own.config.is_causal = False
    assert code_of(lambda: own(input_ids=tokens())) == "A651"
    register("attnc-full", "std:softmax_attention", patterns=("bidirectional",))
    own.set_attn_implementation("attnc-full")
    own(input_ids=tokens())


def test_patterns_are_those_of_transformers() -> None:
    window = masking_utils.sliding_window_causal_mask_function(5)
    assert pattern_of(masking_utils.causal_mask_function) == ("causal", None)
    assert pattern_of(window) == ("sliding", 5)
    assert pattern_of(masking_utils.bidirectional_mask_function) == ("bidirectional", None)
    for function in (
        masking_utils.and_masks(window, masking_utils.causal_mask_function),
        masking_utils.or_masks(masking_utils.sliding_window_overlay(5), masking_utils.causal_mask_function),
        masking_utils.and_masks(masking_utils.sliding_window_overlay(5), masking_utils.bidirectional_mask_function),
        masking_utils.chunked_causal_mask_function(4, torch.zeros(1, dtype=torch.int64)),
        lambda b, h, q, k: k <= q,
    ):
        assert pattern_of(function) == ("other", None)


def test_the_keys_in_use_of_a_cache_with_room_are_the_first() -> None:
    found = mask_of(2, q_length=1, kv_length=64, q_offset=9, attention_mask=torch.ones(2, 10, dtype=torch.bool))
    assert (found.keys, found.padding, found.table().shape) == (10, None, (2, 1, 1, 10))


# ---- keywords ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"softcap": 50.0}, "A650"),
        ({"sliding_window": 4}, "A650"),
        ({"scaling": 0.1}, "A650"),
        ({"dropout": 0.1}, "A650"),
        ({"s_aux": torch.ones(2)}, "A650"),
        ({"some_new_thing": 1}, "A650"),
        ({"output_attentions": True}, "A650"),
    ],
)
def test_what_a_layer_gives_is_taken_or_refused(given: dict[str, Any], code: str) -> None:
    q = torch.randn(1, 2, 5, 4)
    own = served("std:causal_softmax")
    assert code_of(lambda: own(None, q, q, q, None, **given)) == code
    ignoring = served("std:causal_softmax", ignore=tuple(given))
    assert torch.equal(ignoring(None, q, q, q, None, **given)[0], own(None, q, q, q, None)[0])
    harmless = {"scaling": 0.5, "dropout": 0.0, "softcap": None, "position_ids": torch.arange(5), "use_cache": True}
    assert torch.equal(own(None, q, q, q, None, **harmless)[0], own(None, q, q, q, None)[0])


def test_an_input_may_come_from_the_layer() -> None:
    layer = torch.nn.Module()
    layer.slopes = torch.nn.Parameter(torch.rand(2))
    q = torch.randn(1, 2, 5, 4)
    found, weights = served("std:alibi", {"slope": lambda module: module.slopes})(layer, q, q, q, None)
    assert weights is None
    assert torch.equal(found, attnc.std.alibi(q, q, q, layer.slopes).transpose(1, 2))


@pytest.mark.parametrize(
    ("attention", "takes"),
    [("std:alibi", {}), ("std:causal_softmax", {"W": "sliding_window"}), ("std:alibi", {"slopes": "s_aux"})],
)
def test_an_attention_that_lacks_something_is_not_registered(attention: str, takes: dict[str, str]) -> None:
    assert code_of(lambda: served(attention, takes)) == "A652"


def test_a_layer_without_what_is_taken_is_refused() -> None:
    q = torch.randn(1, 2, 5, 4)
    assert code_of(lambda: served("std:alibi", {"slope": "s_aux"})(None, q, q, q, None)) == "A650"

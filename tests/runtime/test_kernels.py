"""`kernels` gives the generated code by role, for a machine that need not be here, and what it takes."""

import pytest

import attnc
from attnc import AttnError

HEADS = {"e": 16, "f": 24}
STAGES = """attention stages(Q[b,m,e], K[b,n,e], V[b,n,f], P1[b,p,f], U[b,p,e]) -> O:
    Y[b,m,f] = softmax[n](sum[e](Q * K)) * V
    O[b,m,e] = softmax[p](sum[f](Y * P1)) * U
"""


@pytest.mark.parametrize(("target", "dtype", "words"), [("cpu", "fp32", "attnc_run"), ("sm_90", "bf16", "@triton.jit")])
def test_a_kernel_has_source_role_and_signature(target: str, dtype: str, words: str) -> None:
    kernel = attnc.std.alibi.kernels(target=target, dtype=dtype, shape=HEADS)["forward"]
    assert (kernel.role, kernel.stage, kernel.target.name) == ("forward", "O", target)
    assert words in kernel.source
    assert "A[b,h,m,n] = softmax[n](S - slope * (m - n) where causal(m, n))" in kernel.source
    types = {param.name: param.dtype for param in kernel.signature.params}
    assert set(types) == {"Q", "K", "V", "slope", "O"}
    assert set(types.values()) == {"float32" if dtype == "fp32" else "bfloat16"}


def test_a_cpu_kernel_tells_what_it_keeps() -> None:
    kernel = attnc.std.alibi.kernels(shape=HEADS)["forward"]
    assert kernel.resources.tile_bytes > 4 * 64 * (16 + 24)


def test_stages_have_roles_and_the_first_output_is_forward() -> None:
    made = attnc.compile(STAGES, strict=True).kernels(shape={"e": 8, "f": 8})
    assert {role for role in made if role.startswith("forward")} == {"forward", "forward.Y"}
    assert "O" in {param.name for param in made["forward"].signature.params if param.output}


@pytest.mark.parametrize(("target", "dtype"), [("cpu", "fp32"), ("sm_90", "bf16")])
def test_backward_kernels_are_named_by_the_gradients_they_give(target: str, dtype: str) -> None:
    made = attnc.std.alibi.kernels(target=target, dtype=dtype, shape=HEADS)
    assert set(made) == {"forward", "backward_dA_sum", "backward_K", "backward_Q"}
    given = {param.name: param.dtype for param in made["backward_K"].signature.params if param.output}
    assert given == dict.fromkeys(("dK", "dV"), "float32" if dtype == "fp32" else "bfloat16")
    assert "S - slope * (m - n)" in made["backward_Q"].source


def test_options_are_compiled_in() -> None:
    one, two = (attnc.std.window_softmax.kernels(shape=HEADS, W=width)["forward"].source for width in (100, 200))
    assert one != two


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("A630", {}),
        ("A630", {"shape": {"e": 16}}),
        ("A625", {"shape": {**HEADS, "z": 3}}),
        ("A621", {"shape": {"e": 16, "f": 0.5}}),
        ("A621", {"shape": {"e": 16, "f": -1}}),
        ("A503", {"shape": HEADS, "target": "sm_1"}),
        ("A603", {"shape": HEADS, "dtype": "fp8"}),
        ("A101", {"shape": HEADS, "W": 3}),
    ],
)
def test_wrong_requests_are_told(code: str, arguments: dict[str, object]) -> None:
    with pytest.raises(AttnError) as found:
        attnc.std.alibi.kernels(**arguments)
    assert found.value.code == code

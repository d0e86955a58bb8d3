"""Causal attention as written by hand: the loop of FlashAttention-2 in Triton, and what it compiles to.

`python -m tests.codegen.expert '{"target": "sm_90", "rows": 128, "keys": 64, "width": 64, "warps": 4, "stages": 3}'`
prints its registers, spilled bytes, and the instructions of its inner loops.
"""

# mypy: ignore-errors
import json
import sys

import triton
import triton.language as tl


@triton.jit
def folded(
    b_o,
    b_sum,
    b_max,
    b_q,
    p_k,
    p_v,
    k_s,
    v_s,
    lo,
    hi,
    o_m,
    n_size,
    scale,
    keys: tl.constexpr,
    width: tl.constexpr,
    cut: tl.constexpr,
):
    o_d = tl.arange(0, width)
    for n_first in range(lo, hi, keys):
        o_n = n_first + tl.arange(0, keys)
        if cut:
            b_k = tl.load(p_k + o_n[:, None] * k_s + o_d[None, :], mask=(o_n < n_size)[:, None], other=0)
        else:
            b_k = tl.load(p_k + o_n[:, None] * k_s + o_d[None, :])
        b_s = tl.dot(b_q, tl.trans(b_k))
        if cut:
            b_s = tl.where(o_n[None, :] <= o_m[:, None], b_s, float("-inf"))
        b_new = tl.maximum(b_max, tl.max(b_s, 1) * scale)
        b_p = tl.exp2(b_s * scale - b_new[:, None])
        b_keep = tl.exp2(b_max - b_new)
        b_sum = b_sum * b_keep + tl.sum(b_p, 1)
        b_o = b_o * b_keep[:, None]
        if cut:
            b_v = tl.load(p_v + o_n[:, None] * v_s + o_d[None, :], mask=(o_n < n_size)[:, None], other=0)
        else:
            b_v = tl.load(p_v + o_n[:, None] * v_s + o_d[None, :])
        b_o = tl.dot(b_p.to(b_v.dtype), b_v, b_o)
        b_max = b_new
    return b_o, b_sum, b_max


@triton.jit
def causal(
    p_q,
    p_k,
    p_v,
    p_o,
    q_s0,
    q_s1,
    q_s2,
    k_s0,
    k_s1,
    k_s2,
    v_s0,
    v_s1,
    v_s2,
    o_s0,
    o_s1,
    o_s2,
    h_size,
    m_size,
    n_size,
    scale,
    rows: tl.constexpr,
    keys: tl.constexpr,
    width: tl.constexpr,
):
    i_b, i_h = (tl.program_id(1) // h_size).to(tl.int64), (tl.program_id(1) % h_size).to(tl.int64)
    m_first = tl.program_id(0) * rows
    o_m, o_d = m_first + tl.arange(0, rows), tl.arange(0, width)
    p_k += i_b * k_s0 + i_h * k_s1
    p_v += i_b * v_s0 + i_h * v_s1
    p_q += i_b * q_s0 + i_h * q_s1
    p_o += i_b * o_s0 + i_h * o_s1
    b_q = tl.load(p_q + o_m[:, None] * q_s2 + o_d[None, :], mask=(o_m < m_size)[:, None], other=0)
    b_o = tl.zeros([rows, width], tl.float32)
    b_sum = tl.zeros([rows], tl.float32)
    b_max = tl.full([rows], float("-inf"), tl.float32)
    edge, end = tl.minimum(m_first, n_size) // keys * keys, tl.minimum(n_size, m_first + rows)
    for_all = (p_k, p_v, k_s2, v_s2)
    b_o, b_sum, b_max = folded(b_o, b_sum, b_max, b_q, *for_all, 0, edge, o_m, n_size, scale, keys, width, False)
    b_o, b_sum, b_max = folded(b_o, b_sum, b_max, b_q, *for_all, edge, end, o_m, n_size, scale, keys, width, True)
    b_o = b_o / b_sum[:, None]
    tl.store(p_o + o_m[:, None] * o_s2 + o_d[None, :], b_o.to(p_o.dtype.element_ty), mask=(o_m < m_size)[:, None])


def compiled(target: str, rows: int, keys: int, width: int, warps: int, stages: int) -> object:
    """The kernel compiled for bfloat16 tensors whose strides are multiples of 16."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = causal.arg_names
    sizes = {"rows": rows, "keys": keys, "width": width}
    kinds = {"scale": "fp32"} | dict.fromkeys(sizes, "constexpr")
    signature = {name: "*bf16" if name.startswith("p_") else kinds.get(name, "i32") for name in names}
    constants = {(names.index(name),): size for name, size in sizes.items()}
    aligned = [name for name in names if name.startswith("p_") or ("_s" in name and name[-1].isdigit())]
    attributes = {(names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    program = ASTSource(fn=causal, signature=signature, constexprs=constants, attrs=attributes)
    place = GPUTarget("cuda", int(target.removeprefix("sm_")), 32)
    options = {"num_warps": warps, "num_stages": stages, "enable_fp_fusion": True}
    return triton.compile(program, target=place, options=options)


def report(**choice: int) -> dict[str, object]:
    """What the compiled kernel takes and what its loops are made of."""
    from attnc.codegen.disassembly import disassemble, inner_loops, mix
    from attnc.codegen.offline import resources_of
    from attnc.ir.target import find_target

    built = compiled(**choice)
    taken = resources_of(built, find_target(choice["target"]), choice["warps"])
    loops = [mix(loop) for loop in inner_loops(disassemble(built.asm["cubin"]))]
    return {"registers": taken.registers, "spills": taken.spills, "loops": [loop for loop in loops if loop["matrix"]]}


if __name__ == "__main__":
    print(json.dumps(report(**json.loads(sys.argv[1]))))

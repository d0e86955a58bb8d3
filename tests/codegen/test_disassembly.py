"""What the inner loops of machine code are made of: NVIDIA's and AMD's listings, read from text."""

import pytest

from attnc.codegen.disassembly import inner_loops, kind_of, main_loop, mix

NVIDIA = """
.text.kernel:
        /*0000*/                   MOV R1, c[0x0][0x28] ;
.L_x_0:
        /*0010*/                   HMMA.16816.F32.BF16 R4, R8, R10, R4 ;
        /*0020*/                   HMMA.16816.F32.BF16 R4, R8, R10, R4 ;
        /*0030*/              @!P0 MUFU.EX2 R5, R5 ;
        /*0040*/                   FFMA R6, R5, R7, -R6 ;
        /*0050*/               @P0 BRA `(.L_x_0) ;
.L_x_1:
        /*0060*/                   HMMA.16816.F32.BF16 R4, R8, R10, R4 ;
        /*0070*/                   HMMA.16816.F32.BF16 R4, R8, R10, R4 ;
        /*0080*/                   ISETP.GT.AND P0, PT, R1, R2, PT ;
        /*0090*/                   FSEL R6, R6, -INF , !P0 ;
        /*00a0*/                   MUFU.EX2 R5, R5 ;
        /*00b0*/                   FFMA R6, R5, R7, -R6 ;
        /*00c0*/                   LDL R9, [R1] ;
        /*00d0*/               @P1 BRA `(.L_x_1) ;
        /*00e0*/                   BRA `(.L_x_2) ;
.L_x_2:
        /*00f0*/                   EXIT ;
"""
AMD = """
.LBB0_1:
\tv_mfma_f32_32x32x8_bf16_1k a[0:15], v[2:3], v[4:5], a[0:15]
.LBB0_2:
\tv_exp_f32_e32 v1, v1
\tv_fma_f32 v2, v1, v3, v4
\tds_read_b128 v[4:7], v8
\ts_cbranch_scc1 .LBB0_2
\ts_cbranch_vccnz .LBB0_1
\ts_endpgm
"""


def test_loops_are_those_of_backward_jumps() -> None:
    whole, cut = inner_loops(NVIDIA)
    assert sum(whole.values()) == 5
    assert mix(cut) == mix(whole) | {"integer": 1, "real": 2, "spills": 1}


def test_the_loop_over_whole_tiles_is_the_shortest_with_all_products() -> None:
    assert main_loop(NVIDIA) == dict.fromkeys(mix(inner_loops(NVIDIA)[0]), 0) | {
        "matrix": 2,
        "functions": 1,
        "real": 1,
        "control": 1,
    }
    assert main_loop("") is None


def test_only_innermost_loops_count() -> None:
    (loop,) = inner_loops(AMD)
    assert {kind: number for kind, number in mix(loop).items() if number} == {
        "functions": 1,
        "real": 1,
        "shared": 1,
        "control": 1,
    }


@pytest.mark.parametrize(
    ("opcode", "kind"),
    [
        ("HGMMA", "matrix"),
        ("UTCHMMA", "matrix"),
        ("QGMMA", "matrix"),
        ("v_mfma_f32_16x16x16_bf16", "matrix"),
        ("MUFU", "functions"),
        ("FMNMX3", "real"),
        ("FADD2", "real"),
        ("v_pk_mul_f32", "real"),
        ("F2FP", "conversions"),
        ("LDSM", "shared"),
        ("LDTM", "shared"),
        ("LDGSTS", "global"),
        ("STL", "spills"),
        ("LDGDEPBAR", "control"),
        ("IMAD", "integer"),
        ("v_add_u32_e32", "integer"),
    ],
)
def test_instructions_by_what_they_do(opcode: str, kind: str) -> None:
    assert kind_of(opcode) == kind

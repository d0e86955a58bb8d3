"""What is spilled is told from a stack that is a table."""

import re
from pathlib import Path

import pytest

from attnc.codegen import spills
from attnc.codegen.spills import spilled

ENTRIES = "".join(
    f"    ld.global.u32 %r1, [%rd2+{4 * place}];\n    st.local.u32 [%rd1+{4 * place}], %r1;\n" for place in range(256)
)
PTX = f"""
.version 8.0
.target sm_90
.address_size 64
.visible .entry kernel(.param .u64 p)
{{
    .local .align 4 .b8 table[1024];
    .reg .b32 %r<4>;
    .reg .b64 %rd<8>;
    mov.u64 %rd1, table;
    ld.param.u64 %rd2, [p];
{ENTRIES}    ld.global.u32 %r1, [%rd2+1024];
    and.b32 %r2, %r1, 1020;
    cvt.u64.u32 %rd3, %r2;
    add.u64 %rd4, %rd1, %rd3;
    ld.local.u32 %r3, [%rd4];
    st.global.u32 [%rd2], %r3;
    ret;
}}
"""


def test_a_table_is_not_spilled() -> None:
    assert re.search(r"[1-9]\d* bytes stack frame", spills._assembled(PTX))
    assert spilled(PTX, 32) == 0


@pytest.mark.parametrize(("said", "expected"), [("8 bytes spill stores", 40), ("0 bytes spill stores", 0), ("", 40)])
def test_what_the_assembler_says_decides(said: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spills, "_assembled", lambda _: said)
    assert spilled(PTX, 40) == expected


def test_a_kernel_without_a_stack_is_not_assembled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spills, "tool", lambda _: Path("nowhere"))
    assert spilled(PTX, 0) == 0

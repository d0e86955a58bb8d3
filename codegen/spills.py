"""What NVIDIA's assembler spills."""

from __future__ import annotations

import re
import subprocess
import tempfile

from attnc.codegen.disassembly import tool

BLACKWELL = 100  # from here on Triton brings an assembler of its own


def spilled(ptx: str, stack: int) -> int:
    """The bytes of a thread's `stack` that are there for want of registers.

    A stack may be nothing but a table, as that of sine and cosine for large arguments: the assembler is asked again.
    """
    if not stack:
        return 0
    said = _assembled(ptx)
    stores = [int(number) for number in re.findall(r"(\d+) bytes spill stores", said)]
    return stack if any(stores) or not stores else 0


def _assembled(ptx: str) -> str:
    """What the assembler says of the registers and the stack."""
    target = re.search(r"^\.target\s+(sm_(\d+)\w*)", ptx, re.MULTILINE)
    if target is None:
        return ""
    own = tool("ptxas-blackwell") if int(target[2]) >= BLACKWELL else tool("ptxas")
    with tempfile.NamedTemporaryFile("w", suffix=".ptx", encoding="utf-8") as file:
        file.write(ptx)
        file.flush()
        command = [str(own if own.exists() else tool("ptxas")), "-v", "-lineinfo", f"--gpu-name={target[1]}", file.name]
        return subprocess.run([*command, "-o", "/dev/null"], capture_output=True, text=True, check=False).stderr

"""What the inner loops of a compiled kernel are made of: instructions by what they do, from the disassembly."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# Opcodes by kind, those of NVIDIA, then those of AMD; the first pattern that fits says what an instruction is.
KINDS = {
    "matrix": r"[HIQDO]?G?MMA|UTC\w*MMA|v_mfma|v_smfmac",
    "control": r"BRA|BAR|BSSY|BSYNC|CALL|RET|WARP|DEPBAR|LDGDEPBAR|YIELD|SYNCS|FENCE|MEMBAR|"
    r"UTCBAR|s_(waitcnt|barrier|cbranch|branch|sched|setprio)",
    "functions": r"MUFU|v_(exp|log|rcp|rsq|sqrt|sin|cos)_",
    "spills": r"LDL|STL|scratch_",
    "shared": r"LDS|STS|LDSM|STSM|LDTM|STTM|ds_",
    "global": r"LDG|STG|LDGSTS|UTMA|global_|buffer_|flat_",
    "conversions": r"F2F|F2FP|F2I|I2F|I2FP|FRND|v_cvt|v_pk_cvt",
    "real": r"F(FMA|MUL|ADD|MNMX|SEL|SETP|SET|CHK|SWZADD)|H(ADD|MUL|FMA)2|v_(pk_)?\w*_f(32|16)|v_cndmask",
    "integer": r"",
}
PADDING = ("NOP", "s_nop")  # fills a line of instructions or a wait; not counted
_PATTERNS = {kind: re.compile(pattern) for kind, pattern in KINDS.items()}


def kind_of(opcode: str) -> str:
    """What an instruction does; what nothing else fits is integer arithmetic, moves and comparisons."""
    return next(kind for kind, pattern in _PATTERNS.items() if pattern.match(opcode))


def inner_loops(text: str) -> list[Counter[str]]:
    """The instructions of every loop that has none inside, by opcode, in the order of the binary."""
    opcodes, labels, jumps = _parsed(text)
    ends: dict[int, int] = {}  # a loop that skips part of a turn jumps back from several places
    for at, to in jumps:
        if labels.get(to, at) < at:
            ends[labels[to]] = max(at + 1, ends.get(labels[to], 0))
    spans = list(ends.items())
    inner = [own for own in spans if not any(_inside(other, own) for other in spans)]
    return [Counter(opcodes[start:end]) for start, end in inner]


def _inside(other: tuple[int, int], own: tuple[int, int]) -> bool:
    return other != own and own[0] <= other[0] and other[1] <= own[1]


def mix(loop: Counter[str]) -> dict[str, int]:
    """A loop's instructions by kind."""
    found = dict.fromkeys(KINDS, 0)
    for opcode, number in loop.items():
        found[kind_of(opcode)] += number
    return found


def main_loop(text: str) -> dict[str, int] | None:
    """The loop over whole tiles: of the inner loops with the most matrix products the shortest; None without a loop."""
    mixes = [mix(loop) for loop in inner_loops(text)]
    return min(mixes, key=lambda item: (-item["matrix"], sum(item.values())), default=None)


def matrix_opcodes(text: str) -> list[str]:
    """The kinds of matrix instructions in a kernel, sorted; empty where it has none."""
    return sorted({opcode for opcode in _parsed(text)[0] if kind_of(opcode) == "matrix"})


def _parsed(text: str) -> tuple[list[str], dict[str, int], list[tuple[int, str]]]:
    """Opcodes, the places of labels, and jumps with the labels they go to."""
    opcodes: list[str] = []
    labels: dict[str, int] = {}
    jumps = []
    for line in text.splitlines():
        label = re.match(r"\s*(\.L_?\w+):", line)
        if label:
            labels[label[1]] = len(opcodes)
            continue
        for words in _instruction(line):
            if words[0].startswith(("BRA", "s_cbranch", "s_branch")):
                jumps += [(len(opcodes), to) for to in re.findall(r"\.L_?\w+", " ".join(words))]
            opcodes += [words[0].split(".")[0]] if words[0] not in PADDING else []
    return opcodes, labels, jumps


def _instruction(line: str) -> Iterator[list[str]]:
    """The words of a line's instruction, without its guard; of NVIDIA's lines those after their address."""
    nvidia = re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z].*?);", line)
    amd = re.match(r"\t([svdbgf]\w*_\w+.*)", line)
    found = nvidia or amd
    if found:
        yield found[1].split()


def disassemble(binary: bytes) -> str:
    """NVIDIA's machine code as text, by the tool that comes with Triton."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        done = subprocess.run([str(tool("nvdisasm")), "-c", file.name], capture_output=True, text=True, check=True)
    return done.stdout


def tool(name: str) -> Path:
    """One of NVIDIA's programs that come with Triton."""
    import triton

    return Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name

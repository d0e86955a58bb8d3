"""Random well-typed programs: the same seed gives the same text and the same extents."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.programs.pieces import (
    DEFINITIONS,
    MAPS,
    MASKS,
    SCORES,
    SELECTIONS,
    SINKS,
    STATISTICS,
    TAILS,
    WEIGHTS,
    Piece,
)
from tests.programs.small import SMALL

# (M, N): ragged, equal, tiny, longer queries, single, empty
LENGTHS = ((17, 17), (13, 22), (1, 33), (40, 9), (33, 33), (2, 2), (16, 64), (5, 0), (0, 5), (70, 70))
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Program:
    """A spec, the extents to run it at, and what it is made of."""

    seed: int
    text: str
    shape: dict[str, int]
    stage: bool  # contains an M x N stage
    plain: bool  # softmax of a plain dot product: nothing that only attnc serves


def program(seed: int) -> Program:
    """The program of a seed: one in five is small, without an M x N stage; one in ten is what people write."""
    draw = random.Random(seed)
    shape = _shape(draw)
    if seed % 5 == 4:
        text = SMALL[(seed // 5) % len(SMALL)]
        return Program(seed, text, _only(text, {**shape, "i": 6, "j": 6, "n": 9}), stage=False, plain=False)
    if seed % 10 == 3:
        path = variants()[(seed // 10) % len(variants())]
        return written(path, seed)
    return _stage(seed, draw, shape)


@cache
def variants() -> tuple[Path, ...]:
    """The attentions that people write and that are streamed as a whole, and those with a selection in them."""
    return (*sorted((FOLDER / "variants").glob("*.attn")), *sorted((FOLDER / "selected").glob("*.attn")))


def written(path: Path, seed: int = 0) -> Program:
    """A program from a file, whose first line has the extents."""
    text = path.read_text()
    shape = {name: int(extent) for name, extent in re.findall(r"(\w+)=(\d+)", text.split("\n", 1)[0])}
    return Program(seed, text, shape, stage=True, plain=False)


def _shape(draw: random.Random) -> dict[str, int]:
    m, n = draw.choice(LENGTHS)
    sizes = {"b": draw.choice((1, 2)), "h": draw.choice((2, 4)), "g": 2, "m": m, "n": n}
    sizes |= {"e": draw.choice((1, 4, 16, 24)), "f": draw.choice((1, 8, 16, 20)), "p": 9, "two": 2, "also": 2}
    return sizes | {"x": 3, "y": 4, "j": 3, "c": 5, "d": 6, "w": 3, "k": 4, "u": 4, "z": 5, "s": 4, "r": 3}


def _stage(seed: int, draw: random.Random, shape: dict[str, int]) -> Program:
    score = SCORES[seed % len(SCORES)]
    change = MAPS[(seed * 7 // 3) % len(MAPS)] if draw.random() < 0.8 else MAPS[0]
    mask = MASKS[(seed * 5 // 4) % len(MASKS)]
    weight = draw.choice(SINKS) if draw.random() < 0.15 else WEIGHTS[(seed * 3 // 4) % len(WEIGHTS)]
    extras = draw.sample(STATISTICS, draw.choice((0, 0, 1, 2)))
    if seed % 50 == 7:
        extras = [*extras[:1], draw.choice(SELECTIONS)]
    tail = [draw.choice(TAILS)] if draw.random() < 0.2 and "any[n]" not in weight.text else []
    grouped = draw.random() < 0.25
    pieces = (score, change, mask, weight, *extras, *tail)
    text = _text(pieces, extras, bool(tail), grouped, aligned=draw.random() < 0.5)
    plain = score is SCORES[0] and change is MAPS[0] and weight in WEIGHTS[:2] and not extras
    return Program(seed, text, _only(text, shape), stage=True, plain=plain)


def _text(pieces: tuple[Piece, ...], extras: list[Piece], tail: bool, grouped: bool, aligned: bool) -> str:
    score, change, mask, weight = pieces[:4]
    key, value = ("K[b,h // r,n,e]", "V[b,h // r,n,f]") if grouped else ("K[b,h,n,e]", "V[b,h,n,f]")
    heads = "g" if grouped else "h"
    inputs = ["Q[b,h,m,e]", f"K[b,{heads},n,e]", f"V[b,{heads},n,f]"]
    inputs += list(dict.fromkeys(item for piece in pieces for item in piece.inputs))
    options = list(dict.fromkeys(item for piece in pieces for item in piece.options))
    body = list(dict.fromkeys(item for piece in pieces for item in piece.head))
    body += ["require H % G == 0 and G >= 1", "r = H // G"] if grouped else []
    body += ["index N - M <= m < N"] if aligned else []
    body.append(f"R[b,h,m,n] = {score.text.format(K=key)}")
    body.append(f"S[b,h,m,n] = {change.text.format(s='R')}" + (f" where {mask.text}" if mask.text else ""))
    body += weight.text.format(V=value).split("\n")
    names = ["O"]
    for number, piece in enumerate(extras, 1):
        text = re.sub(r"\bS\b", "S[b,h,m,n]", piece.text) if weight in SINKS else piece.text  # S has parts there
        body.append(text.replace("L[", f"L{number}[", 1))
        names.append(f"L{number}")
    if tail:
        body.append(pieces[-1].text)
        names[0] = "Y"
    head = ", ".join(inputs) + ("; " + ", ".join(options) if options else "")
    lines = "".join(f"    {line}\n" for line in body)
    called = (text for name, text in DEFINITIONS.items() if re.search(rf"\b{name}\b[(\[]", lines))
    return "".join(called) + f"attention p({head}) -> {', '.join(names)}:\n" + lines


def _only(text: str, shape: dict[str, int]) -> dict[str, int]:
    """The extents of the indices that the inputs carry."""
    head = text[text.index("attention p(") : text.index("->")]
    used = {index for group in re.findall(r"\[([^\]]*)\]", head) for index in group.split(",") if index}
    return {index: extent for index, extent in shape.items() if index in used}

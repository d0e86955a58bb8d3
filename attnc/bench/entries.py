"""The entries of the library at one length: which attention stands for each, its extents, its options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attnc.diagnostics import error
from attnc.ir.cascade import Cascade
from attnc.library import find
from attnc.runtime.attention import Attention
from attnc.runtime.catalogue import family_of, listed
from attnc.runtime.check_shapes import mended

LENGTHS = ("m", "n", "i")
OTHER = 16
"""The extent of an index that is none of the usual ones."""


@dataclass(frozen=True)
class Own:
    """What an attention is measured at where usual extents or defaults do not give its length: in terms of it."""

    shape: Mapping[str, str | int] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


OWN = {
    "attention_adversarial_iat": Own({"b": 64}),
    "comet": Own({"b": "N"}),
    "fcaformer": Own({"v": 45, "u": 45, "n": 2025, "c": 64}),
    "gin": Own({"g": "E"}),
    "gpsa": Own({"m": 2025, "n": 2025}, {"G": 45}),
    "imbalanced_visual_logit_boost": Own({"t": "N // 4"}),
    "induction_head_progress": Own({"i": "N // 2 - 1", "m": "N - 1", "n": "N - 1"}),
    "mixformer_cvt": Own({"i": 16, "j": 16, "y": "N // 64", "x": 32}),
    "music_transformer": Own({"r": "N"}),
    "natten3d": Own({"z": 8, "y": "N // 128", "x": 16, "t": 8, "u": "N // 128", "v": 16}),
    "rcmha": Own({"p": "2 * N", "j": "E"}),
    "relu_random_features": Own({"b": "N", "n": "N", "d": 63, "i": 64}),
    "sparse_gsa": Own({"i": "E", "j": "E"}),
    "theme_gated_parallel_attention": Own({"p": "N"}),
    "unidirectional_cross": Own({"j": "N"}),
    "visctrl": Own({"u": 1}),
    "vit_head_importance_probe": Own({}, {"W": 45}),
}


@dataclass(frozen=True)
class Extents:
    """The usual extents: a length N, heads, the width of a head."""

    length: int = 2048
    heads: int = 8
    width: int = 64

    def usual(self) -> dict[str, int]:
        """By index; the heads of keys are a quarter of the queries', never less than one."""
        few = {"b": 1, "h": self.heads, "g": max(1, self.heads // 4), "p": 2, "w": 1, "l": 2}
        return few | dict.fromkeys(("d", "e", "f"), self.width) | dict.fromkeys(LENGTHS, self.length)

    def number(self, said: str | int) -> int:
        """An extent as OWN has it: a number, or sums and multiples of N and E."""
        names = {"N": self.length, "E": self.width}
        left, *rest = str(said).split(" ")
        value = names[left] if left in names else int(left)
        for sign, word in zip(rest[::2], rest[1::2], strict=True):
            by = names[word] if word in names else int(word)
            value = {"//": value // by, "*": value * by, "-": value - by}[sign]
        return max(1, value)


@dataclass(frozen=True)
class Entry:
    """One line of the table: an entry of the library and the attention that is measured for it."""

    family: str
    slug: str
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Options without a default are 2, as in `attnc list`."""
        return dict.fromkeys(self.attention.signature.needed, 2) | dict(OWN.get(self.name, Own()).options)

    @property
    def attention(self) -> Attention:
        """The attention, analysed when it is first needed."""
        return Attention(find(f"std:{self.name}"), lazy=True)

    def shape(self, cascade: Cascade, at: Extents) -> dict[str, int] | None:
        """The extents of its inputs' indices; None where what it requires does not hold at them."""
        indices = dict.fromkeys(index for item in cascade.inputs for index in item.indices)
        own = {index: at.number(said) for index, said in OWN.get(self.name, Own()).shape.items()}
        usual = {index: own.get(index, at.usual().get(index, OTHER)) for index in indices}
        found = mended(usual, lambda _: cascade, largest=at.length * at.heads * at.width)
        return None if found is None else found[0]


def entries(word: str = "") -> Iterator[Entry]:
    """The entries that a word names, all without one: of each the last attention that a kernel takes over positions."""
    rows = [(file, names) for file, names in listed() if word in ("", *names, file.stem, family_of(file))]
    if not rows:
        raise error("A610", f"the standard library has no family, file or attention `{word}`")
    yield from (_entry(file, names if word not in names else (word,)) for file, names in rows)


def _entry(file: Path, names: tuple[str, ...]) -> Entry:
    walking = (name for name in reversed(names) if _walks(name))
    return Entry(family_of(file), file.stem, next(walking, names[-1]))


def _walks(name: str) -> bool:
    attention = Attention(find(f"std:{name}"), lazy=True)
    program = attention.program(dict.fromkeys(attention.signature.needed, 2))
    walked = any(stage.stream is not None and stage.parallel is not None for stage in program.streams)
    return walked and not program.heavy

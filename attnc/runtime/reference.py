"""An attention as text: what pickles, saved programs and graphs hold of it.

That of the library is named, and read from the library that is installed where the text is; any other is written
out with the folder that its `use` lines read, so that a file may change or be gone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from attnc.diagnostics import AttnError, error
from attnc.library import Spec, find, standard_folder
from attnc.source import Source

if TYPE_CHECKING:
    from attnc.runtime.attention import Attention


@dataclass(frozen=True)
class Reference:
    """A spec, the attention that it names, and whether a slower path is refused."""

    spec: Spec
    strict: bool

    def written(self) -> str:
        """The text; `std:FILE#NAME` alone for an attention of the library."""
        named = _standard_name(self.spec)
        if named and not self.strict:
            return named
        source, folder = self.spec.source, self.spec.folder
        own = {"source": source.name, "text": source.text, "folder": str(folder) if folder else None}
        return json.dumps({"name": self.spec.name, "strict": self.strict} | ({"standard": named} if named else own))


def _standard_name(spec: Spec) -> str | None:
    file = Path(spec.source.name)
    if spec.folder != standard_folder() or not spec.name or not file.is_relative_to(standard_folder()):
        return None
    return f"std:{'.'.join(file.relative_to(standard_folder()).with_suffix('').parts)}#{spec.name}"


def read(text: str) -> Reference:
    """The reference that a text writes; error A616 where it writes none."""
    if text.startswith("std:"):
        return Reference(find(text), False)
    try:
        entry = json.loads(text)
        if "standard" in entry:
            return Reference(find(entry["standard"]), bool(entry["strict"]))
        folder = Path(entry["folder"]) if entry["folder"] else None
        return Reference(Spec(Source(entry["source"], entry["text"]), entry["name"], folder), bool(entry["strict"]))
    except AttnError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError) as reason:
        what = "this text names no attention"
        raise error("A616", what, notes=(f"it begins `{text[:60]}`", str(reason))) from None


_USED: defaultdict[str, WeakSet[Attention]] = defaultdict(WeakSet)


def register(text: str, attention: Attention) -> None:
    """Let this be one of the attentions that a text means."""
    _USED[text].add(attention)


def attentions_of(text: str) -> tuple[Attention, ...]:
    """The attentions in use that a text means."""
    return tuple(_USED.get(text, ()))


def attention_of(text: str) -> Attention:
    """An attention that a text writes: one that is in use, or a new one, analysed when it is first called."""
    from attnc.runtime.attention import Attention

    for known in attentions_of(text):
        return known
    found = read(text)
    return Attention(found.spec, strict=found.strict, lazy=True)

"""Characters that no attnc text holds outside comments and strings, and what to write in their place."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from attnc.diagnostics import AttnError, error
from attnc.source import Source, Span

_PIECE = re.compile(r'"""[\s\S]*?"""|"(?!"")[^"\n]*"|#[^\n]*|"""|"|\w+|\n|\r(?=\n)|[^ -~]|[{}@$&|~^?\\\'`]|!(?!=)')
_HARMLESS = re.compile(r'[\w\n\r#"]')

_INSTEAD = {
    "{": "brackets are `( )` and `[ ]`",
    "}": "brackets are `( )` and `[ ]`",
    "'": 'a docstring stands in `"..."` or `"""..."""`',
    "&": "write `and`",
    "|": "write `or`",
    "~": "write `not`",
    "!": "write `not x`, or `a != b`",
    "^": "write `**` for a power",
    "\\": "a deeper line continues the one above; write `max`, `sum`, .. in letters",
    "@": "a contraction is a product: `O[m,f] = A[m,n] * V[n,f]`",
    "≤": "write `<=`",
    "≥": "write `>=`",
    "≠": "write `!=`",
    "−": "write `-`",  # noqa: RUF001
    "–": "write `-`",  # noqa: RUF001
    "×": "write `*`",  # noqa: RUF001
    "·": "write `*`",
    "÷": "write `/`",
    "→": "write `->`",
    "∞": "write `inf`",
    "√": "write `sqrt(..)`",
    "∑": "write `sum[n](..)`",
    "∏": "write `prod[n](..)`",
    "∧": "write `and`",
    "∨": "write `or`",  # noqa: RUF001
    "¬": "write `not`",
    "\u00a0": "this is a no-break space; write a space",
    "“": 'write `"`',
    "”": 'write `"`',
}


def check(source: Source, text: str) -> Iterator[tuple[int, AttnError, bool]]:
    """Each mistake with its offset, and whether the text cannot be read further; one tab stands for all."""
    tabs = False
    for match in _PIECE.finditer(text):
        piece = match.group()
        if piece == "\t":
            if not tabs:
                yield match.start(), _tab(source, match.start(), text.count("\t")), True
            tabs = True
        elif piece in ('"', '"""'):
            yield match.start(), _unterminated(source, match.start(), piece), piece == '"""'
            if piece == '"""':
                return
        elif not piece.isascii() and piece[0] not in '"#':
            yield match.start(), _foreign(source, match.start(), piece), False
        elif not _HARMLESS.match(piece):
            yield match.start(), _unexpected(source, match.start(), piece), False


def _tab(source: Source, at: int, count: int) -> AttnError:
    more = f"; the text holds {count} of them" if count > 1 else ""
    return error(
        "A004",
        "a tab stands where spaces are expected",
        Span(source, at, at + 1),
        f"a tab{more}",
        notes=("the width of a tab differs between editors, and indentation has a meaning",),
        helps=("replace each tab by four spaces",),
    )


def _unterminated(source: Source, at: int, quote: str) -> AttnError:
    kind = "docstring" if quote == '"""' else "string"
    row = source.text[at:].partition("\n")[0].rstrip().strip('"')
    return error(
        "A006",
        f"this {kind} never ends",
        Span(source, at, at + len(quote)),
        "opened here",
        notes=(f"a string in {quote} ends with {quote}" + ("" if quote == '"""' else " on the same line"),),
        helps=(f"close it: `{quote}{row}{quote}`",),
    )


def _foreign(source: Source, at: int, piece: str) -> AttnError:
    if len(piece) == 1 and not piece.isidentifier():
        return _unexpected(source, at, piece)
    written = transliterated(piece)
    return error(
        "A005",
        f"the name `{piece}` is not ASCII",
        Span(source, at, at + len(piece)),
        "not a name of attnc",
        notes=("a name is made of `a-z`, `A-Z`, `0-9` and `_`; comments and docstrings are free",),
        helps=(f"write `{written}`",) if written.isidentifier() else (),
    )


def transliterated(name: str) -> str:
    """The name in ASCII: Greek letters by their names, accents dropped, anything else left out."""
    out = []
    for char in unicodedata.normalize("NFKD", name):
        words = unicodedata.name(char, "").split()
        if char.isascii():
            out.append(char)
        elif words[:1] == ["GREEK"] and "LETTER" in words:
            spelled = words[words.index("LETTER") + 1].lower()
            out.append(spelled.capitalize() if "CAPITAL" in words else spelled)
    return "".join(out)


def _unexpected(source: Source, at: int, char: str) -> AttnError:
    shown = char if char.isprintable() else f"U+{ord(char):04X}"
    instead = _INSTEAD.get(char)
    return error(
        "A003",
        f"unexpected character `{shown}`",
        Span(source, at, at + 1),
        "not part of the language",
        notes=("outside comments and docstrings a spec is plain ASCII text",) if not char.isascii() else (),
        helps=(instead or "remove it",),
    )

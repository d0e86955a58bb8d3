"""Names of the language in Python: what may be one, and how several are given in one string."""

from __future__ import annotations

import re

from attnc.diagnostics import error
from attnc.trace.places import here

_NAME = re.compile(r"(?!(?:where|if|else|and|or|not|true|false|inf|pi)\Z)[A-Za-z_][A-Za-z0-9_]*\Z")


def is_name(name: str) -> bool:
    """Whether a word can be a name of the language."""
    return _NAME.match(name) is not None


def named(name: str, what: str) -> str:
    """The name itself; error A674 for what can be none."""
    if not is_name(name):
        notes = ("a name has ASCII letters, digits and `_`, and is no word of the language",)
        raise error("A674", f"`{name}` cannot name {what}", here(), "here", notes=notes)
    return name


def several(names: str, what: str) -> tuple[str, ...]:
    """The names in a string, parted by spaces or commas; at least one."""
    found = tuple(named(name, what) for name in names.replace(",", " ").split())
    if not found:
        raise error("A674", f"no name is given for {what}", here(), "here", helps=('write `index("b h m n")`',))
    return found

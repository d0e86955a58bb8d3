"""What an error code means: what provokes it, and the text it provokes.

A spec may end its story with a call, `# call: Q=float32[1,2,5,4], seg=int64[3], W=3` (`# gradients: ..` where it asks
for them), with `# strict`, or with `# checks`, which runs its check clauses. What no spec provokes has a page that
begins with a command.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from attnc.cli.refusal_words import REFUSALS
from attnc.diagnostics import AttnError, error

FAMILIES = {
    "A0": "syntax",
    "A1": "names, extents and types",
    "A2": "masks and domains",
    "A3": "passes and derivation",
    "A4": "gradients",
    "A5": "targets and tools",
    "A6": "calls and command lines",
    "A9": "a bug in attnc",
}


def errors_folder() -> Path:
    """The folder with the pairs CODE.attn, CODE.txt."""
    return Path(str(files("attnc.errors")))


def explain_code(code: str) -> str:
    """The page of a code: each spec, command or call that provokes it, and what attnc says; a line on a refusal's."""
    if code in REFUSALS:
        meaning, mend = REFUSALS[code]
        return f"{code}: {meaning}\nwhat can be done: {mend}"
    found = texts_of(code)
    if not found:
        families = ", ".join(f"{family} {what}" for family, what in FAMILIES.items())
        raise error("A627", f"there is no error code `{code}`", notes=(families,), helps=("attnc explain --codes",))
    return f"{code}\n\n" + "\n\n".join(_page(text) for text in found)


def codes() -> list[str]:
    """Every code, in order."""
    return sorted({file.stem.partition("_")[0] for file in errors_folder().glob("A*.txt")})


def texts_of(code: str) -> list[Path]:
    """The files with what a code says."""
    return sorted(file for file in errors_folder().glob("A*.txt") if file.stem.partition("_")[0] == code)


def _page(text: Path) -> str:
    spec = text.with_suffix(".attn")
    message = text.read_text(encoding="utf-8").rstrip()
    if not spec.is_file():
        return message
    shown = spec.read_text(encoding="utf-8", errors="replace").rstrip()
    if len(shown) > 2000:
        shown = shown[:2000] + " .."
    return "\n".join(f"    {line}".rstrip() for line in shown.split("\n")) + "\n\n" + message


def provoke(spec: Path) -> str:
    """The text of the error that a spec (and the call in its last comment) provokes; empty if none."""
    from attnc.grammar.read import read
    from attnc.library import Spec
    from attnc.runtime.attention import Attention
    from attnc.runtime.checks import run_checks
    from attnc.source import Source

    try:
        source = Source(spec.name, read(spec).text)
        attention = Attention(Spec(source, None, spec.parent), strict="# strict" in source.text)
        call = re.search(r"^# (call|gradients):(.*)$", source.text, re.MULTILINE)
        if call:
            attention(**_arguments(call[2], gradients=call[1] == "gradients"))
        elif "# checks" in source.text:
            run_checks(attention.spec, attention.signature.name, "oracle")
        elif attention.signature.needed:
            attention.program()
    except AttnError as mistake:
        return str(mistake).replace(str(spec), spec.name)
    return ""


def _arguments(text: str, *, gradients: bool) -> dict[str, object]:
    """The tensors and numbers of a call: `Q=float32[1,2]`, `W=3`, `x=none`; real ones may ask for gradients."""
    import torch

    values: dict[str, object] = {}
    for name, kind, shape, number in re.findall(r"(\w+)=(?:(\w+)\[([\d,]*)\]|([\w.-]+))", text):
        if kind:
            extents = [int(extent) for extent in shape.split(",") if extent]
            where = {"device": "meta"} if kind == "meta" else {"dtype": getattr(torch, kind)}
            tensor = torch.zeros(extents, **where)
            values[name] = tensor.requires_grad_(gradients and tensor.is_floating_point())
        else:
            values[name] = {"true": True, "false": False}.get(number, number if number.isalpha() else float(number))
            if number.lstrip("-").isdigit():
                values[name] = int(number)
    return values

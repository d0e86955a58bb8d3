"""`attnc explain`: what the passes found, what an error code means, the index of codes, or a model's table."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from attnc.cli import add_json, option_values, shape_values, write_page
from attnc.cli.refusal_words import REFUSALS
from attnc.diagnostics import error

SECTIONS: dict[str, str | tuple[str, ...]] = {name: name for name in ("passes", "plan", "masks", "backward", "cost")}
SECTIONS |= {"state": "running state", "refusals": ("refusals", "notes")}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "spec", nargs="?", help="FILE.attn, FILE.attn#NAME, std:NAME, MODULE:FUNCTION, or a code such as A101 or NSEP"
    )
    parser.add_argument("-O", "--option", action="append", default=[], metavar="NAME=VALUE", help="set an option")
    parser.add_argument("--shape", help="extents: b=1,h=8,m=4096,n=4096,e=64,f=64")
    parser.add_argument("--dtype", default="fp32", help="of the real inputs: fp32, bf16, fp16, fp64")
    parser.add_argument("--target", default="cpu", help="the machine: cpu, sm_80, sm_90, sm_100 or gfx942")
    parser.add_argument("--only", action="append", choices=sorted(SECTIONS), help="this section; may be repeated")
    parser.add_argument("--codes", action="store_true", help="print every error code with what it says")
    parser.add_argument("--pages", metavar="DIR", help="write errors.md, the index of codes, into a folder")
    parser.add_argument("--model", choices=["fusemax"], help="print a performance model's table")
    add_json(parser)


def command(options: argparse.Namespace) -> int:
    """Print the explanation."""
    if options.model:
        return _model(options)
    if options.codes or options.pages:
        return _codes(options)
    if options.spec is None:
        raise error("A628", "`explain` wants a spec, an error code or `--model`", helps=("attnc explain FILE.attn",))
    if options.spec in REFUSALS or re.fullmatch(r"A\d{3}", options.spec):
        from attnc.cli.codes import explain_code

        page = explain_code(options.spec)
        print(json.dumps({"code": options.spec, "page": page}) if options.json else page)
        return 0
    from attnc.cli.reference import attention_of

    shape = shape_values(options.shape)
    found = attention_of(options.spec).explain(
        shape=shape, dtype=options.dtype, target=options.target, **option_values(options)
    )
    print(found.json() if options.json else _sections(str(found), options.only))
    return 0


def _codes(options: argparse.Namespace) -> int:
    """The index of codes, printed or written."""
    from attnc.cli.codes import codes
    from attnc.cli.errors_page import page, said

    if options.pages:
        write_page(Path(options.pages) / "errors.md", page())
        return 0
    found = {code: [item.message for item in said(code)] for code in codes()}
    lines = (f"{code}  {first}" for code, (first, *_) in found.items())
    print(json.dumps({"codes": found}) if options.json else "\n".join(lines))
    return 0


def _sections(text: str, names: list[str] | None) -> str:
    """The sections of these names, all without any."""
    if names is None:
        return text
    asked = [part for part in text.split("\n\n") if any(part.startswith(SECTIONS[name]) for name in names)]
    return "\n\n".join(asked) or f"no {' and no '.join(names)}"


def _model(options: argparse.Namespace) -> int:
    from attnc.analysis.fusemax import summary, table

    if options.json:
        print(json.dumps({"rows": [vars_of(row) for row in table()], "summary": vars_of(summary())}))
        return 0
    print(f"{'model':<6}{'N':>9}{'+Cascade':>10}{'+Arch':>8}{'FuseMax':>9}{'unfused':>9}")
    for row in table():
        figures = f"{row.cascade:>10.2f}{row.architecture:>8.2f}{row.fusemax:>9.2f}{row.over_unfused:>9.2f}"
        print(f"{row.workload:<6}{row.length:>9}{figures}")
    mean = summary()
    figures = f"{mean.cascade:>10.2f}{mean.architecture:>8.2f}{mean.fusemax:>9.2f}{mean.over_unfused:>9.2f}"
    print(f"{'mean':<15}{figures}  (geometric {mean.fusemax_geometric:.2f})")
    return 0


def vars_of(item: object) -> object:
    """A dataclass or a mapping as a plain dict."""
    from dataclasses import asdict, is_dataclass

    return asdict(item) if is_dataclass(item) and not isinstance(item, type) else item

"""`attnc show`: the program after a pass."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

from attnc.cli import add_json, add_spec, option_values
from attnc.diagnostics import error

PASSES = ("parse", "names", "expand", "choices", "monotone", "factor", "flatten", "apart", "plan", "split")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_spec(parser)
    add_json(parser)
    parser.add_argument("--after", default="plan", metavar="PASS", help=f"one of {', '.join(PASSES)}")
    parser.add_argument("--each", action="store_true", help="after every pass")


def command(options: argparse.Namespace) -> int:
    """Print the program."""
    if options.after not in PASSES:
        raise error("A626", f"there is no pass `{options.after}`", helps=(f"`--after` takes {', '.join(PASSES)}",))
    texts: dict[str, str] = {}
    for name, text in _after_each(options):
        texts[name] = text.rstrip()
        if name == options.after and not options.each:
            break
    if options.json:
        print(json.dumps(texts if options.each else {options.after: texts[options.after]}))
    else:
        print("\n\n".join(_sections(texts)) if options.each else texts[options.after])
    return 0


def _sections(texts: dict[str, str]) -> Iterator[str]:
    """The texts under the names of their passes; one that changed nothing says so."""
    before = ""
    for name, text in texts.items():
        yield f"-- after {name}{': no change' if text == before else chr(10) + text}"
        before = text


def _after_each(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """The program after each pass as text, in their order."""
    from attnc import compiler
    from attnc.cli.reference import spec_of
    from attnc.ir.print_cascade import show_cascade
    from attnc.ir.print_plan import show_plan
    from attnc.ir.print_syntax import show
    from attnc.library import Library, parse_source
    from attnc.runtime.signature import signature

    spec = spec_of(options.spec, option_values(options))
    yield "parse", show(parse_source(spec.source))
    signature(spec)  # a file without an attention is refused as by every other command
    stated = compiler.stated(spec, option_values(options), Library(spec.folder))
    yield "names", show_cascade(stated)
    cascade = compiler.expanded(stated)
    yield "expand", show_cascade(cascade)
    for name, rewrite in compiler.rewrites().items():
        cascade = rewrite(cascade)
        yield name, show_cascade(cascade)
    plan = compiler.planned(cascade)
    yield "plan", show_plan(plan)
    yield "split", show_plan(compiler.split(cascade, plan))

"""`attnc show`: the program after a pass."""

from __future__ import annotations

import argparse

from attnc.cli import add_spec, option_values
from attnc.diagnostics import error

PASSES = ("parse", "names", "expand", "plan")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_spec(parser)
    parser.add_argument("--after", default="plan", metavar="PASS", help=f"one of {', '.join(PASSES)}")
    parser.add_argument("--each", action="store_true", help="after every pass")


def command(options: argparse.Namespace) -> int:
    """Print the program."""
    if options.after not in PASSES:
        raise error("A626", f"there is no pass `{options.after}`", helps=(f"`--after` takes {', '.join(PASSES)}",))
    for name in PASSES if options.each else (options.after,):
        if options.each:
            print(f"-- after {name}")
        print(_after(name, options).rstrip())
        if options.each:
            print()
    return 0


def _after(name: str, options: argparse.Namespace) -> str:
    from attnc import load
    from attnc.ir.print_cascade import show_cascade
    from attnc.ir.print_plan import show_plan
    from attnc.ir.print_syntax import show
    from attnc.library import find, parse_source

    if name == "parse":
        return show(parse_source(find(options.spec).source))
    program = load(options.spec).program(option_values(options))
    if name == "plan":
        return show_plan(program.plan)
    return show_cascade(program.stated if name == "names" else program.explicit)

"""The command line: `attnc check|explain|show|compile|run|bench|list|language`.

Exit codes: 0 success, 1 a check or comparison failed, 2 the spec or the arguments are wrong, 3 a bug in attnc.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from attnc.diagnostics import AttnError, error
from attnc.runtime.shapes import bad_extent

COMMANDS = {
    "check": "parse, type-check and run the check clauses on the oracle and the compiled kernels",
    "explain": "passes, bounds, derived monoid, plan, masks, tiles, bytes; or what an error code means",
    "show": "the program after a pass, or after each of them",
    "compile": "write kernels, binaries, a manifest and a launcher for a target",
    "run": "run on random or given inputs, verify against the oracle, print timings",
    "bench": "measure beside SDPA and FlexAttention, in one process, interleaved, judged by the contract",
    "list": "the standard library",
    "language": "the language on one page, or what a word of it means",
}


def main(arguments: list[str] | None = None) -> int:
    """The exit code of one command line."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        code: int = import_module(f"attnc.cli.{options.command}").command(options)
        sys.stdout.flush()
        return code
    except AttnError as mistake:
        print(mistake, file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as failure:
        if os.environ.get("ATTNC_TRACEBACK") == "1":
            raise
        print(_bug(failure), file=sys.stderr)
        return 3


def _bug(failure: Exception) -> AttnError:
    """What is said of an exception that no user should meet."""
    from traceback import extract_tb

    last = extract_tb(failure.__traceback__)[-1]
    notes = (f"{type(failure).__name__}: {failure}"[:500], f"in `{last.name}` of {os.path.basename(last.filename)}")
    helps = ("please report it with the spec and what ATTNC_TRACEBACK=1 shows",)
    return error("A902", "this is a bug in attnc", notes=notes, helps=helps)


def _parser() -> argparse.ArgumentParser:
    from attnc.runtime.cache import package_version

    parser = argparse.ArgumentParser(prog="attnc", description="A compiler for attention.")
    parser.add_argument("--version", action="version", version=f"attnc {package_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary)
        import_module(f"attnc.cli.{name}").arguments(sub)
    return parser


def add_spec(parser: argparse.ArgumentParser) -> None:
    """The arguments that name an attention and set its options."""
    parser.add_argument("spec", help="FILE.attn, FILE.attn#NAME, std:NAME or MODULE:FUNCTION")
    parser.add_argument("-O", "--option", action="append", default=[], metavar="NAME=VALUE", help="set an option")


def add_json(parser: argparse.ArgumentParser) -> None:
    """The flag for a report that programs read."""
    parser.add_argument("--json", action="store_true", help="print one JSON value")


def write_page(file: Path, text: str) -> None:
    """Write a page of the documentation; error A623 where that cannot be."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as reason:
        raise error("A623", f"`{file}` cannot be written: {reason.strerror}") from None


def option_values(options: argparse.Namespace) -> dict[str, Any]:
    """The `--option NAME=VALUE` settings."""
    return dict(_setting(item) for item in options.option)


def _setting(text: str) -> tuple[str, bool | int | float]:
    name, sign, value = text.partition("=")
    if sign and value in ("true", "false"):
        return name, value == "true"
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    raise error("A620", f"`--option {text}` is not NAME=VALUE with a number, `true` or `false`", helps=("`-O W=256`",))


def shape_values(text: str | None) -> dict[str, int]:
    """`b=1,h=8,m=4096` as a dict; extents are whole numbers from 0 up."""
    shape: dict[str, int] = {}
    for item in filter(None, (text or "").split(",")):
        name, sign, value = (piece.strip() for piece in item.partition("="))
        if not (sign and name and value.isascii() and value.isdigit() and len(value) < 20):
            raise bad_extent(item)
        shape[name] = int(value)
    return shape

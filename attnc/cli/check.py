"""`attnc check`: the spec is well-formed, and what it claims holds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attnc.cli import add_json, add_spec, option_values
from attnc.cli.progress import progress

if TYPE_CHECKING:
    from attnc.runtime.attention import Attention
    from attnc.runtime.checks import Backend, CheckResult


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_spec(parser)
    add_json(parser)
    parser.add_argument("--oracle-only", action="store_true", help="leave the compiled kernels out")


def command(options: argparse.Namespace) -> int:
    """Analyse the spec and run its check clauses; 1 where one fails."""
    from attnc.cli.reference import attention_of

    attention = attention_of(options.spec)
    attention.program(option_values(options))
    results = list(_results(attention, options.oracle_only))
    if options.json:
        rows = [{"name": r.name, "backend": r.backend, "passed": r.passed, "message": r.message} for r in results]
        print(json.dumps({"spec": attention.signature.name, "checks": rows}))
    else:
        print("\n".join([f"{attention.signature.name}: well-formed", *_lines(results)]))
    return 0 if all(result.passed for result in results) else 1


def _results(attention: Attention, oracle_only: bool) -> Iterator[CheckResult]:
    from attnc.runtime.checks import checks_of, run_check

    backends: tuple[Backend, ...] = ("oracle",) if oracle_only else ("oracle", "kernels")
    checks = checks_of(attention.spec, attention.signature.name)
    asked = [(check, backend) for check in checks for backend in backends]
    for check, backend in progress(asked, "checking", len(asked)):
        yield run_check(attention, check, backend)


def _lines(results: list[CheckResult]) -> Iterator[str]:
    """One line for a check that holds everywhere, else one for each backend."""
    for name in dict.fromkeys(result.name for result in results):
        own = [result for result in results if result.name == name]
        if all(result.passed for result in own):
            yield f"  check {name} holds on the {' and the '.join(result.backend for result in own)}"
            continue
        for result in own:
            verdict = "holds" if result.passed else "FAILS"
            yield f"  check {name} {verdict} on the {result.backend}{': ' if result.message else ''}{result.message}"

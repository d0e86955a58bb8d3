"""`attnc check`: the spec is well-formed, and what it claims holds."""

from __future__ import annotations

import argparse
import json
from typing import Any

from attnc.cli import add_json, add_spec, option_values


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_spec(parser)
    add_json(parser)
    parser.add_argument("--oracle-only", action="store_true", help="leave the compiled kernels out")


def command(options: argparse.Namespace) -> int:
    """Analyse the spec and run its check clauses; 1 where one fails."""
    from attnc import load

    attention = load(options.spec)
    attention.program(option_values(options))
    rows = _rows(attention.spec, attention.signature.name, options.oracle_only)
    if options.json:
        print(json.dumps({"spec": attention.signature.name, "checks": rows}))
    else:
        print(f"{attention.signature.name}: well-formed")
        for row in rows:
            verdict = "holds" if row["passed"] else f"FAILS: {row['message']}"
            print(f"  check {row['name']} {verdict} ({row['backend']})")
    return 0 if all(row["passed"] for row in rows) else 1


def _rows(spec: Any, name: str, oracle_only: bool) -> list[dict[str, Any]]:
    from attnc.runtime.checks import check_rows

    return check_rows(spec, name, oracle_only)

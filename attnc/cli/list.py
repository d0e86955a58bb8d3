"""`attnc list`: the attentions of the standard library."""

from __future__ import annotations

import argparse
import json

from attnc.cli import add_json
from attnc.library import Spec, find, standard_attentions, standard_folder
from attnc.runtime.signature import signature


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_json(parser)


def command(options: argparse.Namespace) -> int:
    """Print one line per attention."""
    rows = [_row(find(f"std:{name}")) for name in sorted(standard_attentions())]
    if options.json:
        print(json.dumps(rows))
        return 0
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        print(f"{row['name']:<{width}}  {row['module']}: {row['summary']}")
    return 0


def _row(spec: Spec) -> dict[str, str]:
    found = signature(spec)
    file = next(file for name, file in standard_attentions().items() if name == found.name)
    module = ".".join(("std", *file.relative_to(standard_folder()).with_suffix("").parts))
    summary = (found.doc or "").strip().split("\n")[0]
    return {"name": found.name, "module": module, "summary": summary}

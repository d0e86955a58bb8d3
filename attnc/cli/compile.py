"""`attnc compile`: sources, binaries, a manifest with resources, and a launcher that needs no spec."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from attnc.cli import add_json, add_spec, option_values, shape_values
from attnc.diagnostics import error


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_spec(parser)
    add_json(parser)
    parser.add_argument("--target", default="cpu", help="cpu, sm_80, sm_90, sm_100 or gfx942")
    parser.add_argument("--dtype", default="fp32", help="of the real inputs: fp32, bf16, fp16, fp64")
    parser.add_argument("--shape", help="the extents that are compiled in: e=64,f=64")
    parser.add_argument("-o", "--output", type=Path, help="the folder to write; only the report without it")


def command(options: argparse.Namespace) -> int:
    """Compile every streamed stage and print what it takes."""
    from attnc import load
    from attnc.runtime.folder import write_folder
    from attnc.runtime.kernels import compiled, kernels

    attention = load(options.spec)
    program = attention.program(option_values(options))
    made = kernels(program, options.target, options.dtype, shape_values(options.shape))
    binaries = {role: compiled(kernel) for role, kernel in made.items()}
    report = [_row(kernel, binaries[role][1]) for role, kernel in made.items()]
    if options.output:
        try:
            write_folder(options.output, program, made, binaries, report)
        except OSError as reason:
            raise error("A623", f"`{options.output}` cannot be written: {reason.strerror}") from None
    print(json.dumps(report) if options.json else _text(report, options))
    return 0


def _row(kernel: Any, resources: Any) -> dict[str, Any]:
    return {"role": kernel.role, "stage": kernel.stage, "target": kernel.target.name, "resources": asdict(resources)}


def _text(report: list[dict[str, Any]], options: argparse.Namespace) -> str:
    lines = []
    for row in report:
        facts = ", ".join(f"{name} {value}" for name, value in row["resources"].items() if value is not None)
        lines.append(f"{row['role']} for {row['target']}: {facts}")
    if not report:
        lines.append("no stage of this spec is streamed: there is no kernel to compile")
    if options.output:
        lines.append(f"written to {options.output}")
    return "\n".join(lines)

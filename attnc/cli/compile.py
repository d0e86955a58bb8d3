"""`attnc compile`: sources, binaries, a manifest with resources, and a launcher that needs no spec."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnc.cli import add_json, add_spec, option_values, shape_values
from attnc.cli.progress import progress
from attnc.diagnostics import error

if TYPE_CHECKING:
    from attnc.runtime.kernels import GeneratedKernel


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_spec(parser)
    add_json(parser)
    parser.add_argument("--target", default="cpu", help="cpu, sm_80, sm_90, sm_100 or gfx942")
    parser.add_argument("--dtype", default="fp32", help="of the real inputs: fp32, bf16, fp16, fp64")
    parser.add_argument("--shape", help="the extents that are compiled in: e=64,f=64")
    parser.add_argument("--backward", action="store_true", help="report the kernels of the backward as well")
    parser.add_argument(
        "--report", action="store_true", help="what the inner loops are made of, and the model's cycles"
    )
    parser.add_argument("-o", "--output", type=Path, help="the folder to write; only the report without it")


def command(options: argparse.Namespace) -> int:
    """Compile every streamed stage and print what it takes."""
    from attnc.cli.reference import attention_of
    from attnc.runtime.folder import entry, write_folder
    from attnc.runtime.kernels import backward_kernels, kernels
    from attnc.runtime.kernels import report as report_of
    from attnc.runtime.shapes import checked_shape

    settings = option_values(options)
    program = attention_of(options.spec).program(settings)
    asked = (program, options.target, options.dtype, checked_shape(program.stated, shape_values(options.shape)))
    forward = kernels(*asked)
    further = backward_kernels(*asked) if options.backward else {}
    compiled = list(_compiled([*forward.values(), *further.values()]))
    if options.output:
        try:
            write_folder(options.output, program, compiled[: len(forward)], settings)
        except OSError as reason:
            raise error("A623", f"`{options.output}` cannot be written: {reason.strerror}") from None
    report = [entry(kernel, resources) for kernel, _, resources in compiled]
    if options.report:
        report = [row | {"report": report_of(kernel)} for row, (kernel, _, _) in zip(report, compiled, strict=True)]
    print(json.dumps(report) if options.json else _text(report, options))
    return 0


def _compiled(kernels: list[GeneratedKernel]) -> Iterator[tuple[GeneratedKernel, bytes, Any]]:
    from attnc.runtime.kernels import settled

    for kernel in progress(kernels, "compiling", len(kernels)):
        yield settled(kernel)


def _text(report: list[dict[str, Any]], options: argparse.Namespace) -> str:
    lines = []
    for row in report:
        facts = ", ".join(f"{name} {value}" for name, value in row["resources"].items() if value is not None)
        lines.append(f"{row['role']} for {row['target']}: {facts}")
        lines += _reported(row["report"]) if "report" in row else []
    if not report:
        lines.append("no stage of this spec is streamed: there is no kernel to compile")
    if options.output:
        lines.append(f"written to {options.output}")
    return "\n".join(lines)


def _reported(report: dict[str, Any]) -> Iterator[str]:
    rows, keys = report["tile"]
    shape = (
        f"  tile {rows} x {keys}, {report['warps']} warps, {report['stages']} stages; " if "loop" in report else "  "
    )
    yield f"{shape}the model expects {report['cycles']:.3g} cycles a score"
    if "loop" in report:
        mix = ", ".join(f"{kind} {number}" for kind, number in report["loop"].items() if number)
        yield f"  a turn over whole tiles: {report['per_score']} instructions a score; {mix}"

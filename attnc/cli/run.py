"""`attnc run`: one call on random or given inputs, verified against the oracle, and timed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from attnc.cli import add_json, add_spec, option_values, shape_values
from attnc.cli.progress import progress
from attnc.diagnostics import error

DTYPES = {"fp32": "float32", "float32": "float32", "bf16": "bfloat16", "bfloat16": "bfloat16"}
DTYPES |= {"fp16": "float16", "float16": "float16", "fp64": "float64", "float64": "float64"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_spec(parser)
    add_json(parser)
    parser.add_argument("--shape", help="extents of the inputs' indices: b=1,h=8,m=4096,n=4096,e=64,f=64")
    parser.add_argument("--dtype", default="fp32", choices=sorted(DTYPES), help="of the real inputs that are drawn")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs that are drawn")
    parser.add_argument("--inputs", type=Path, help="a .npz or .safetensors file with tensors by input name")
    parser.add_argument("--outputs", type=Path, help="a .npz or .safetensors file to write the outputs to")
    parser.add_argument("--repeat", type=int, default=3, help="timed calls after the first one")
    parser.add_argument("--strict", action="store_true", help="refuse a plan with a slow host stage")
    parser.add_argument("--no-verify", action="store_true", help="skip the comparison with the oracle")


def command(options: argparse.Namespace) -> int:
    """Run, verify, time, report; 1 where the comparison fails."""
    import torch

    from attnc.cli.reference import attention_of
    from attnc.runtime.draw import draw
    from attnc.runtime.files import read_tensors, write_tensors

    attention = attention_of(options.spec, strict=options.strict)
    settings = option_values(options)
    cascade = attention.program(settings).stated
    given = read_tensors(options.inputs) if options.inputs else {}
    dtype = getattr(torch, DTYPES[options.dtype])
    inputs = draw(cascade, shape_values(options.shape), given, dtype, options.seed)
    inputs = {name: tensor.to(_device(options.device)) for name, tensor in inputs.items()}
    first, results = _timed(lambda: attention(**inputs, **settings), options.device)
    times = [_timed(lambda: attention(**inputs, **settings), options.device)[0] for _ in range(options.repeat)]
    named = _named(cascade.outputs, results)
    if options.outputs:
        write_tensors(options.outputs, named)
    report = _report(attention, inputs, named, first, times)
    if not options.no_verify:
        report["verified"] = _verify(attention, inputs, settings, named)
    print(json.dumps(report) if options.json else _text(report))
    return 0 if options.no_verify or all(row["passed"] for row in report["verified"]) else 1


def _device(name: str) -> str:
    import torch

    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
        found = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        raise error("A502", f"there is no device `{name}` here", helps=(f"`--device` takes {found}",))
    return name


def _timed(call: Any, device: str) -> tuple[float, Any]:
    import torch

    start = perf_counter()
    with torch.no_grad():
        value = call()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return perf_counter() - start, value


def _named(names: tuple[str, ...], results: Any) -> dict[str, Any]:
    return dict(zip(names, results if len(names) > 1 else [results], strict=True))


def _report(
    attention: Any, inputs: dict[str, Any], outputs: dict[str, Any], first: float, times: list[float]
) -> dict[str, Any]:
    def shapes(tensors: dict[str, Any]) -> dict[str, str]:
        return {name: f"{str(t.dtype).removeprefix('torch.')}{list(t.shape)}" for name, t in tensors.items()}

    stages = [
        {"name": s.name, "plan": s.plan, "backend": s.backend, "refusal": s.refusal} for s in attention.last_run.stages
    ]
    times_ms = {"first": 1e3 * first, "median": 1e3 * median(times) if times else None}
    return {
        "spec": attention.signature.name,
        "inputs": shapes(inputs),
        "outputs": shapes(outputs),
        "stages": stages,
        "milliseconds": times_ms,
    }


def _verify(
    attention: Any, inputs: dict[str, Any], settings: dict[str, Any], outputs: dict[str, Any]
) -> list[dict[str, Any]]:
    from attnc.runtime.verify import verify

    def watch(items: Any, total: int) -> Any:
        return progress(items, "verifying", total)

    verdicts = verify(attention.program(settings), inputs, outputs, watch)
    return [{"output": v.output, "passed": v.passed, "error": v.error, "allowed": v.allowed} for v in verdicts]


def _text(report: dict[str, Any]) -> str:
    lines = [f"{report['spec']}"]
    lines += [f"  in   {name}: {text}" for name, text in report["inputs"].items()]
    lines += [f"  out  {name}: {text}" for name, text in report["outputs"].items()]
    for stage in report["stages"]:
        code = f" (refusal {stage['refusal']})" if stage["refusal"] else ""
        lines.append(f"  ran  {stage['name']}: {stage['plan']} on {stage['backend']}{code}")
    times = report["milliseconds"]
    later = f", then {times['median']:.2f} ms (median)" if times["median"] is not None else ""
    lines.append(f"  time first call {times['first']:.1f} ms{later}")
    for row in report.get("verified", []):
        verdict = "agrees with" if row["passed"] else "DIFFERS FROM"
        lines.append(f"  {row['output']} {verdict} the oracle: error {row['error']:.3g}, allowed {row['allowed']:.3g}")
    return "\n".join(lines)

"""The facts of an attention as text."""

from __future__ import annotations

from typing import Any

from attnc.runtime.explain_backward import backward_text


def text(facts: dict[str, Any]) -> str:
    """Passes, plan, state, masks, refusals, cost and what ran, a section each."""
    parts = (_passes, _plan, _monoids, _masks, backward_text, _refusals, _cost, _ran)
    sections = [section for section in (part(facts) for part in parts) if section]
    return "\n\n".join([f"attention {facts['attention']}", *sections])


def _passes(facts: dict[str, Any]) -> str:
    streamed = {stage.get("stream") for stage in facts["stages"]}
    lines = ["passes                as written  derived"]
    for index, row in facts["passes"].items():
        if index in streamed or row["as_written"] > 1:
            verdict = "optimal" if row["optimal"] else ""
            lines.append(f"  over {index:<15} {row['as_written']:>10}  {row['derived']:>7}  {verdict}".rstrip())
            lines += [f"    {grade} bound {row['bounds'][grade]}: {why}" for grade, why in row["reasons"].items()]
    return "\n".join(lines)


def _plan(facts: dict[str, Any]) -> str:
    lines = ["plan"]
    for stage in facts["stages"]:
        weight = " (heavy: a slower path)" if stage["heavy"] else ""
        what = "host" if stage["plan"] == "host" else _tiled(stage)
        lines.append(f"  {stage['name']}: {what}{weight}")
        lines += [f"    {line}" for line in stage.get("choice", [])[1:]]
    return "\n".join(lines)


def _tiled(stage: dict[str, Any]) -> str:
    """What a streamed stage walks, and what it takes in tiles."""
    walked = f"stream over {stage['stream']}, " if stage["stream"] else ""
    if stage["plan"] == "split":
        kernels = " and ".join(stage["kernels"])
        walked = f"stream over {stage['stream']} split into {stage['spans']} spans, kernels {kernels}, "
    heads = f", {stage['packed']} heads that share their keys in one" if "packed" in stage else ""
    return f"{walked}tiles of {stage['parallel']}" + (f" and {stage['columns']}" if stage["columns"] else "") + heads


def _monoids(facts: dict[str, Any]) -> str:
    lines: list[str] = []
    for monoid in facts["monoids"]:
        lines.append(f"running state of {monoid['stage']}")
        for item in monoid["state"]:
            axes = f"[{','.join(item['axes'])}]"
            role = (
                "reference, " + ("pure" if item["pure"] else "part of the result") if item["reference"] else item["op"]
            )
            lines.append(f"  {item['name']}{axes} = {item['op']} of {'; '.join(item['of'])} ({role})")
            lines.append(f"    merge: {monoid['merge'][item['name']]}")
        lines += [f"  {name} = {value}" for name, value in monoid["finalise"].items()]
    return "\n".join(lines)


def _masks(facts: dict[str, Any]) -> str:
    lines: list[str] = []
    for row in facts["masks"]:
        bounds = ", ".join(row["bounds"]) or "every position"
        lines.append(f"  {row['stage']} over {row['index']}: {bounds}")
        if row["tested"]:
            lines.append(f"    tested per tile: {'; '.join(row['tested'])}")
        if row["tiles"] is not None:
            share = ", ".join(f"{name} {100 * value:.1f} %" for name, value in row["tiles"].items())
            exact = "" if row["exact"] else " at most"
            lines.append(f"    tiles {share};{exact} {row['points']} points per head")
    return "\n".join(["masks", *lines]) if lines else ""


def _refusals(facts: dict[str, Any]) -> str:
    lines: dict[str, list[str]] = {"refusals": [], "notes": []}
    for row in facts["refusals"]:
        places = [f"line {span['line']}" for span in row["spans"] if span["line"]]
        text = f"  {row['code']} ({', '.join(dict.fromkeys(places))}): {row['reason']}; {row['help']}"
        lines["notes" if row["code"] == "GAUGE" else "refusals"].append(text)
    return "\n\n".join("\n".join([head, *found]) for head, found in lines.items() if found)


def _cost(facts: dict[str, Any]) -> str:
    moved, flops = facts["bytes"], facts["flops"]
    if moved["compulsory"] is None:
        return "cost: give a --shape"
    shape = ", ".join(f"{index}={extent}" for index, extent in facts["shape"].items())
    lines = [f"cost at {shape} on {facts['target']}"]
    if flops is not None:
        lines.append(f"  {_large(flops, 'operation')} in matrix products")
    lines.append(f"  {_large(moved['compulsory'], 'B')} in inputs and outputs, each moved once")
    if moved["moved"] is not None:
        lines.append(f"  {_large(moved['moved'], 'B')} moved by the stages")
    lines.append(f"  {_large(moved['peak'], 'B')} alive at most")
    return "\n".join(lines)


def _large(number: int, unit: str) -> str:
    """A number in thousands, millions or billions, to four digits."""
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.4g} {prefix}{unit}" if unit == "B" else f"{number / size:.4g} {prefix} {unit}s"
    return f"{number} {unit}" if unit == "B" else f"{number} {unit}s"


def _ran(facts: dict[str, Any]) -> str:
    lines = []
    for row in facts["ran"]:
        kernel = f", kernel {row['kernel'][:12]}" if row["kernel"] else ""
        kernel = f" in {row['spans']} spans{kernel}, merge {row['merge'][:12]}" if row.get("merge") else kernel
        code = f", refusal {row['refusal']}" if row["refusal"] else ""
        lines.append(f"  {row['name']}: {row['plan']} on {row['backend']}{kernel}{code}")
    return "\n".join(["the last call ran", *lines]) if lines else ""

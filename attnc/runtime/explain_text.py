"""The facts of an attention as text."""

from __future__ import annotations

from typing import Any


def text(facts: dict[str, Any]) -> str:
    """Passes, state, plan, masks, bytes and work, a section each."""
    sections = [_passes(facts), _plan(facts), _monoids(facts), _masks(facts), _refusals(facts), _cost(facts)]
    return "\n\n".join([f"attention {facts['attention']}", *(section for section in sections if section)])


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
        what = f"stream over {stage['stream']}, tiles of {stage['parallel']}" if stage["plan"] == "stream" else "host"
        lines.append(f"  {stage['name']}: {what}{weight}")
        lines += [f"    {line}" for line in stage.get("choice", [])[1:]]
    return "\n".join(lines)


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
        if "tiles" in row:
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
    work = f", {flops / 1e9:.3f} GFLOP" if flops is not None else ""
    return f"cost: {moved['compulsory'] / 1e6:.3f} MB compulsory, {moved['moved'] / 1e6:.3f} MB moved{work}"

"""The slower paths of a program: what PyTorch evaluates statement by statement, told or refused."""

from __future__ import annotations

from attnc.diagnostics import AttnError, error
from attnc.ir.stage import Refusal
from attnc.runtime.gradients import backward_for
from attnc.runtime.program import Program


def slower(program: Program) -> dict[Refusal | None, str]:
    """The heavy host stages by what keeps them from being streamed."""
    found: dict[Refusal | None, list[str]] = {}
    for stage in program.heavy:
        found.setdefault(stage.refusal, []).append(f"`{stage.name}`")
    return {refusal: ", ".join(names) for refusal, names in found.items()}


def refuse_heavy(program: Program) -> None:
    """Error A310 where statements that cannot be streamed carry two lengths or more."""
    found: list[AttnError] = []
    for refusal, names in slower(program).items():
        what = f"{names} cannot be streamed, and `strict` allows no slower path"
        if refusal is None:
            raise error("A310", what, program.heavy[0].span, "this")
        helps = (refusal.help, "call without `strict` to run it with PyTorch")
        clash = [(refusal.clash.span, "because of this")] if refusal.clash.span != refusal.span else []
        notes = (f"{refusal.code}: {refusal.reason}",)
        found.append(error("A310", what, refusal.span, "not in one pass", clashes=clash, notes=notes, helps=helps))
    if found:
        raise AttnError(*(item.diagnostics[0] for item in found))


def refuse_slow_backward(program: Program, wanted: tuple[str, ...]) -> None:
    """Error A310 where a step of the backward is a slower path."""
    for step, own in backward_for(program, wanted).steps:
        if own is not None:
            refuse_heavy(own)
        elif any(stage.name == step.stage for stage in program.streams):
            what = (
                f"the gradients of `{step.stage}` are taken statement by statement: `stop` of a folded value hides one"
            )
            raise error("A310", f"{what}, and `strict` allows no slower path")

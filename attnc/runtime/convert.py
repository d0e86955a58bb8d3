"""One argument of a call as a tensor that kernels can read, or the word on why it is none."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from attnc.diagnostics import AttnError, error
from attnc.ir.cascade import Cascade, Input, Type

INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
NARROW = (torch.int16, torch.int8, torch.uint8)
REALS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
KINDS: dict[Type, tuple[torch.dtype, ...]] = {"real": REALS, "int": INTEGERS, "bool": (torch.bool,)}
SERVED = ("cpu", "cuda")


def common_device(given: Mapping[str, object]) -> torch.device:
    """The device of a call's tensors; scalars follow the others. Error A604 where they disagree or none serves it."""
    tensors = {name: value for name, value in given.items() if isinstance(value, torch.Tensor)}
    homes = {name: value.device for name, value in tensors.items()}
    if len(set(homes.values())) > 1:
        homes = {n: home for n, home in homes.items() if tensors[n].layout is torch.jagged or tensors[n].dim()} or homes
    if len(set(homes.values())) > 1:
        where = ", ".join(f"`{name}` on {device}" for name, device in homes.items())
        helps = ("move them to one device with `.to(..)`",)
        raise error("A604", f"the tensors lie on different devices: {where}", helps=helps)
    home = next(iter(homes.values()), torch.device("cpu"))
    if home.type not in SERVED:
        what = f"the tensors lie on `{home.type}`, and kernels run on {' and '.join(f'`{kind}`' for kind in SERVED)}"
        raise error("A604", what, helps=("move them with `.to('cpu')`; a meta tensor holds no values",))
    return home


def converted(item: Input, value: object, device: torch.device) -> torch.Tensor:
    """The argument of an input as a dense tensor of its type and rank on the device."""
    value = plain(value)
    if isinstance(value, bool | int | float) and not item.indices:
        return _scalar(item, value, device)
    if not isinstance(value, torch.Tensor):
        raise no_tensor(item, value)
    if value.is_nested or value.layout != torch.strided or value.is_quantized:
        kind = "nested" if value.is_nested else "quantized" if value.is_quantized else str(value.layout)
        what = f"`{item.name}` is a {kind} tensor; only dense tensors are served"
        help = "pass it padded" if value.is_nested else f"pass `{item.name}.{_dense(value)}`"
        raise error("A603", what, item.span, "declared here", helps=(help,))
    _check_type(item, value)
    _check_rank(item, value)
    if value.dtype in NARROW:  # kernels read 32- and 64-bit integers
        value = value.to(torch.int64)
    value = in_memory(value)
    return value if value.device == device else value.to(device)


def in_memory(value: torch.Tensor) -> torch.Tensor:
    """The tensor with its values where kernels read them.

    A sparse one leaves its zeros out, a negated view keeps its sign beside the memory, PyTorch's own zeros have none.
    """
    value = value if value.layout == torch.strided else value.to_dense()
    if value._is_zerotensor():
        return value.clone()
    return value.resolve_neg() if value.is_neg() else value


def _dense(value: torch.Tensor) -> str:
    return "dequantize()" if value.is_quantized else "to_dense()"


def no_tensor(item: Input, value: object) -> AttnError:
    """Error A611 on what was given in place of a tensor."""
    helps: tuple[str, ...] = (f"pass a `torch.Tensor` with {len(item.indices)} axes",)
    if type(value).__module__ == "numpy":
        helps = (f"pass `torch.as_tensor({item.name})`",)
    elif not item.indices:
        helps = ("pass a number, or a `torch.Tensor` without axes",)
    what = f"`{item.name}` wants a tensor over {axes(item)}, but got `{type(value).__name__}`"
    return error("A611", what, item.span, "declared here", helps=helps)


def axes(item: Input) -> str:
    """The axes of an input as they are written."""
    return f"[{', '.join(item.indices)}]"


def plain(value: object) -> object:
    """A number of NumPy's as the Python number it is; anything else as it came."""
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0 else value  # type: ignore[attr-defined]


def setting(name: str, value: object) -> object:
    """The value of an option as a plain one; error A114 for an integer that no program can hold."""
    value = plain(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        what = f"the value of option `{name}` is out of range"
        raise error("A114", what, notes=(f"integers have 64 bits, and {_short(value)} was given",))
    return value


def _scalar(item: Input, value: float, device: torch.device) -> torch.Tensor:
    """A number as a tensor without axes: a real as float32, since a Python real must not widen the whole call."""
    kind, allowed = {
        "real": (torch.float32, True),
        "int": (torch.int64, isinstance(value, int) and not isinstance(value, bool)),
        "bool": (torch.bool, isinstance(value, bool)),
    }[item.type]
    try:
        if allowed:
            return torch.tensor(float(value) if item.type == "real" else value, dtype=kind, device=device)
        reason = ""
    except (OverflowError, ValueError, RuntimeError):  # beyond float64 or int64
        reason = ", which is out of range"
    what = f"`{item.name}` is {item.type}, but {_short(value)} was given{reason}"
    raise error("A603", what, item.span, "declared here")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:20]}..{text[-8:]}"


def _check_type(item: Input, value: torch.Tensor) -> None:
    if value.dtype in KINDS[item.type]:
        return
    wanted = ", ".join(str(kind).removeprefix("torch.") for kind in KINDS[item.type])
    found = str(value.dtype).removeprefix("torch.")
    cast = {"real": "real" if value.is_complex() else "float()", "int": "long()", "bool": "bool()"}[item.type]
    what = f"`{item.name}` is {item.type} in the spec, but {found} was given"
    notes, helps = (f"{item.type} inputs take {wanted}",), (f"pass `{item.name}.{cast}`",)
    raise error("A603", what, item.span, "declared here", notes=notes, helps=helps)


def _check_rank(item: Input, value: torch.Tensor) -> None:
    if value.dim() == len(item.indices):
        return
    what = f"`{item.name}` has shape {tuple(value.shape)}, but {len(item.indices)} axes in the spec: {axes(item)}"
    helps = (f"reshape it to {axes(item)}",)
    raise error("A602", what, item.span, "declared here", helps=helps)


def widened(cascade: Cascade, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors as kernels read them: where one real is float64 arithmetic is float64, and all reals are."""
    wide = any(tensor.dtype == torch.float64 for tensor in tensors.values())
    reals = {item.name for item in cascade.inputs if item.type == "real"} if wide else set()
    return {name: tensor.double() if name in reals else tensor for name, tensor in tensors.items()}

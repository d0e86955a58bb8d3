"""Tensors in `.npz` and `.safetensors` files, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from zipfile import is_zipfile

import torch

from attnc.diagnostics import AttnError, error


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file by name."""
    read = {".npz": _read_npz, ".safetensors": _read_safetensors}.get(path.suffix)
    if read is None:
        raise _unknown_kind(path)
    try:
        return read(path)
    except OSError as reason:
        raise error("A622", f"`{path}` cannot be read: {reason.strerror or reason}") from None
    except Exception as reason:  # archive, header and type errors alike: the file is not what its name says
        raise error("A622", f"`{path}` cannot be read as {path.suffix}", notes=(str(reason),)) from None


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write the tensors by name; `.npz` has no bfloat16, so such a tensor is written as float32 there."""
    if path.suffix not in (".npz", ".safetensors"):
        raise _unknown_kind(path)
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        (_write_npz if path.suffix == ".npz" else _write_safetensors)(path, kept)
    except OSError as reason:
        raise error("A623", f"`{path}` cannot be written: {reason.strerror}") from None


def _unknown_kind(path: Path) -> AttnError:
    return error("A624", f"`{path}` is neither .npz nor .safetensors", helps=("rename it or convert it",))


def _read_npz(path: Path) -> dict[str, torch.Tensor]:
    import numpy

    if path.is_file() and not is_zipfile(path):
        raise ValueError("it is no zip archive, which an .npz is")
    with numpy.load(path, allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return dict(load_file(path))


def _write_npz(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    import numpy

    arrays = {name: (t.float() if t.dtype == torch.bfloat16 else t).numpy() for name, t in tensors.items()}
    numpy.savez(path, **arrays)  # type: ignore[arg-type]  # the stub takes a tensor named allow_pickle for its flag


def _write_safetensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    save_file(dict(tensors), path)

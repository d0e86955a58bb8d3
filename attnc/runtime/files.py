"""Tensors in `.npz` and `.safetensors` files, by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile, is_zipfile

import torch
from safetensors import SafetensorError

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
    unfinished = path.with_name(f".new-{os.getpid()}-{path.name}")
    try:
        (_write_npz if path.suffix == ".npz" else _write_safetensors)(unfinished, kept)
        os.replace(unfinished, path)
    except (OSError, SafetensorError) as reason:
        unfinished.unlink(missing_ok=True)
        raise error("A623", f"`{path}` cannot be written: {getattr(reason, 'strerror', None) or reason}") from None


def _unknown_kind(path: Path) -> AttnError:
    return error("A624", f"`{path}` is neither .npz nor .safetensors", helps=("rename it or convert it",))


def _read_npz(path: Path) -> dict[str, torch.Tensor]:
    import numpy

    if path.is_file() and not is_zipfile(path):
        raise ValueError("it is no zip archive, which an .npz is")
    with numpy.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    native = {name: numpy.ascontiguousarray(array, array.dtype.newbyteorder("=")) for name, array in arrays.items()}
    return {name: torch.from_numpy(array).reshape(arrays[name].shape) for name, array in native.items()}


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return dict(load_file(path))


def _write_npz(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    from numpy.lib.format import write_array

    with ZipFile(path, "w") as archive:  # as numpy.savez does, for which some names are flags of its own
        for name, tensor in tensors.items():
            array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                write_array(file, array, allow_pickle=False)


def _write_safetensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    save_file(dict(tensors), path)

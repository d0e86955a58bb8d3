"""What a command's first argument names: a spec, or an attention of a Python module."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import TYPE_CHECKING

from attnc.diagnostics import AttnError, error
from attnc.library import Spec, find

if TYPE_CHECKING:
    from attnc.runtime.attention import Attention

_FUNCTION = re.compile(r"(?P<module>.+\.py|[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)\Z")


def attention_of(reference: str, *, strict: bool = False) -> Attention:
    """The attention of `std:NAME`, `file.attn`, `file.attn#NAME`, `module:function` or `file.py:function`."""
    from attnc import load

    found = _in_python(reference)
    if found is None:
        return load(reference, strict=strict)
    found.strict = found.strict or strict
    return found


def spec_of(reference: str, options: Mapping[str, object]) -> Spec:
    """The spec that a reference names, not yet analysed."""
    found = _in_python(reference)
    return find(reference) if found is None else found.spec_for(options)


def _in_python(reference: str) -> Attention | None:
    """The attention of a Python module; None where the reference names a spec. The module is run."""
    match = _FUNCTION.match(reference)
    if match is None or match["module"] == "std":
        return None
    from attnc.runtime.attention import Attention

    module, name = match["module"], match["name"]
    with _users(f"`{module}` cannot be imported"):
        home = run_file(Path(module).resolve()) if module.endswith(".py") else _importable(module)
    found = getattr(home, name, None)
    if isinstance(found, Attention):
        with _users(f"`{name}` of `{module}` fails"):
            _ = found.signature  # the function runs
        return found
    if callable(found):
        what = f"`{name}` of `{module}` is a function, not an attention"
        raise error("A681", what, helps=("write `@attnc.jit` above it",))
    raise error("A681", f"`{module}` has no attention `{name}`")


@contextmanager
def _users(what: str) -> Iterator[None]:
    """Code of the user's: what goes wrong in it is theirs to know."""
    try:
        yield
    except AttnError:
        raise
    except Exception as failure:
        last = extract_tb(failure.__traceback__)[-1]
        notes = [f"{type(failure).__name__}: {failure}"[:500]]
        if not last.filename.startswith("<frozen"):
            notes.append(f"at line {last.lineno} of {Path(last.filename).name}")
        raise error("A681", what, notes=notes) from None


def _importable(name: str) -> ModuleType:
    sys.path.insert(0, "")  # as `python -m` does
    try:
        return import_module(name)
    finally:
        sys.path.remove("")


def run_file(path: Path) -> ModuleType:
    """A Python file run as a module."""
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses and pickle look it up
    spec.loader.exec_module(module)
    return module

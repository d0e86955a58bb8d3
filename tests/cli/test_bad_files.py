"""Files that are no specs: each ends with exit code 2 and an error that names it, in bounded time."""

import os
from pathlib import Path

import pytest

from attnc.cli import main

DEEP = 10_000
CHAIN = 2_000
HEAD = "attention deep(X[m]) -> O:\n"
NESTED = {
    "parentheses": HEAD + f"    O[m] = {'(' * DEEP}X{')' * DEEP}\n",
    "brackets": HEAD + f"    O[m] = X{'[' * DEEP}m{']' * DEEP}\n",
    "lists": HEAD + f"    O[m] = X\n    check c: with X = {'[' * DEEP}1{']' * DEEP} gives O = [1]\n",
    "minus": HEAD + f"    O[m] = {'-' * DEEP}X\n",
    "not": HEAD + f"    O[m] = X where {'not ' * DEEP}true\n",
    "powers": HEAD + f"    O[m] = X{' ** X' * DEEP}\n",
    "sums": HEAD + f"    O[m] = X{' + X' * DEEP}\n",
    "products": HEAD + f"    O[m] = X{' * X' * DEEP}\n",
    "comparisons": HEAD + f"    O[m] = X where 0{' < m' * DEEP}\n",
    "conjunctions": HEAD + f"    O[m] = X where true{' and true' * DEEP}\n",
    "choices": HEAD + f"    O[m] = X{' if true else X' * DEEP}\n",
    "calls": HEAD + f"    O[m] = {'exp(' * DEEP}X{')' * DEEP}\n",
    "blocks": HEAD + "".join(f"{' ' * (4 + depth)}O[m] = X:\n" for depth in range(DEEP)),
    "definitions": "def f0(x) = x\n"
    + "".join(f"def f{n + 1}(x) = f{n}(f{n}(x))\n" for n in range(60))
    + HEAD
    + "    O[m] = f60(X)\n",
    "statements": HEAD
    + "    T0[m] = X\n"
    + "".join(f"    T{n + 1}[m] = T{n} + 1\n" for n in range(CHAIN))
    + f"    O[m] = T{CHAIN}\n",
}


def says(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(arguments)
    return code, capsys.readouterr().err


@pytest.mark.parametrize("text", NESTED.values(), ids=NESTED)
def test_deep_nesting_is_refused_or_served(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "deep.attn"
    file.write_text(text)
    code, message = says(["explain", str(file)], capsys)
    assert code in (0, 2), message
    assert message[:8] in ("", "error[A0", "error[A1", "error[A3"), message[:200]
    assert len(message) < 20_000


def test_a_file_of_ten_megabytes_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "large.attn"
    file.write_text(HEAD + "    O[m] = X\n" + "# nothing\n" * 10**6)
    assert file.stat().st_size >= 10_000_000
    code, message = says(["check", str(file)], capsys)
    assert (code, message[:12]) == (2, "error[A010]:")


def _latin(path: Path) -> None:
    path.write_bytes("attention caf\u00e9(X[m]) -> O:\n".encode("latin-1"))


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 10)


KINDS = {
    "not UTF-8": (_latin, "A010"),
    "a folder": (Path.mkdir, "A010"),
    "missing": (lambda path: None, "A010"),
    "a pipe": (_fifo, "A010"),
    "a link to itself": (_loop, "A010"),
    "binary": (_binary, "A010"),
    "empty": (_empty, "A614"),
}


@pytest.mark.parametrize("command", ["check", "explain", "show", "compile", "run"])
@pytest.mark.parametrize(("make", "code"), KINDS.values(), ids=KINDS)
def test_what_is_no_spec_is_told_so(
    make: object, code: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(make)
    file = tmp_path / "odd.attn"
    make(file)
    found, message = says([command, str(file)], capsys)
    assert (found, message[:12]) == (2, f"error[{code}]:")
    assert "odd.attn" in message


# ---- modules ---------------------------------------------------------------------------------

SPEC = "use {}: f\n" + HEAD + "    O[m] = f(X)\n"
MODULE = "score f(x) = 2 * x\n"


def outside_of(tmp_path: Path) -> Path:
    (tmp_path / "secret.attn").write_text(MODULE)
    folder = tmp_path / "specs"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    "link", ["a file", "a folder", "a link to a link", "itself", "missing", "a folder named as a module"]
)
def test_use_reaches_the_specs_own_folder_only(link: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = outside_of(tmp_path)
    module = "near"
    match link:
        case "a file":
            (folder / "near.attn").symlink_to(tmp_path / "secret.attn")
        case "a folder":
            (folder / "near").symlink_to(tmp_path)
            module = "near.secret"
        case "a link to a link":
            (folder / "other.attn").symlink_to("../secret.attn")
            (folder / "near.attn").symlink_to("other.attn")
        case "itself":
            (folder / "near.attn").symlink_to("near.attn")
        case "a folder named as a module":
            (folder / "near.attn").mkdir()
    (folder / "spec.attn").write_text(SPEC.format(module))
    code, message = says(["explain", str(folder / "spec.attn")], capsys)
    assert (code, message[:12]) == (2, "error[A111]:")


@pytest.mark.parametrize("path", ["..secret", "../secret", "/etc/passwd", "near..secret", ".near", '"near"'])
def test_a_module_is_named_not_addressed(path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = outside_of(tmp_path)
    (folder / "spec.attn").write_text(SPEC.format(path))
    code, message = says(["explain", str(folder / "spec.attn")], capsys)
    assert (code, message[:8]) == (2, "error[A0")


def test_a_module_in_the_folder_is_used_also_by_a_link_within(tmp_path: Path) -> None:
    folder = outside_of(tmp_path)
    (folder / "real.attn").write_text(MODULE)
    (folder / "near.attn").symlink_to("real.attn")
    (folder / "spec.attn").write_text(SPEC.format("near"))
    assert main(["check", str(folder / "spec.attn")]) == 0
    (tmp_path / "door.attn").symlink_to(folder / "spec.attn")  # the spec's folder is where the spec lies
    assert main(["check", str(tmp_path / "door.attn")]) == 0


def test_a_module_with_a_mistake_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "near.attn").write_text("score f(x = 2 * x\n")
    (tmp_path / "spec.attn").write_text(SPEC.format("near"))
    code, message = says(["explain", str(tmp_path / "spec.attn")], capsys)
    assert (code, message[:8]) == (2, "error[A0")
    assert "near:1:" in message

"""The build lists every package, the links point where they should, and layers hold."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def test_every_package_is_listed() -> None:
    folders = {"attnc": "attnc", **SETTINGS["package-dir"]}
    found = {
        ".".join((name, *init.parent.relative_to(ROOT / folder).parts))
        for name, folder in folders.items()
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert found == set(SETTINGS["packages"])


def test_links_point_at_the_folders_they_name() -> None:
    for name in ("grammar", "passes", "codegen", "stdlib"):
        assert (ROOT / "attnc" / name).resolve() == ROOT / name
    assert (ROOT / "attnc" / "errors").resolve() == ROOT / "tests" / "errors"


def test_no_module_is_known_under_two_names() -> None:
    import sys

    import attnc.passes

    assert attnc.passes.__name__ == "attnc.passes"
    assert "passes" not in sys.modules


def test_readme_commands_are_the_ones_that_run() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "tests/run.sh" in readme
    assert "tests/run.sh" in (ROOT / ".ci" / "run").read_text()


SOURCES = ("attnc", "grammar", "passes", "codegen", "stdlib", "tests/errors")
DATA = {"cli": "*.in", "grammar": "*.lark", "codegen": "*", "stdlib": "*.attn", "bench": "*.attn", "errors": "A*"}


def test_a_wheel_holds_the_packages_and_their_data_and_nothing_else(tmp_path: Path) -> None:
    """Built from a copy without links, as a machine without them sees the sources."""
    for name in SOURCES:
        shutil.copytree(
            ROOT / name,
            tmp_path / name,
            ignore=lambda folder, names: [n for n in names if Path(folder, n).is_symlink()],
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    build = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    inside = {name for name in names if not name.partition("/")[0].endswith(".dist-info")}
    assert inside == expected_files()
    (entry,) = (name for name in names if name.endswith("entry_points.txt"))
    assert "attnc = attnc.cli:main" in zipfile.ZipFile(wheel).read(entry).decode()


def expected_files() -> set[str]:
    """Every module of a listed package and every data file, under the names they have once installed."""
    folders = {"attnc": "attnc", **SETTINGS["package-dir"]}
    found = {"attnc/py.typed"}
    for package in SETTINGS["packages"]:
        base = next(name for name in (package, package.rpartition(".")[0], "attnc") if name in folders)
        folder = ROOT / folders[base] / Path(*package.split(".")[len(base.split(".")) :])
        target = package.replace(".", "/")
        found |= {f"{target}/{file.name}" for file in folder.glob("*.py")}
        data = DATA.get(package.rpartition(".")[2])
        within = folder / "templates" if package == "attnc.codegen" else folder
        files = (file for file in within.rglob(data) if file.is_file()) if data else ()
        found |= {f"{target}/{file.relative_to(folder).as_posix()}" for file in files}
    return found

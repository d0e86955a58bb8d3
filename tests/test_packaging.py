"""The build lists every package, the links point where they should, and layers hold."""

import tomllib
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

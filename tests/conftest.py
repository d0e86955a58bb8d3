"""Triton runs in its interpreter, and nothing is left in the user's cache."""

import os
import tempfile

import pytest

os.environ.setdefault("TRITON_INTERPRET", "1")  # must stand before triton is first imported
os.environ["ATTNC_CACHE"] = tempfile.mkdtemp(prefix="attnc-tests-")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` writes what is printed now in place of what the documents show."""
    parser.addoption("--update-golden", action="store_true", help="rewrite the transcripts in the documents")

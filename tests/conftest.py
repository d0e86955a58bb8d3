"""Triton runs in its interpreter, nothing is left in the user's cache, no test hears what another was told."""

import os
import sys
import tempfile
from collections.abc import Iterator

import pytest

os.environ.setdefault("TRITON_INTERPRET", "1")  # must stand before triton is first imported
# Nothing is found that another run left, unless it is asked for. The processes of one run share what they compile: they
# begin with the environment of the first.
if not os.environ.get("ATTNC_TESTS_CACHE"):
    os.environ["ATTNC_TESTS_CACHE"] = tempfile.mkdtemp(prefix="attnc-tests-")
os.environ["ATTNC_CACHE"] = os.environ["ATTNC_TESTS_CACHE"]
os.environ["ATTNC_WARNINGS"] = "1"  # of the C++ compiler are errors


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` writes what is printed now in place of what the documents show."""
    parser.addoption("--update-golden", action="store_true", help="rewrite the transcripts in the documents")


@pytest.fixture(autouse=True)
def _hear_announcements_anew() -> Iterator[None]:
    """What is announced once per process is announced once per test."""
    yield
    if "attnc.runtime.build" in sys.modules:
        sys.modules["attnc.runtime.build"]._announced.cache_clear()

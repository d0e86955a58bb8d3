"""Triton runs in its interpreter, and nothing is left in the user's cache."""

import os
import tempfile

os.environ.setdefault("TRITON_INTERPRET", "1")  # must stand before triton is first imported
os.environ["ATTNC_CACHE"] = tempfile.mkdtemp(prefix="attnc-tests-")

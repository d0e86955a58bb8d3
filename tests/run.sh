#!/usr/bin/env bash
# Every check of the project, on a machine with nothing but Python 3.11 or newer and a C++ compiler.
# Sets up .venv where there is none; leaves the machine's own Python alone.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ ! -x .venv/bin/pytest ]; then
  python3 -m venv .venv
  .venv/bin/pip install --quiet --constraint constraints.txt --editable '.[dev]'
  .venv/bin/pip install --quiet --constraint constraints.txt --editable '.[transformers]' ||
    echo 'no Transformers to be had here: the tests of its models are skipped'
fi
export PATH="$PWD/.venv/bin:$PATH"
ruff check .
ruff format --check .
mypy
lint-imports
pytest --numprocesses 2 --dist loadfile --quiet "$@"

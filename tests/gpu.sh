#!/usr/bin/env bash
# The checks that need a GPU, on a machine with PyTorch, Triton and pytest, and without a network: wheels of what is
# missing there (`pip download --no-deps -d .whl lark rich safetensors markdown-it-py mdurl pygments`) lie in .whl.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -d .whl ]; then
  python3 -m pip install --quiet --no-index --no-deps --find-links .whl lark rich safetensors markdown-it-py mdurl pygments
fi
export PYTHONPATH="$PWD" TRITON_INTERPRET=0
exec python3 -m pytest -m gpu --quiet "$@"

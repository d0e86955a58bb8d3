"""`attnc bench gpu` on a device: rows run and are judged, times are the device's, and the library is checked."""

import json

import pytest
import torch

from attnc.bench.timing import DeviceClock
from attnc.cli import main

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")]


def test_a_row_in_both_directions(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--rows", "causal,decode-1x8", "--n", "1024", "--d", "64", "--repeat", "3", "--no-flex", "--no-correct")
    assert main(["bench", "gpu", *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["device"]
    for item in found["measurements"]:
        assert item["passed"]
        assert 0 < item["milliseconds"]["attnc"] < 100
        assert item["milliseconds"]["SDPA"] > 0


def test_the_clock_is_the_devices() -> None:
    watch = DeviceClock()
    a = torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16)

    def products(count: int) -> float:
        return min(watch.once(lambda: [a @ a for _ in range(count)])[0] for _ in range(5))

    one, four = products(1), products(4)
    assert 2.5 * one < four < 6 * one

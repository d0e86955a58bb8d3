"""Recurrences whose tensors wait for one another round after round are counted over every index."""

from pathlib import Path

import attnc

LANGUAGE = Path(__file__).parents[1] / "language"


def test_a_decoder_with_attention_inside_is_counted() -> None:
    """A round makes a pass over d for the query, and one for the gates, which wait for what the query has found."""
    found = attnc.load(LANGUAGE / "gnmt_attention.attn#gnmt").explain().facts["passes"]
    assert found["m"]["as_written"] == 1
    assert found["d"]["as_written"] >= 2

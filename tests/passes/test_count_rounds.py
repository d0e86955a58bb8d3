"""Recurrences whose tensors wait for one another round after round are counted over every index."""

from pathlib import Path

import attnc

LANGUAGE = Path(__file__).parents[1] / "language"


def test_a_decoder_with_attention_inside_is_counted() -> None:
    """A round makes a pass over d for the query, and one for the gates, which wait for what the query has found."""
    found = attnc.load(LANGUAGE / "gnmt_attention.attn#gnmt").explain().facts["passes"]
    assert found["m"]["as_written"] == 1
    assert found["d"]["as_written"] >= 2


def test_what_is_made_anew_in_every_round_is_said_so() -> None:
    found = attnc.load(LANGUAGE / "set2set.attn#set2set").explain().facts["passes"]
    reasons = [reason for row in found.values() for reason in row["reasons"].values()]
    assert any("is made anew in every round" in reason for reason in reasons)


def test_a_web_of_recurrences_is_explained_in_time() -> None:
    """Its statements can be walked in a million ways; each is looked at once."""
    assert attnc.load(LANGUAGE / "hip_attention.attn").explain().facts["passes"]

"""Predicates over positions: which stretch of the stream a tile of rows visits, and what of it is whole."""

from __future__ import annotations

from attnc.passes.masks.area import Area, measured
from attnc.passes.masks.bounds import Branch, solve, trend
from attnc.passes.masks.conjuncts import AtLeastZero, Conjunct, Opaque, alternatives

__all__ = ["Area", "AtLeastZero", "Branch", "Conjunct", "Opaque", "alternatives", "measured", "solve", "trend"]

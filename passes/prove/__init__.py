"""What follows from what is known about integers: ranges of indices, sizes, requirements, conditions.

`Facts` answers whether a comparison is implied or excluded. An answer of yes is a proof: the facts and the
negated goal become linear inequalities that have no solution. No means undecided.
"""

from attnc.passes.prove.atoms import Atoms
from attnc.passes.prove.facts import Facts

__all__ = ["Atoms", "Facts"]

"""attnc: a compiler for attention."""

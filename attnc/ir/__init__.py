"""The three levels of a program: syntax (as written), cascade (its meaning), kernel (its tiles)."""

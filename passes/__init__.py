"""The passes of attnc."""

"""The grammar of attnc."""

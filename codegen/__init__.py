"""The codegen of attnc."""

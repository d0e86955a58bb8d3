"""The stdlib of attnc."""

"""Doors of other packages: each is imported by name, and needs its package only when it is used."""

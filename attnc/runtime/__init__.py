"""Calls: binding arguments, running stages, caching what was built."""

"""Entropic transport: validation, one call of a backend, the answer."""

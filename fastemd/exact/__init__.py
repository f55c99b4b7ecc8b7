"""The exact and the relaxed distance: validation, one call of a backend, the answer."""

"""The exact and the relaxed distance on a GPU."""

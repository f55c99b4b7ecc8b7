"""Sinkhorn's iteration on a GPU."""

"""Kernels of samples on a line or a circle, and what calls them."""

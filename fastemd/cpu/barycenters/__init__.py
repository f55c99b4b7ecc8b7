"""Kernels of barycentres on trees, and what calls them."""

"""Barycentres: the histogram whose weighted distance to others is least."""

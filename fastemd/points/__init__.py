"""Distances of samples: on a line, on a circle, and on trees over points."""

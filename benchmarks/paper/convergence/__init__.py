"""Gradient descent of one histogram towards another."""

"""Distances between all rows of two tables, by tiles that stay in registers."""

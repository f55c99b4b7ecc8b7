"""Distances between all rows of one or two tables: embeddings, all pairs, nearest rows, sparse rows."""

"""How fast, how small and how accurate fastemd is, beside what else computes the same; see README.md beside this file.

``python -m benchmarks core`` measures and writes ``results/core-<device>.json``; ``python -m benchmarks tables`` makes
tables and pictures from the files of results. The documentation has its figures from nowhere else.
"""

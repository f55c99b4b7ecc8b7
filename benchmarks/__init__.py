"""How fast, how small and how accurate fastemd is, beside what else computes the same.

``python -m benchmarks core`` measures and writes ``results/core-<device>.json``; ``python -m benchmarks tables`` makes
``docs/generated/core.md`` from it; without a word both are done. The documentation has its figures from nowhere else.
"""

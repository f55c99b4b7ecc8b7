"""The error of values on a long chain against exact arithmetic.

A float is an integer times a power of two. So histograms and lengths are turned into Python's integers, of any size,
prefix sums and the value are computed with those, and the only rounding is that of the final quotient.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

import fastemd as fe

from ..harness.measure import at_most
from ..harness.problems import Sizes, histograms

BARS = {"float32": 1e-6, "float64": 1e-13}


def lines(sizes: Sizes) -> Iterator[dict[str, object]]:
    """The relative error in each dtype, at rho = 1 and 2, on a chain of uneven lengths."""
    n = sizes.line
    space = fe.Chain(positions=np.cumsum(np.random.default_rng(5).uniform(0.5, 1.5, n)))
    for dtype, limit in BARS.items():
        a, b = (histograms(1, n, seed)[0].astype(dtype) for seed in (1, 2))
        if dtype == "float64":
            rng = np.random.default_rng(6)
            a, b = (x / x.sum() for x in rng.random((2, n)))
        errors = {f"ρ = {rho}": error(a, b, space, rho) for rho in (1, 2)}
        bars = [at_most(limit, f"relative error, {rho}", figure) for rho, figure in errors.items()]
        yield {
            "job": f"value of one pair on a chain, n = {n:,}, {dtype}",
            "figures": {f"relative error, {rho}": figure for rho, figure in errors.items()},
            "note": "against exact integer arithmetic on the same floats",
            "bars": [bar.checked({}) for bar in bars],
        }


def error(a: np.ndarray, b: np.ndarray, space: fe.Chain, rho: int) -> float:
    """Relative error of ``fe.emd(a, b, space, rho=rho)``."""
    exact = value(a, b, space, rho)
    return float(abs(Fraction(float(fe.emd(a, b, space, rho=rho))) - exact) / exact)


def value(a: np.ndarray, b: np.ndarray, space: fe.Chain, rho: int) -> Fraction:
    """The value as a fraction: ``sum(length * abs(prefix sum) ** rho)`` without any rounding."""
    (p, q), mass_exponent = _integers(a, b)
    (length,), length_exponent = _integers(space.lengths)
    flows = itertools.accumulate(x - y for x, y in zip(p, q, strict=True))
    total = sum(edge * abs(phi) ** rho for edge, phi in zip(length, flows, strict=False))
    return total * Fraction(2) ** (rho * mass_exponent + length_exponent)


def _integers(*arrays: np.ndarray) -> tuple[list[list[int]], int]:
    """Return integers that, times 2 ** exponent, are exactly the numbers of the arrays; and the exponent."""
    parts = [np.frexp(array.astype(np.float64)) for array in arrays]
    lowest = min(int(exponent.min()) for _, exponent in parts)
    integers = [
        [mantissa << shift for mantissa, shift in zip(np.ldexp(m, 53).astype(np.int64).tolist(), s, strict=True)]
        for m, s in ((m, (e - lowest).tolist()) for m, e in parts)
    ]
    return integers, lowest - 53

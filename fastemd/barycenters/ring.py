"""The barycentre on a ring at rho = 1: prefix sums and circulations that fit a table by least absolute deviations.

With prefix sums P of the histograms, the cost is ``sum_ie w_i length_e abs(x_e - c_i - P_ie)`` for the prefix sums x of
the barycentre and a circulation c_i for each histogram. Given c, the x of least cost are weighted medians, and medians
of prefix sums rise with e, so they are those of a histogram. What is left is a linear program. Most of its terms are
far from zero and keep their signs, which makes them linear; those near zero are its variables. Terms whose sign turns
out to be another join them, until none does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NEAR = 4  # terms of each row and column that are variables at first
ROUNDS = 100
SWEEPS = 20  # of the medians that make the first guess


class RingMedian(NamedTuple):
    """A barycentre (n,), its cost, and a bound that no histogram's cost is below."""

    masses: np.ndarray
    value: float
    bound: float


def ring_median(length: np.ndarray, rows: np.ndarray, weights: np.ndarray, mass: float) -> RingMedian:
    """Return a histogram of that mass whose weighted EMD to the rows (N, n) is least; `weights` (N,) sum to 1."""
    prefix = rows.cumsum(axis=1)
    price = weights[:, None] * length
    x, c = _guess(prefix, price)
    near = _nearest(abs(x - c[:, None] - prefix))
    for _ in range(ROUNDS):
        sign = np.sign(x - c[:, None] - prefix)
        x, c, slopes = _fit(prefix, price, near, np.where(sign == 0.0, 1.0, sign), mass)
        turned = (x - c[:, None] - prefix) * slopes < -abs(slopes) * _rounding(mass, prefix.size)
        turned &= ~near
        if not turned.any():
            break
        near |= turned
    # Any flow crosses an edge of length 0 for nothing; its medians, too, have to rise with the others.
    x = _prefix_medians(prefix + c[:, None], np.where(length > 0.0, price, weights[:, None]))
    masses = np.diff(x, prepend=x[-1] - mass)
    masses = np.maximum(masses, 0.0)
    value = float(np.sum(price * abs(x - c[:, None] - prefix)))
    bound = -float(np.sum(slopes * prefix)) - mass * float(
        abs(slopes.sum(axis=0)).sum() + abs(slopes.sum(axis=1)).sum()
    )
    return RingMedian(masses, value, bound)


def _rounding(mass: float, terms: int) -> float:
    """Return up to what the program's answers are exact: its tolerance, on numbers of that mass."""
    return 1e-9 * mass * max(1.0, np.log10(terms))


def _prefix_medians(table: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Return the lower weighted median of each column.

    Prices that add up to half of all but for rounding are half in every column, so that medians of rising columns rise.
    """
    order = table.argsort(axis=0)
    cumulative = np.cumsum(np.take_along_axis(price, order, axis=0), axis=0)
    half = cumulative[-1] * (0.5 - len(table) * np.finfo(float).eps)
    middle = (cumulative < half).sum(axis=0)
    return np.take_along_axis(np.take_along_axis(table, order, axis=0), middle[None], axis=0)[0]


def _guess(prefix: np.ndarray, price: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return prefix sums and circulations near the best: medians by column and by row, in turn."""
    c = np.zeros(len(prefix))
    for _ in range(SWEEPS):
        x = _prefix_medians(prefix + c[:, None], price)
        c = _prefix_medians((x - prefix).T, price.T)
    return x, c


def _nearest(deviation: np.ndarray) -> np.ndarray:
    """Return which terms (N, n) are among the smallest of their row or of their column."""
    near = np.zeros(deviation.shape, bool)
    for axis in (0, 1):
        count = min(NEAR, deviation.shape[axis])
        smallest = np.argpartition(deviation, count - 1, axis=axis).take(np.arange(count), axis=axis)
        np.put_along_axis(near, smallest, True, axis=axis)
    return near


def _fit(
    prefix: np.ndarray, price: np.ndarray, near: np.ndarray, sign: np.ndarray, mass: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the best x (n,), c (N,) where terms that are not near keep their sign, and the terms' slopes (N, n)."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, hstack, identity

    count, n = prefix.shape
    far = np.where(near, 0.0, sign * price)
    i, e = np.nonzero(near)
    k = np.arange(len(i))
    ones = np.ones(len(i))
    free = csr_array((np.r_[ones, -ones], (np.r_[k, k], np.r_[e, n + i])), shape=(len(i), n + count))
    eye = identity(len(i), format="csr")
    cost = np.concatenate([far.sum(axis=0), -far.sum(axis=1), price[near], price[near]])
    # The range of the first circulation is one point: adding a number to all of x and c changes nothing.
    ranges = np.full((n + count, 2), [-3.0 * mass, 3.0 * mass])
    ranges[n] = 0.0
    ranges = np.concatenate([ranges, np.full((2 * len(i), 2), [0.0, np.inf])])
    found = linprog(cost, A_eq=hstack([free, -eye, eye]), b_eq=prefix[near], bounds=ranges, method="highs")
    if found.x is None:
        raise RuntimeError(f"scipy's linear program of the barycentre on a ring has no answer ({found.message}).")
    slopes = far
    slopes[near] = np.clip(-found.eqlin.marginals, -price[near], price[near])
    return found.x[:n], found.x[n : n + count], slopes

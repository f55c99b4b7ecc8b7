"""The Gibbs kernel exp(-cost / reg) as an operator on rows, in three forms: two for a cost matrix, one for a space.

Each operator has two methods. `logsumexp(x, side, guess)` returns the logarithm of `sum_j exp(x_j - cost_ij / reg)`, by
rows of the cost where `side` is 0 and by its columns where it is 1; `guess` is about minus the answer.
`transport_cost(x, y)` returns the sum of `cost_ij * exp(x_i + y_j - cost_ij / reg)`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import typeof, types

from ... import threads
from ..compilation import array, entry
from ..simd.lanes import WIDTH
from . import chain, kernels, ring, tree
from .matmul import tiled

SPACES = {"chain": chain, "ring": ring, "tree": tree}
KEPT_REGS = 4  # regs for which a space keeps its layout

NUMBERS, VECTOR, FLAT = array(np.float64, 2), array(np.float64, 1), array(np.float64, 1, "C")
RANGE = (types.intp, types.intp)
EXP_COST = 30  # operations that an exponential or a logarithm counts as


class Products:
    """A cost matrix whose exponentials are kept: sums are matrix products. For cost / reg up to `PLAIN_RANGE`.

    Weights are divided by the largest of their row, and no kernel entry is below exp(-PLAIN_RANGE). So no sum is less
    than that times the row's largest weight, and terms that underflow are beyond the sixteenth digit of every sum.
    """

    def __init__(self, cost: np.ndarray, least: float, reg: float) -> None:
        *self.kernels, self.weighted = tiled(cost, least, reg, np.float64)
        self._stabilized_exp = entry(kernels.stabilized_exp, (NUMBERS, NUMBERS, VECTOR, *RANGE))
        self._stabilized_log = entry(kernels.stabilized_log, (NUMBERS, VECTOR, *RANGE))

    def logsumexp(self, x: np.ndarray, side: int, guess: np.ndarray) -> np.ndarray:
        """Return the logarithms of the sums, see the module."""
        weight, tops = self._exponentials(x)
        sums = self.kernels[side].product(weight)
        threads.share(
            lambda first, last: self._stabilized_log(sums, tops, first, last),
            len(x),
            WIDTH,
            sums.size * EXP_COST,
        )
        return sums

    def transport_cost(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the transport cost of each row, see the module."""
        (weight_x, top_x), (weight_y, top_y) = self._exponentials(x), self._exponentials(y)
        return np.einsum("ri,ri->r", self.weighted.product(weight_x), weight_y) * np.exp(top_x + top_y)

    def _exponentials(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weight, tops = np.empty_like(x), np.empty(len(x))
        threads.share(
            lambda first, last: self._stabilized_exp(x, weight, tops, first, last),
            len(x),
            WIDTH,
            x.size * EXP_COST,
        )
        return weight, tops


class StabilizedSums:
    """A cost matrix of any range, with inf where a pair is forbidden: exponentials of each sum are computed anew."""

    def __init__(self, cost: np.ndarray, least: float, reg: float) -> None:
        self.reg = reg
        self.costs = _padded_rows(cost, least, reg), _padded_rows(cost.T, least, reg)
        self._logsumexp = entry(kernels.matrix_logsumexp, (NUMBERS, NUMBERS, NUMBERS, FLAT, *RANGE))
        self._transport_cost = entry(kernels.matrix_transport_cost, (NUMBERS, NUMBERS, FLAT, VECTOR, *RANGE))

    def logsumexp(self, x: np.ndarray, side: int, guess: np.ndarray) -> np.ndarray:
        """Return the logarithms of the sums, see the module."""
        sums, cost = np.empty_like(guess), self.costs[side]
        size = len(x) * cost.size * EXP_COST
        threads.share(lambda first, last: self._logsumexp(x, sums, guess, cost, first, last), len(x), 1, size)
        return sums

    def transport_cost(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the transport cost of each row, see the module."""
        values, cost = np.empty(len(x)), self.costs[0]
        size = len(x) * cost.size * EXP_COST
        threads.share(lambda first, last: self._transport_cost(x, y, cost, values, first, last), len(x), 1, size)
        return values * self.reg


def _padded_rows(cost: np.ndarray, least: float, reg: float) -> np.ndarray:
    """Return (cost - least) / reg in one vector, rows padded to whole registers."""
    n, k = cost.shape
    whole = np.zeros((n, -(-k // WIDTH) * WIDTH))
    np.subtract(cost, least, out=whole[:, :k])
    whole /= reg
    return whole.ravel()


class SpaceKernel:
    """The Gibbs kernel of a chain, ring or tree, applied by sweeps in O(n) time and memory."""

    def __init__(self, space: Any, reg: float, extended: bool) -> None:
        self.space = _prepared(space, reg, extended)
        self.slots = self.space.entries * (2 if extended else 1)
        self.free: list[np.ndarray] = []
        kind = typeof(self.space)
        self._logsumexp = entry(kernels.space_logsumexp, (NUMBERS, NUMBERS, kind, FLAT, *RANGE))
        self._transport_cost = entry(kernels.space_transport_cost, (NUMBERS, NUMBERS, kind, FLAT, FLAT, VECTOR, *RANGE))

    def logsumexp(self, x: np.ndarray, side: int, guess: np.ndarray) -> np.ndarray:
        """Return the logarithms of the sums, see the module."""
        sums = np.empty_like(x)

        def work(first: int, last: int) -> None:
            scratch = self._scratch()
            self._logsumexp(x, sums, self.space, scratch, first, last)
            self.free.append(scratch)

        threads.share(work, len(x), WIDTH, x.size * EXP_COST)
        return sums

    def transport_cost(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the transport cost of each row, see the module."""
        values = np.empty(len(x))

        def work(first: int, last: int) -> None:
            scratch, other = self._scratch(), self._scratch()
            self._transport_cost(x, y, self.space, scratch, other, values, first, last)
            self.free += [scratch, other]

        threads.share(work, len(x), WIDTH, x.size * EXP_COST)
        return values

    def _scratch(self) -> np.ndarray:
        """Return scratch that no other thread uses."""
        try:
            return self.free.pop()
        except IndexError:
            return np.empty(self.slots * WIDTH)


def _prepared(space: Any, reg: float, extended: bool) -> Any:
    """Return the layout of a space for a reg; the space keeps those of its last few regs."""
    kept = space.kept.setdefault("gibbs", {})
    key = (reg, extended)
    if key not in kept:
        while len(kept) >= KEPT_REGS:
            kept.pop(next(iter(kept)), None)
        kept[key] = SPACES[space.kind].prepare(space, reg, extended)
    return kept[key]


@functools.cache
def updater() -> Callable[..., None]:
    """Return the compiled `update`."""
    vectors = (VECTOR, VECTOR, types.float64, types.boolean, types.float64, VECTOR, VECTOR)
    return entry(kernels.update, (*(NUMBERS,) * 5, *vectors, *RANGE))


@functools.cache
def rescaler(dtype: np.dtype) -> Callable[..., None]:
    """Return the compiled `rescale` for scalings of a dtype."""
    numbers = array(dtype, 2)
    return entry(kernels.rescale, (*(numbers,) * 4, VECTOR, types.boolean, types.float64, VECTOR, VECTOR, *RANGE))

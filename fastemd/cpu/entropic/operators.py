"""The door to Sinkhorn's kernels: the Gibbs kernel exp(-cost / reg) as something that can be applied to rows.

Each operator has `softmax_sums(x, side, hint)`, the logarithm of `sum_j e**(x_j - cost_ij / reg)`, by rows of the cost
where `side` is 0 and by its columns where it is 1, and `transport_cost(x, y)`, the sum of
`cost_ij * e**(x_i + y_j - cost_ij / reg)`.
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
KEPT_REGS = 4  # prepared Gibbs kernels that a space keeps

NUMBERS, VECTOR, FLAT = array(np.float64, 2), array(np.float64, 1), array(np.float64, 1, "C")
RANGE = (types.intp, types.intp)
LOGS = 30  # how many times as long a number takes where it needs exponentials and logarithms


class Products:
    """A cost matrix whose exponentials are kept: sums are matrix products. For largest cost / reg up to `wide.PLAIN`.

    Weights are divided by the largest of their row, and no kernel entry is below e**-PLAIN. So no sum is less than that
    times the row's largest weight, and what underflows is beyond the sixteenth digit of every sum.
    """

    def __init__(self, cost: np.ndarray, reg: float) -> None:
        kernel = np.exp(cost / -reg)
        *self.kernels, self.weighted = tiled(kernel.T, kernel, kernel * cost)
        self._weigh = entry(kernels.weigh, (NUMBERS, NUMBERS, VECTOR, *RANGE))
        self._logarithms = entry(kernels.logarithms, (NUMBERS, VECTOR, *RANGE))

    def softmax_sums(self, x: np.ndarray, side: int, hint: np.ndarray) -> np.ndarray:
        """Return what the module's text says."""
        weight, tops = self._weighed(x)
        sums = self.kernels[side].product(weight)
        threads.share(lambda first, last: self._logarithms(sums, tops, first, last), len(x), WIDTH, sums.size * LOGS)
        return sums

    def transport_cost(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return what the module's text says."""
        (weight_x, top_x), (weight_y, top_y) = self._weighed(x), self._weighed(y)
        return np.einsum("ri,ri->r", self.weighted.product(weight_x), weight_y) * np.exp(top_x + top_y)

    def _weighed(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weight, tops = np.empty_like(x), np.empty(len(x))
        threads.share(lambda first, last: self._weigh(x, weight, tops, first, last), len(x), WIDTH, x.size * LOGS)
        return weight, tops


class StabilizedSums:
    """A cost matrix of any range: each sum is made of exponentials anew."""

    def __init__(self, cost: np.ndarray, reg: float) -> None:
        self.reg = reg
        scaled = cost / reg
        self.costs = _padded(scaled), _padded(scaled.T)
        self._soften = entry(kernels.soften, (NUMBERS, NUMBERS, NUMBERS, FLAT, *RANGE))
        self._cost = entry(kernels.soften_cost, (NUMBERS, NUMBERS, FLAT, VECTOR, *RANGE))

    def softmax_sums(self, x: np.ndarray, side: int, hint: np.ndarray) -> np.ndarray:
        """Return what the module's text says; `hint` is near minus the answer."""
        sums, cost = np.empty_like(hint), self.costs[side]
        size = len(x) * cost.size * LOGS
        threads.share(lambda first, last: self._soften(x, sums, hint, cost, first, last), len(x), 1, size)
        return sums

    def transport_cost(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return what the module's text says."""
        values, cost = np.empty(len(x)), self.costs[0]
        size = len(x) * cost.size * LOGS
        threads.share(lambda first, last: self._cost(x, y, cost, values, first, last), len(x), 1, size)
        return values * self.reg


def _padded(cost: np.ndarray) -> np.ndarray:
    """Rows of a cost matrix, filled up to whole registers, in one vector."""
    n, k = cost.shape
    whole = np.zeros((n, -(-k // WIDTH) * WIDTH))
    whole[:, :k] = cost
    return whole.ravel()


class SpaceKernel:
    """A chain, ring or tree: sums travel along its edges, in O(n) time and memory."""

    def __init__(self, space: Any, reg: float, extended: bool) -> None:
        self.space = _prepared(space, reg, extended)
        self.slots = self.space.places * (2 if extended else 1)
        self.spare: list[np.ndarray] = []
        kind = typeof(self.space)
        self._along = entry(kernels.along, (NUMBERS, NUMBERS, kind, FLAT, *RANGE))
        self._cost = entry(kernels.along_cost, (NUMBERS, NUMBERS, kind, FLAT, FLAT, VECTOR, *RANGE))

    def softmax_sums(self, x: np.ndarray, side: int, hint: np.ndarray) -> np.ndarray:
        """Return what the module's text says."""
        sums = np.empty_like(x)

        def work(first: int, last: int) -> None:
            buffer = self._buffer()
            self._along(x, sums, self.space, buffer, first, last)
            self.spare.append(buffer)

        threads.share(work, len(x), WIDTH, x.size * LOGS)
        return sums

    def transport_cost(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return what the module's text says."""
        values = np.empty(len(x))

        def work(first: int, last: int) -> None:
            one, other = self._buffer(), self._buffer()
            self._cost(x, y, self.space, one, other, values, first, last)
            self.spare += [one, other]

        threads.share(work, len(x), WIDTH, x.size * LOGS)
        return values

    def _buffer(self) -> np.ndarray:
        """Return scratch that no other thread has at the moment."""
        try:
            return self.spare.pop()
        except IndexError:
            return np.empty(self.slots * WIDTH)


def _prepared(space: Any, reg: float, extended: bool) -> Any:
    """Return what the sweeps of a space read for a reg; the space keeps those of its last few regs."""
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

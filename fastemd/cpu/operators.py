"""The door to Sinkhorn's kernels: the Gibbs kernel exp(-cost / reg) as something that can be applied to rows.

Each operator has `softmax_sums(x, side, hint)`, the logarithm of `sum_j e**(x_j - cost_ij / reg)`, by rows of the cost
where `side` is 0 and by its columns where it is 1, and `cost(x, y)`, the sum of
`cost_ij * e**(x_i + y_j - cost_ij / reg)`. Rows are shared out by `share(work, rows, grain, size)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import typeof, types

from . import arcs, gibbs
from . import sinkhorn as kernels
from .compiled import array, entry
from .lanes import WIDTH
from .tiles import Tiles
from .tree import prepare

Share = Callable[[Callable[[int, int], None], int, int, int], None]
NUMBERS, VECTOR, FLAT = array(np.float64, 2), array(np.float64, 1), array(np.float64, 1, "C")
RANGE = (types.intp, types.intp)
LOGS = 30  # how many times as long a number takes where it needs exponentials and logarithms


class Products:
    """A cost matrix whose exponentials are kept: sums are matrix products. For largest cost / reg up to `wide.PLAIN`.

    Weights are divided by the largest of their row, and no kernel entry is below e**-PLAIN. So no sum is less than that
    times the row's largest weight, and what underflows is beyond the sixteenth digit of every sum.
    """

    def __init__(self, cost: np.ndarray, reg: float, share: Share) -> None:
        kernel = np.exp(cost / -reg)
        self.kernels = Tiles(kernel.T, share), Tiles(kernel, share)
        self.priced = Tiles(kernel * cost, share)
        self.share = share
        self._weigh = entry(kernels.weigh, (NUMBERS, NUMBERS, VECTOR, *RANGE))
        self._logarithms = entry(kernels.logarithms, (NUMBERS, VECTOR, *RANGE))

    def softmax_sums(self, x: np.ndarray, side: int, hint: np.ndarray) -> np.ndarray:
        """Return what the module's text says."""
        weight, tops = self._weighed(x)
        sums = self.kernels[side].product(weight)
        self.share(lambda first, last: self._logarithms(sums, tops, first, last), len(x), WIDTH, sums.size * LOGS)
        return sums

    def cost(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return what the module's text says."""
        (weight_x, top_x), (weight_y, top_y) = self._weighed(x), self._weighed(y)
        return np.einsum("ri,ri->r", self.priced.product(weight_x), weight_y) * np.exp(top_x + top_y)

    def _weighed(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weight, tops = np.empty_like(x), np.empty(len(x))
        self.share(lambda first, last: self._weigh(x, weight, tops, first, last), len(x), WIDTH, x.size * LOGS)
        return weight, tops


class Softened:
    """A cost matrix of any range: each sum is made of exponentials anew."""

    def __init__(self, cost: np.ndarray, reg: float, share: Share) -> None:
        self.reg, self.share = reg, share
        scaled = cost / reg
        self.costs = _padded(scaled), _padded(scaled.T)
        self._soften = entry(kernels.soften, (NUMBERS, NUMBERS, NUMBERS, FLAT, *RANGE))
        self._cost = entry(kernels.soften_cost, (NUMBERS, NUMBERS, FLAT, VECTOR, *RANGE))

    def softmax_sums(self, x: np.ndarray, side: int, hint: np.ndarray) -> np.ndarray:
        """Return what the module's text says; `hint` is near minus the answer."""
        sums, cost = np.empty_like(hint), self.costs[side]
        size = len(x) * cost.size * LOGS
        self.share(lambda first, last: self._soften(x, sums, hint, cost, first, last), len(x), 1, size)
        return sums

    def cost(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return what the module's text says."""
        values, cost = np.empty(len(x)), self.costs[0]
        size = len(x) * cost.size * LOGS
        self.share(lambda first, last: self._cost(x, y, cost, values, first, last), len(x), 1, size)
        return values * self.reg


def _padded(cost: np.ndarray) -> np.ndarray:
    """Rows of a cost matrix, filled up to whole registers, in one vector."""
    n, k = cost.shape
    whole = np.zeros((n, -(-k // WIDTH) * WIDTH))
    whole[:, :k] = cost
    return whole.ravel()


class Paths:
    """A chain, ring or tree: sums travel along its edges, in O(n) time and memory."""

    def __init__(self, space: Any, reg: float, share: Share, wide: bool) -> None:
        self.share = share
        if space.kind == "chain":
            self.space: Any = gibbs.chain(space.lengths, reg, wide)
        elif space.kind == "ring":
            self.space = arcs.ring(space.lengths, reg, wide)
        else:
            if "cpu" not in space.kept:
                space.kept["cpu"] = prepare(space.arrays, space.n)
            self.space = gibbs.tree(space.kept["cpu"], space.n, reg, wide)
        self.slots = self.space.places * (2 if wide else 1)
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

        self.share(work, len(x), WIDTH, x.size * LOGS)
        return sums

    def cost(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return what the module's text says."""
        values = np.empty(len(x))

        def work(first: int, last: int) -> None:
            one, other = self._buffer(), self._buffer()
            self._cost(x, y, self.space, one, other, values, first, last)
            self.spare += [one, other]

        self.share(work, len(x), WIDTH, x.size * LOGS)
        return values

    def _buffer(self) -> np.ndarray:
        """Return scratch that no other thread has at the moment."""
        try:
            return self.spare.pop()
        except IndexError:
            return np.empty(self.slots * WIDTH)


def updater() -> Callable[..., None]:
    """Return the compiled `update`."""
    vectors = (VECTOR, VECTOR, types.float64, types.boolean, types.float64, VECTOR, VECTOR)
    return entry(kernels.update, (*(NUMBERS,) * 5, *vectors, *RANGE))


def rescaler(dtype: np.dtype) -> Callable[..., None]:
    """Return the compiled `rescale` for scalings of a dtype."""
    numbers = array(dtype, 2)
    return entry(kernels.rescale, (*(numbers,) * 4, VECTOR, types.boolean, types.float64, VECTOR, VECTOR, *RANGE))

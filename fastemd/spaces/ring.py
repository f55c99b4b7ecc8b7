"""The ring: bins in a circle."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from . import validation
from .base import RingArrays, Space


class Ring(Space):
    """Bins in a circle, such as hues, angles or hours of the day.

    Edge i joins bins i and (i + 1) % n, so m = n. Flow through it is positive where mass moves from i to i + 1.

    Parameters
    ----------
    n : int, optional
        Number of bins, at least 1. May be left out where `lengths` are given.
    lengths : array_like, shape (n,), optional
        Length of each edge, finite and not negative; 1 by default.

    Raises
    ------
    TypeError, ValueError
        If neither argument is given, if they disagree, or if a length is negative or not finite.

    Examples
    --------
    >>> from fastemd.spaces import Ring
    >>> Ring(360).diameter
    180.0
    >>> Ring(lengths=[1, 2, 4]).cost_matrix()
    array([[0., 1., 3.],
           [1., 0., 2.],
           [3., 2., 0.]])
    """

    kind = "ring"
    _content = ("lengths",)

    def __init__(self, n: int | None = None, *, lengths: ArrayLike | None = None) -> None:
        lengths = validation.ring_lengths(n, lengths)
        self._freeze(lengths=lengths, n=len(lengths), m=len(lengths))

    def __repr__(self) -> str:
        if np.all(self.lengths == 1):
            return f"Ring({self.n})"
        return f"<Ring of {self.n} bins, {self.lengths.sum():g} around>"

    @cached_property
    def arrays(self) -> RingArrays:
        """The arrays that kernels read."""
        return RingArrays(self.lengths)

    def _positions(self) -> np.ndarray:
        """Positions of bins 0 .. n - 1 counted from bin 0 and, once around, of bin 0 again: shape (n + 1,)."""
        return np.concatenate([[0.0], np.cumsum(self.lengths)])

    @cached_property
    def diameter(self) -> float:
        """Largest distance of two bins; O(n log n)."""
        x = self._positions()
        around, x = x[-1], x[:-1]
        # The bin farthest from bin i is the last one in the half circle behind it or the first one beyond.
        beyond = np.searchsorted(x, x + around / 2)
        gaps = np.abs(x[np.stack([beyond - 1, beyond % self.n])] - x)
        return float(np.minimum(gaps, around - gaps).max())

    def cost_matrix(self) -> np.ndarray:
        """Distance of every pair of bins, the shorter way round: float64 of shape (n, n)."""
        bins = np.arange(self.n)
        # Sums of lengths from each bin onwards: differences of positions would cancel.
        onwards = np.lib.stride_tricks.sliding_window_view(np.tile(self.lengths, 2), self.n)[: self.n]
        onwards = np.cumsum(onwards[:, : self.n - 1], axis=1)
        matrix = np.zeros((self.n, self.n))
        matrix[bins[:, None], (bins[:, None] + 1 + bins[: self.n - 1]) % self.n] = onwards
        return np.minimum(matrix, matrix.T)

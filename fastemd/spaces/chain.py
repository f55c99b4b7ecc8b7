"""The chain: bins in a row."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from . import validation
from .base import ChainArrays, Space


class Chain(Space):
    """Bins in a row, such as grey levels or ordered classes.

    Edge e joins bins e and e + 1, so m = n - 1. Flow through it is positive where mass moves to the right.

    Parameters
    ----------
    n : int, optional
        Number of bins, at least 1. May be left out where `positions` are given.
    positions : array_like, shape (n,), optional
        Where the bins lie, strictly increasing and finite; 0, 1, ..., n - 1 by default. Differences of whole numbers
        are exact. Dates and durations (datetime64, timedelta64) count in the unit of their dtype: days for
        datetime64[D].

    Attributes
    ----------
    positions : ndarray, shape (n,), float64
        int64 if they are whole numbers beyond 2**53.

    Raises
    ------
    TypeError, ValueError
        If neither argument is given, if they disagree, or if positions are not finite and strictly increasing.

    Examples
    --------
    >>> from fastemd.spaces import Chain
    >>> Chain(256)
    Chain(256)
    >>> uneven = Chain(positions=[0.0, 1.0, 4.0])
    >>> uneven.lengths
    array([1., 3.])
    >>> uneven.diameter
    4.0
    """

    kind = "chain"
    _content = ("positions",)
    positions: np.ndarray

    def __init__(self, n: int | None = None, *, positions: ArrayLike | None = None) -> None:
        x = validation.chain_positions(n, positions)
        self._freeze(positions=x, lengths=np.diff(x).astype(np.float64), n=len(x), m=len(x) - 1)

    def __repr__(self) -> str:
        if np.array_equal(self.positions, np.arange(self.n)):
            return f"Chain({self.n})"
        return f"<Chain of {self.n} bins from {self.positions[0]:g} to {self.positions[-1]:g}>"

    @cached_property
    def arrays(self) -> ChainArrays:
        """The arrays that kernels read."""
        return ChainArrays(self.lengths)

    @cached_property
    def diameter(self) -> float:
        """Largest distance of two bins; O(1)."""
        return float(self.positions[-1] - self.positions[0])

    def cost_matrix(self) -> np.ndarray:
        """Distance of every pair of bins: float64 of shape (n, n), ``abs(positions[i] - positions[j])``."""
        return np.abs(self.positions[:, None] - self.positions).astype(np.float64, copy=False)

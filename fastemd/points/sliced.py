"""The mean distance over several trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..exact.api import emd
from ..spaces.base import Space
from . import validation


def tree_sliced(
    A: ArrayLike,
    B: ArrayLike,
    trees: Sequence[Space],
    *,
    rho: float = 1,
    mass: str = "equal",
    check: bool = True,
) -> Any:
    """Mean Earth Mover's Distance over several trees, the tree-sliced Wasserstein distance of [1]_.

    Parameters
    ----------
    A, B : array_like, shapes (..., n)
        Histograms over the same n points, as for `emd`.
    trees : sequence of Tree
        Trees whose bins are those points, such as `Tree.from_points` makes with several seeds.
    rho, mass, check
        As for `emd`.

    Returns
    -------
    numpy scalar or ndarray, shape (...)
        As `emd`.

    Raises
    ------
    TypeError, ValueError
        As `emd`, and for trees that are none, or of different numbers of bins.

    Notes
    -----
    Distances of `Tree.from_points` are never below the Euclidean ones, so at ``rho=1`` the answer is never below the
    exact EMD of the points. The more trees, the less it varies.

    References
    ----------
    .. [1] T. Le, M. Yamada, K. Fukumizu, M. Cuturi, "Tree-Sliced Variants of Wasserstein Distances", NeurIPS 2019.

    Examples
    --------
    >>> import fastemd as fe
    >>> trees = [fe.Tree.from_points([[0.0], [1.0], [7.0]], seed=seed) for seed in range(20)]
    >>> bool(fe.tree_sliced([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], trees) >= 7.0)
    True
    """
    spaces = validation.tree_list(trees)
    first = emd(A, B, spaces[0], rho=rho, mass=mass, check=check)
    total = first / len(spaces)
    for space in spaces[1:]:
        total = total + emd(A, B, space, rho=rho, mass=mass, check=check) / len(spaces)
    return total.astype(first.dtype)[()] if isinstance(total, np.ndarray | np.generic) else total

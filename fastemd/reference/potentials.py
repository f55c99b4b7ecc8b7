"""From flows to potentials."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..spaces import Chain, Ring, Tree
from .flows import Array, Space, compared, edge_slope, optimal_flow, parents_first


def potential(
    a: ArrayLike, b: ArrayLike, space: Space, *, rho: float = 1, centred: bool = True, mass: str = "equal"
) -> Array:
    """The potential: for each bin, the slopes summed from it to the root.

    At `rho = 1` it is a Kantorovich potential, `|f_u - f_v| <= distance(u, v)`, and `sum(f * (a - b))` equals the
    value, which proves the value optimal.

    Parameters
    ----------
    a, b, space, rho, mass
        As for `emd`. Under "normalize" it is the potential of the normalised rows.
    centred : bool
        Subtract the mean over the bins; else the potential is 0 at the root, on a ring at bin 0.

    Returns
    -------
    ndarray of float64, shape (..., n)
        In units of mass**(rho - 1) times length.

    Raises
    ------
    ValueError
        As `emd`.

    Examples
    --------
    >>> from fastemd import Chain, reference
    >>> reference.potential([3, 0, 0, 0], [1, 0, 0, 2], Chain(4), centred=False)
    array([3., 2., 1., 0.])
    """
    require_rho(rho)
    a, b, _, _ = compared(a, b, space, mass)
    f = rooted_potential(optimal_flow(a - b, space, rho), space, rho)
    return less_mean(f) if centred else f


def rooted_potential(phi: Array, space: Space, rho: float) -> Array:
    """The potential, `(..., n)`, that is 0 at the root: at the last bin of a chain, at bin 0 of a ring."""
    f = np.zeros((*phi.shape[:-1], space.m if isinstance(space, Tree) else space.n))
    if isinstance(space, Ring):  # edge e carries the grains of bins 0..e, and all slopes sum to 0
        f[..., 1:] = -np.cumsum(ring_slopes(phi, space.lengths, rho), axis=-1)[..., :-1]
        return f
    slope = edge_slope(phi, space.lengths, rho)
    if isinstance(space, Chain):
        f[..., :-1] = np.cumsum(slope[..., ::-1], axis=-1)[..., ::-1]
        return f
    for node in parents_first(space.parent)[1:]:
        f[..., node] = f[..., space.parent[node]] + slope[..., node]
    return f[..., space.bins]


def ring_slopes(phi: Array, lengths: Array, rho: float) -> Array:
    """The slopes around a ring, which sum to 0, as the potential has to come back to itself after one round.

    They are mixed from the slopes a little to the left and a little to the right of every flow. At `rho == 1` these
    two differ where the flow is 0 only, by twice the length: so the edges without flow share what the others' sum
    misses, in proportion to their lengths. At `rho > 1` the mixture makes up for the rounding of the circulation,
    which for `1 < rho < 2` is not small: a flow of 1e-17 has the slope 0.02 at `rho == 1.1`.
    """
    if rho == 1:
        little: Any = np.finfo(np.float64).tiny
    else:
        little = 2.0**-50 * np.max(np.abs(phi), axis=-1, keepdims=True)
    left, right = edge_slope(phi - little, lengths, rho), edge_slope(phi + little, lengths, rho)
    room = np.sum(right - left, axis=-1, keepdims=True)
    share = -np.sum(left, axis=-1, keepdims=True) / np.where(room > 0, room, 1.0)
    slopes: Array = left + np.clip(share, 0.0, 1.0) * (right - left)
    return slopes


def less_mean(f: Array) -> Array:
    """`f - mean(f)`: the part of a gradient along the changes that keep the mass."""
    centred: Array = f - np.mean(f, axis=-1, keepdims=True)
    return centred


def require_rho(rho: float) -> None:
    """Raise unless `rho` is a finite number of at least 1."""
    if not (1 <= rho < np.inf):
        raise ValueError(f"rho is {rho!r}; it must be a finite number of at least 1")

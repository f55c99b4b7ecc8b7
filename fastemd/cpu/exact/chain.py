"""The chain: one sweep from the first bin to the last.

The flow over edge e is the prefix sum of a - b through bin e. The root is the last bin, so the potential of a bin is
what the slopes of the edges to its right add up to.
"""

from typing import NamedTuple

import numpy as np

from ...formulas.edge import cost, slope
from ..simd.lanes import WIDTH, lanes, nowhere, put
from . import sweeps


class Chain(NamedTuple):
    """The edge after each bin (`length`), the length of the whole (`reach`), and where the buffer holds what."""

    length: np.ndarray
    reach: float
    place: np.ndarray
    edge: np.ndarray
    root: int
    slots: int


def prepare(arrays, n):
    """Pad with edges of length zero to whole blocks of eight columns, so that a sweep needs no loop for a rest."""
    slots = -(-n // WIDTH) * WIDTH
    length = np.zeros(slots)
    length[: n - 1] = arrays.length
    return Chain(length, float(length.sum()), np.arange(slots), np.arange(slots), n - 1, slots)


def value(source, space, rho, n, buffer):
    """Phi is the prefix sum; each edge adds its cost."""
    phi = total = lanes(0.0)
    negative = nowhere()
    for j in range(0, n, WIDTH):
        columns, signs = sweeps.block(source, j, n)
        negative |= signs
        for k, difference in enumerate(columns):
            phi += difference
            total += cost(phi, space.length[j + k], rho)
    return total, (phi, negative)


def potential(source, space, rho, n, buffer):
    """As `value`; and f falls by the slope of each edge on the way from the first bin."""
    phi = total = f = together = lanes(0.0)
    negative = nowhere()
    for j in range(0, n, WIDTH):
        columns, signs = sweeps.block(source, j, n)
        negative |= signs
        for k, difference in enumerate(columns):
            put(buffer, j + k, f)
            together += f
            phi += difference
            total += cost(phi, space.length[j + k], rho)
            f -= slope(phi, space.length[j + k], rho)
    padding = (space.slots - n) * f
    return total, (phi, negative), (together - padding) / n


def flow(source, space, rho, n, buffer):
    """As `value`; and the prefix sums stay in the buffer."""
    phi = total = lanes(0.0)
    negative = nowhere()
    for j in range(0, n, WIDTH):
        columns, signs = sweeps.block(source, j, n)
        negative |= signs
        for k, difference in enumerate(columns):
            phi += difference
            total += cost(phi, space.length[j + k], rho)
            put(buffer, j + k, phi)
    return total, (phi, negative)


sweeps.furnish(Chain, value=value, potential=potential, flow=flow)

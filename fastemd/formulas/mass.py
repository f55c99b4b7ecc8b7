"""Which masses a row may have, and by how much the masses of a pair may differ."""

import math
import sys

SMALLEST_MASS = sys.float_info.min  # the smallest normal float64: a row of less cannot be divided by its mass
ANY_SURPLUS = 1e300  # as a tolerance: no two masses differ by more times the larger


def mass_tolerance(epsilon: float, n: int) -> float:
    """Return by how much, relative to the larger, two masses may differ: the rounding error of n bins."""
    return min(8.0 * n * epsilon, math.sqrt(epsilon))

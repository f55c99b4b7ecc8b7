"""Which masses a row may have, and by how much the masses of a pair may differ."""

import math
import sys

SMALLEST_MASS = sys.float_info.min  # the smallest normal float64: a row of less cannot be divided by its mass
ANY_SURPLUS = 1e300  # as a tolerance: no two masses differ by more times the larger


COARSE = 2.0**-12  # relative spacing of floats: rows of a dtype with a larger one are made in a wider dtype


def mass_tolerance(epsilon: float, least: float, n: int) -> float:
    """Return by how much, relative to the larger, two masses of n bins may differ: the rounding error of such rows.

    `epsilon` is the relative spacing of the floats of a dtype, `least` the smallest above 0. Rows of 16 bits are made
    in a wider dtype and rounded, entry by entry and perhaps once more when they are divided by a mass that was rounded:
    each mass is off by twice the spacing at most, whatever n is. Only entries of a row of mass 1 that are too small to
    be normal numbers add an error each. Rows of wider dtypes are made in them, by sums of n terms.
    """
    made = 8.0 * n * epsilon if epsilon < COARSE else 4.0 * epsilon + n * least
    return min(made, math.sqrt(epsilon))

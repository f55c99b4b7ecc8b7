"""How far two ways of computing the same number may lie apart: the only tolerance of the tests."""

import numpy as np


def tolerance(dtype, n, mass, length, c=8):
    """Absolute error allowed where `n` numbers of total `mass` are moved over edges of total `length`.

    A sum of n terms, each rounded to a relative error of eps, is off by at most n * eps * sum |terms|; `c` covers the
    few sums that follow one another (prefixes, circulation, slopes, mean). Integers are computed in float64.

    Parameters
    ----------
    dtype : dtype
        What is computed in, or what the answer is rounded to.
    n : int
        Number of terms: bins or, where there are more, edges.
    mass : float
        Mass of the larger histogram; `mass**rho` for a relaxed value, 1 for a potential at `rho == 1`.
    length : float
        Sum of the edges' lengths.
    c : float
        A constant.

    Returns
    -------
    float
        `c * n * eps * mass * length`, and at least `c * n` times what is lost where numbers are too small to be normal:
        kernels may take a float64 of that kind for 0, and other dtypes are rounded to their smallest number.
    """
    dtype = np.dtype(dtype)
    numbers = np.finfo(dtype if dtype.kind == "f" else np.float64)
    least = float(numbers.smallest_subnormal) + float(np.finfo(np.float64).tiny)
    return c * n * np.maximum(float(numbers.eps) * mass * length, least)

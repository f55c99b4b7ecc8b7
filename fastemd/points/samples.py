"""The distance of samples with positions of their own, on a line or a circle, with its gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..arrays.callers import caller_of
from ..arrays.inputs import one_of
from ..exact.validation import PLAN_MASSES, exponent
from . import validation

WRT = ("x", "y", "wx", "wy")


class SampleProblem(NamedTuple):
    """Rows of samples: positions and weights (rows, n) and (rows, k) in float64, and what their answers look like."""

    arrays: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    masses: tuple[np.ndarray, np.ndarray]
    batch: tuple[int, ...]
    dtype: Any
    rho: float
    period: float
    good: np.ndarray
    caller: Any


def wasserstein_1d(
    x: ArrayLike,
    y: ArrayLike,
    wx: ArrayLike | None = None,
    wy: ArrayLike | None = None,
    *,
    rho: float = 1,
    period: float | None = None,
    mass: str = "equal",
    check: bool = True,
) -> Any:
    """Earth Mover's Distance of samples on a line or, with a period, on a circle.

    ``sum_e gap_e * abs(F_e) ** rho`` over the gaps between neighbouring positions, where F is the weight of x so far
    less that of y. On a circle a circulation is taken off F, the one of least value. At ``rho=1`` this is the
    Wasserstein-1 distance of the two weighted samples, which need not have positions in common.

    Parameters
    ----------
    x, y : array_like, shapes (..., n) and (..., k)
        Positions of the samples, in any order, finite, in host memory. Leading axes are a batch and broadcast.
    wx, wy : array_like, shapes (..., n) and (..., k), optional
        Their weights, not negative; 1 / n and 1 / k by default.
    rho : float, optional
        Exponent of the flow, at least 1, as for `emd`; it is not the p of W_p.
    period : float, optional
        Length of the circle, above 0: positions a period apart are the same.
    mass : {"equal", "normalize"}, optional
        "equal": wx and wy have the same sum. "normalize": each is divided by its sum.
    check : bool, optional
        True: a row that breaks this raises. False: its answer is NaN.

    Returns
    -------
    numpy scalar or ndarray, shape (...)
        The value of each row, in the dtype of the arguments (float64 for integers); one pair gives a scalar.

    Raises
    ------
    TypeError
        If an array is of the wrong kind, or lies on a device.
    ValueError
        If shapes or options do not fit or, under ``check=True``, for the first bad row.

    Notes
    -----
    Time O((n + k) log(n + k)) a row; sums are float64.

    References
    ----------
    J. Rabin, J. Delon, Y. Gousseau, "Transportation distances on the circle", J. Math. Imaging Vis. 41 (2011).

    Examples
    --------
    >>> import fastemd as fe
    >>> fe.wasserstein_1d([0.0, 1.0, 3.0], [5.0, 6.0, 8.0])
    np.float64(5.0)
    >>> fe.wasserstein_1d([0.0, 23.0], [1.0], [1.0, 3.0], [4.0], period=24)
    np.float64(7.0)
    """
    problem = _problem(x, y, wx, wy, rho, period, mass, check)
    return _answer(problem, _solve(problem, False).values, problem.batch)


def wasserstein_1d_value_and_grad(
    x: ArrayLike,
    y: ArrayLike,
    wx: ArrayLike | None = None,
    wy: ArrayLike | None = None,
    *,
    wrt: str | tuple[str, ...] = "x",
    centred: bool = True,
    rho: float = 1,
    period: float | None = None,
    mass: str = "equal",
    check: bool = True,
) -> tuple[Any, Any]:
    """Value and gradient of `wasserstein_1d`, with respect to positions, weights or several of them.

    Parameters
    ----------
    x, y, wx, wy, rho, period, mass, check
        As for `wasserstein_1d`.
    wrt : {"x", "y", "wx", "wy"} or a tuple of them, optional
        What the gradient is taken with respect to.
    centred : bool, optional
        Of gradients with respect to weights. True: less their mean over the samples, which is the gradient along
        directions that keep the mass. False: the potential of the last position is 0; under ``mass="normalize"`` the
        exact gradient. No matter for positions.

    Returns
    -------
    value : numpy scalar or ndarray, shape (...)
    grad : ndarray, shape (..., n) or (..., k), or a tuple of them where `wrt` is one

    Raises
    ------
    TypeError, ValueError
        As `wasserstein_1d`, and for another `wrt`.

    Notes
    -----
    The value is convex in the weights, and the gradient with respect to them is a subgradient everywhere; where the
    flow is 0, its slope is 0. With respect to positions the value has kinks where samples meet. There, samples of x at
    one position move together, each with the share of its weight, and the gradient is the mean of those to the right
    and to the left: 0 where x and y agree.

    Examples
    --------
    >>> import fastemd as fe
    >>> fe.wasserstein_1d_value_and_grad([0.0, 2.0], [1.0, 2.0])
    (np.float64(0.5), array([-0.5,  0. ]))
    >>> value, (by_x, by_wx) = fe.wasserstein_1d_value_and_grad([0.0, 2.0], [1.0, 3.0], wrt=("x", "wx"))
    >>> by_x, by_wx
    (array([-0.5, -0.5]), array([ 0.5, -0.5]))
    """
    names = wrt if isinstance(wrt, tuple) else (wrt,)
    names = tuple(one_of(name, WRT, "wrt") for name in names)
    problem = _problem(x, y, wx, wy, rho, period, mass, check)
    solution = _solve(problem, True)
    gradients = dict(zip(WRT, solution[1:], strict=True))
    for name, weights, total in zip(("wx", "wy"), problem.arrays[2:], problem.masses, strict=True):
        gradient = gradients[name]
        if mass == "normalize":
            gradient = (gradient - (gradient * weights).sum(axis=1, keepdims=True)) / total[:, None]
        gradients[name] = gradient - gradient.mean(axis=1, keepdims=True) if centred else gradient
    found = []
    for name in names:
        gradients[name][~problem.good] = np.nan
        found.append(_answer(problem, gradients[name], (*problem.batch, gradients[name].shape[1])))
    value = _answer(problem, solution.values, problem.batch)
    return value, tuple(found) if isinstance(wrt, tuple) else found[0]


def _problem(x: Any, y: Any, wx: Any, wy: Any, rho: Any, period: Any, mass: Any, check: bool) -> SampleProblem:
    """Return the problem of a call, in which bad rows have weights and positions 0."""
    rho = exponent(rho)
    around = validation.circle(period)
    mass = one_of(mass, PLAN_MASSES, "mass")
    rows, batch, dtype, tolerance = validation.samples(x, y, wx, wy)
    if check:
        validation.check_samples(rows, mass, tolerance)
    good = validation.good_samples(rows, mass, tolerance)
    shapes = [(*batch, row.shape[-1]) for row in rows]
    arrays = [
        np.array(np.broadcast_to(row, shape), np.float64, order="C").reshape(-1, shape[-1])
        for row, shape in zip(rows, shapes, strict=True)
    ]
    good = np.broadcast_to(good, batch).reshape(-1)
    for each in arrays:
        each[~good] = 0.0
    if around:
        for each in arrays[:2]:
            np.mod(each, around, out=each)
            each[each >= around] = 0.0
    masses = arrays[2].sum(axis=1), arrays[3].sum(axis=1)
    if mass == "normalize":
        for each, total in zip(arrays[2:], masses, strict=True):
            each /= np.where(good, total, 1.0)[:, None]
    caller = caller_of(rows[0], x, y)
    return SampleProblem(tuple(arrays), masses, batch, dtype, rho, around, good, caller)  # type: ignore[arg-type]


def _solve(problem: SampleProblem, gradients: bool) -> Any:
    from ..cpu.points.launch import solve

    solution = solve(*problem.arrays, problem.rho, problem.period, gradients)
    solution.values[~problem.good] = np.nan
    return solution


def _answer(problem: SampleProblem, array: np.ndarray, shape: tuple[int, ...]) -> Any:
    """Return rows of an answer in the batch's shape, as the caller has it."""
    found = array.astype(problem.dtype).reshape(shape)
    return problem.caller(found, -1) if problem.caller is not None else found[()]

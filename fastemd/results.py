"""The results of Sinkhorn's functions, and their warning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class SinkhornWarning(UserWarning):
    """Rows of a Sinkhorn call did not converge, or it was computed otherwise than asked for.

    Parameters
    ----------
    message : str
        How many rows, how far they are, and what to change.

    Raises
    ------
    TypeError
        If made without a message.

    Examples
    --------
    >>> import warnings
    >>> import fastemd as fe
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     fe.sinkhorn([0.8, 0.2], [0.4, 0.6], fe.Chain(2), reg=0.05, max_iter=1).converged
    np.False_
    >>> caught[0].category is fe.SinkhornWarning
    True
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)


@dataclass(frozen=True)
class SinkhornResult:
    """The result of `sinkhorn`: a number for each row, of the batch's shape (...); scalars for one pair.

    With P the plan, ``P[i, j] = a[i] * b[j] / s * exp((f[i] + g[j] - cost[i, j]) / reg)`` and ``s = sqrt(A * B)`` for
    the masses A of a and B of b (under ``mass="normalize"``, of the divided rows, so s is 1). For histograms on a CUDA
    device all fields are arrays there, of the caller's library, and without axes for one pair.

    Parameters
    ----------
    value : numpy scalar or ndarray, shape (...)
        Transport cost of the plan, ``sum(P * cost)``.
    regularised_value : numpy scalar or ndarray, shape (...)
        The minimum of the regularised problem, ``value + reg * KL(P | a b^T / s)``, and with `unbalanced` the two
        marginal terms. It is computed as the dual value of the potentials. That never exceeds the minimum, and lies
        below it by an amount of the order of the marginal error squared.
    potentials : pair of ndarray, shapes (..., n) and (..., k)
        f and g, finite in every bin, also where a or b is 0. Unless `unbalanced`, f is centred over its bins.
    plan : ndarray, shape (..., n, k), or None
        P, where it was asked for.
    n_iter : numpy int or ndarray of int, shape (...)
        Iterations, each an update of f and one of g; with epsilon scaling those of all stages.
    marginal_error : numpy scalar or ndarray of float64, shape (...)
        ``sum(abs(P @ 1 - a)) / A + sum(abs(P.T @ 1 - b)) / B``. With `unbalanced` the marginals are compared with what
        they are at the optimum, ``a * exp(-f / unbalanced)`` and ``b * exp(-g / unbalanced)``.
    converged : numpy bool or ndarray of bool, shape (...)
        Whether that is at most `tol`.
    grad_a, grad_b : ndarray, shapes (..., n) and (..., k)
        Gradients of the regularised value: the centred potentials (under ``mass="normalize"`` those of the composition
        with the division). With `unbalanced`, where mass may change, all of the gradient, not centred.
    method : str
        How it was computed: "scaling" or "log".

    Raises
    ------
    TypeError
        If made without a field; `sinkhorn` makes it.

    Examples
    --------
    >>> import fastemd as fe
    >>> result = fe.sinkhorn([1.0, 0.0, 0.0], [0.0, 0.5, 0.5], fe.Chain(3), reg=0.1)
    >>> result.converged, result.value.round(4), result.grad_a.round(4)
    (np.True_, np.float64(1.5), array([ 0.9769, -0.0231, -0.9538]))
    """

    value: Any
    regularised_value: Any
    potentials: tuple[Any, Any]
    plan: Any
    n_iter: Any
    marginal_error: Any
    converged: Any
    grad_a: Any
    grad_b: Any
    method: str


@dataclass(frozen=True)
class DivergenceResult:
    """The result of `sinkhorn_divergence`: a number for each row, of the batch's shape (...); scalars for one pair.

    For histograms on a CUDA device all fields are arrays there, as of `SinkhornResult`.

    Parameters
    ----------
    value : numpy scalar or ndarray, shape (...)
        The divergence of a and b.
    grad_a, grad_b : ndarray, shape (..., n)
        Its gradients, centred over the bins.
    n_iter : numpy int or ndarray of int, shape (...)
        Iterations of the longest of the three problems that it is made of.
    marginal_error : numpy scalar or ndarray of float64, shape (...)
        The largest of the three.
    converged : numpy bool or ndarray of bool, shape (...)
        Whether all three have converged.

    Raises
    ------
    TypeError
        If made without a field; `sinkhorn_divergence` makes it.

    Examples
    --------
    >>> import fastemd as fe
    >>> fe.sinkhorn_divergence([0.5, 0.5, 0.0], [0.5, 0.5, 0.0], fe.Chain(3), reg=0.5).converged
    np.True_
    """

    value: Any
    grad_a: Any
    grad_b: Any
    n_iter: Any
    marginal_error: Any
    converged: Any


@dataclass(frozen=True)
class BarycenterResult:
    """The result of `barycenter`, for each table of a batch of shape (...); scalars for one table.

    The gradient is the certificate. The value is convex in the histogram, so for every histogram y of the same mass M
    it is at least ``value + sum(gradient * (y - histogram))``, and no y makes that smaller than ``value - gap``, where
    ``gap = sum(gradient * histogram) - M * min(gradient)``.

    Parameters
    ----------
    histogram : ndarray, shape (..., n)
        The barycentre.
    value : numpy scalar or ndarray, shape (...)
        Its weighted EMD to the rows.
    gradient : ndarray, shape (..., n)
        A subgradient of the value with respect to the histogram, centred. Where the barycentre holds mass it is least,
        up to rounding; elsewhere more mass would cost no less.
    gap : numpy scalar or ndarray, shape (...)
        By how much the value is above a bound that no histogram's value is below, with the roundings of all flows
        counted in: it is 0 up to rounding.

    Raises
    ------
    TypeError
        If made without a field; `barycenter` makes it.

    Examples
    --------
    >>> import fastemd as fe
    >>> star = fe.Tree([-1, 0, 0, 0], [0, 1, 1, 2], bins=[1, 2, 3])
    >>> result = fe.barycenter([[1, 0, 0], [0, 1, 0], [0, 0, 1]], star)
    >>> result.value.round(4), result.gap < 1e-12
    (np.float64(1.6667), np.True_)
    """

    histogram: Any
    value: Any
    gradient: Any
    gap: Any

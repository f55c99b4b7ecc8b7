"""Entropic transport: Sinkhorn's iteration, on the whole cost matrix and in logarithms throughout.

The plan that minimises `<P, cost> + reg * KL(P | a b^T / s)` has the form

    P_ij = a_i b_j / s * exp((f_i + g_j - cost_ij) / reg)              s = sqrt(mass of a * mass of b)

and the right marginals; so either potential follows from the other, and Sinkhorn's iteration takes turns:

    f_i = -reg * log sum_j b_j / s * exp((g_j - cost_ij) / reg)
    g_j = -reg * log sum_i a_i / s * exp((f_i - cost_ij) / reg)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..results import DivergenceResult, SinkhornResult
from ..spaces.base import Space as AnySpace
from .flows import Array, Space


def sinkhorn(
    a: ArrayLike,
    b: ArrayLike,
    cost_or_space: ArrayLike | Space,
    *,
    reg: float,
    max_iter: int = 10_000,
    tol: float | None = None,
    unbalanced: float | None = None,
    method: str = "auto",
    plan: bool = False,
    potentials: Any = None,
    epsilon_scaling: bool | float = False,
    mass: str = "equal",
) -> SinkhornResult:
    """The entropic plan, its cost and its potentials.

    Parameters
    ----------
    a, b : array_like, shapes (..., n) and (..., k)
        Histograms: finite and non-negative, none empty. Leading axes broadcast.
    cost_or_space : array_like, shape (n, k), or Chain, Ring or Tree
        What it costs to carry a unit from i to j.
    reg : float
        The strength of the entropic term, positive.
    max_iter : int
        Iterations, per stage of epsilon scaling.
    tol : float
        The marginal error at which a row has converged; 1e-9 by default.
    unbalanced : float
        Price of a marginal that differs: `unbalanced * KL(P 1 | a)`, and likewise for b. None: it may not.
    method : str
        All are computed in logarithms here.
    plan : bool
        Whether to return P.
    potentials : pair of array_like
        f and g to begin with.
    epsilon_scaling : bool or float
        Solve for larger reg first, which falls by this factor (0.5 if True) down to `reg`.
    mass : {"equal", "normalize"}
        Rows hold equal mass; or are divided by their mass.

    Returns
    -------
    SinkhornResult
        In float64.

    Raises
    ------
    ValueError
        For a last axis that does not fit the cost, an unknown `mass`, a `reg` that is not positive.

    Examples
    --------
    >>> from fastemd import Chain, reference
    >>> result = reference.sinkhorn([0.5, 0.5, 0.0], [0.0, 0.5, 0.5], Chain(3), reg=0.1)
    >>> result.value.round(6), result.n_iter < 100
    (np.float64(1.0), np.True_)
    """
    cost = cost_or_space.cost_matrix() if isinstance(cost_or_space, AnySpace) else np.asarray(cost_or_space, np.float64)
    if not reg > 0:
        raise ValueError(f"reg is {reg!r}; it must be positive")
    if mass not in ("equal", "normalize"):
        raise ValueError(f"mass is {mass!r}; it must be 'equal' or 'normalize'")
    p, q = (np.asarray(x, np.float64) for x in (a, b))
    if (p.shape[-1], q.shape[-1]) != cost.shape:
        raise ValueError(f"a has {p.shape[-1]} bins and b has {q.shape[-1]}; the cost has shape {cost.shape}")
    batch = np.broadcast_shapes(p.shape[:-1], q.shape[:-1])
    p, q = (np.broadcast_to(x, (*batch, x.shape[-1])) for x in (p, q))
    mass_a, mass_b = (x.sum(axis=-1, keepdims=True) for x in (p, q))
    if mass == "normalize":
        p, q = p / mass_a, q / mass_b
    elif unbalanced is None:  # what rounding left of a difference in mass
        q = q * (mass_a / mass_b)
    f, g = (
        np.zeros(x.shape) if z is None else np.broadcast_to(z, x.shape) + 0.0
        for x, z in zip((p, q), (None, None) if potentials is None else potentials, strict=True)
    )
    damp = 0.0 if unbalanced is None else 1.0 / unbalanced
    stop = 1e-9 if tol is None else tol
    count: Any = 0
    for stage in stages(reg, float(np.ptp(cost)), epsilon_scaling):
        f, g, more, error = iterate(p, q, cost, stage, damp, f, g, max_iter, stop)
        count = count + more
    masses = (mass_a, mass_b) if mass == "normalize" else None
    return answer(p, q, cost, reg, damp, f, g, count, error, stop, plan, masses)


def stages(reg: float, largest: float, epsilon_scaling: bool | float) -> list[float]:
    """`reg`, and before it the larger ones that epsilon scaling begins with."""
    factor = 0.5 if epsilon_scaling is True else float(epsilon_scaling)
    found = [reg]
    while factor and found[0] < largest:
        found.insert(0, found[0] / factor)
    return found


def soft_minimum(x: Array, weight: Array, scale: Array, cost: Array, reg: float) -> Array:
    """`-reg * log sum_j weight_j / scale * exp((x_j - cost_ij) / reg)` for each i."""
    with np.errstate(divide="ignore"):
        exponent = np.log(weight)[..., None, :] + (x[..., None, :] - cost) / reg
    top = exponent.max(axis=-1, keepdims=True)
    total = top[..., 0] + np.log(np.exp(exponent - top).sum(axis=-1))
    least: Array = -reg * (total - np.log(scale))
    return least


def coupling(p: Array, q: Array, cost: Array, reg: float, f: Array, g: Array) -> Array:
    """The plan of two potentials."""
    scale = np.sqrt(p.sum(axis=-1) * q.sum(axis=-1))[..., None, None]
    with np.errstate(divide="ignore"):
        weight = np.log(p)[..., :, None] + np.log(q)[..., None, :]
    whole: Array = np.exp(weight + (f[..., :, None] + g[..., None, :] - cost) / reg) / scale
    return whole


def iterate(
    p: Array, q: Array, cost: Array, reg: float, damp: float, f: Array, g: Array, max_iter: int, tol: float
) -> tuple[Array, Array, Any, Any]:
    """Take turns until the marginal error of every row is at most `tol`; return f, g, iterations and errors."""
    scale = np.sqrt(p.sum(axis=-1) * q.sum(axis=-1))[..., None]
    share = 1.0 / (1.0 + damp * reg)
    count = np.zeros(p.shape[:-1], np.intp)
    while True:
        error = marginal_error(p, q, cost, reg, damp, f, g)
        active = (error > tol) & (count < max_iter)
        if not active.any():
            break
        f = np.where(active[..., None], share * soft_minimum(g, q, scale, cost, reg), f)
        g = np.where(active[..., None], share * soft_minimum(f, p, scale, cost.T, reg), g)
        count = count + active
    # Empty bins weigh nothing and are never judged; their potentials are what follows from the others.
    f = np.where(p == 0.0, share * soft_minimum(g, q, scale, cost, reg), f)
    g = np.where(q == 0.0, share * soft_minimum(f, p, scale, cost.T, reg), g)
    return f, g, count, error


def marginal_error(p: Array, q: Array, cost: Array, reg: float, damp: float, f: Array, g: Array) -> Any:
    """How far the marginals of a plan are from what they are to be, relative to the masses."""
    plan = coupling(p, q, cost, reg, f, g)
    off_a = np.abs(plan.sum(axis=-1) - p * np.exp(-damp * f)).sum(axis=-1) / p.sum(axis=-1)
    off_b = np.abs(plan.sum(axis=-2) - q * np.exp(-damp * g)).sum(axis=-1) / q.sum(axis=-1)
    return off_a + off_b


def answer(
    p: Array, q: Array, cost: Array, reg: float, damp: float, f: Array, g: Array, count: Any, error: Any, tol: float,
    wanted: bool, masses: tuple[Array, Array] | None,
) -> SinkhornResult:  # fmt: skip
    """Everything that is asked about the plan of two potentials."""
    plan = coupling(p, q, cost, reg, f, g)
    value = np.sum(plan * cost, axis=(-2, -1))
    scale = np.sqrt(p.sum(axis=-1) * q.sum(axis=-1))
    beyond = reg * (plan.sum(axis=(-2, -1)) - scale)
    if damp:
        both = ((p * -np.expm1(-damp * f)).sum(axis=-1) + (q * -np.expm1(-damp * g)).sum(axis=-1)) / damp
        grad_a, grad_b = (
            free_gradient(x, z, plan.sum(axis=axis), scale, reg, damp) for x, z, axis in ((p, f, -1), (q, g, -2))
        )
    else:
        shift = f.mean(axis=-1, keepdims=True)
        f, g = f - shift, g + shift
        both = (f * p).sum(axis=-1) + (g * q).sum(axis=-1)
        grad_a, grad_b = f, g - g.mean(axis=-1, keepdims=True)
    if masses is not None:
        sides = zip((p, q), (grad_a, grad_b), masses, strict=True)
        grad_a, grad_b = ((z - (z * x).sum(axis=-1, keepdims=True)) / m for x, z, m in sides)
        if not damp:
            grad_a, grad_b = (z - z.mean(axis=-1, keepdims=True) for z in (grad_a, grad_b))
    return SinkhornResult(
        value[()], (both - beyond)[()], (f, g), plan if wanted else None, count[()], error[()], (error <= tol)[()],
        grad_a, grad_b, "log",
    )  # fmt: skip


def free_gradient(p: Array, f: Array, marginal: Array, scale: Array, reg: float, damp: float) -> Array:
    """The gradient of the unbalanced value with respect to p, which the reference plan depends on too.

    `d/dp_i` of `reg * (scale - mass of P) + (1 - exp(-damp f_i)) p_i / damp`, the plan's derivative by its factor p_i
    being what f answers for; `scale = sqrt(mass of p * mass of q)` grows by `scale / (2 * mass of p)`.
    """
    rise = (scale / (2.0 * p.sum(axis=-1)))[..., None]
    mass = (marginal.sum(axis=-1) / (2.0 * p.sum(axis=-1)))[..., None]
    slope: Array = reg * (rise + mass - np.exp(-damp * f)) - np.expm1(-damp * f) / damp
    return slope


def sinkhorn_divergence(
    a: ArrayLike,
    b: ArrayLike,
    cost_or_space: ArrayLike | Space,
    *,
    reg: float,
    max_iter: int = 10_000,
    tol: float | None = None,
    method: str = "auto",
    epsilon_scaling: bool | float = False,
    mass: str = "equal",
) -> DivergenceResult:
    """The debiased value: `OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2`, with the regularised values OT.

    Parameters
    ----------
    a, b, reg, max_iter, tol, method, epsilon_scaling, mass
        As for `sinkhorn`.
    cost_or_space : array_like, shape (n, n), or Chain, Ring or Tree
        Symmetric.

    Returns
    -------
    DivergenceResult
        In float64.

    Raises
    ------
    ValueError
        As `sinkhorn`, and for a cost that is not symmetric.

    Examples
    --------
    >>> from fastemd import Chain, reference
    >>> reference.sinkhorn_divergence([1, 0, 0], [0, 0, 1], Chain(3), reg=0.1).value
    np.float64(2.0)
    """
    cost = cost_or_space.cost_matrix() if isinstance(cost_or_space, AnySpace) else np.asarray(cost_or_space, np.float64)
    if cost.shape != cost.T.shape or not np.array_equal(cost, cost.T):
        raise ValueError("the cost is not symmetric; a divergence needs cost[i, j] == cost[j, i]")
    options: Any = {
        "reg": reg, "max_iter": max_iter, "tol": tol, "method": method, "epsilon_scaling": epsilon_scaling,
        "mass": mass,
    }  # fmt: skip
    pair, self_a, self_b = (sinkhorn(x, y, cost, **options) for x, y in ((a, b), (a, a), (b, b)))
    parts = (pair, self_a, self_b)
    return DivergenceResult(
        pair.regularised_value - (self_a.regularised_value + self_b.regularised_value) / 2,
        pair.grad_a - (self_a.grad_a + self_a.grad_b) / 2,
        pair.grad_b - (self_b.grad_a + self_b.grad_b) / 2,
        np.maximum(pair.n_iter, np.maximum(self_a.n_iter, self_b.n_iter)),
        np.maximum(pair.marginal_error, np.maximum(self_a.marginal_error, self_b.marginal_error)),
        np.logical_and.reduce([part.converged for part in parts])[()],
    )

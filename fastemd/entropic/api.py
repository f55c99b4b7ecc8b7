"""Entropic transport: Sinkhorn's plan, its cost, its gradient, and the debiased divergence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arrays.device import DeviceArray
from ..problems import DEBIASED, LARGEST, LEAST
from ..results import DivergenceResult, SinkhornResult, SinkhornWarning
from ..spaces.base import Space
from .call import answer, backend, problem_of, result_of, solve, warn
from .validation import check_symmetric, cost_of

__all__ = ["DivergenceResult", "SinkhornResult", "SinkhornWarning", "sinkhorn", "sinkhorn_divergence"]


def sinkhorn(
    a: ArrayLike,
    b: ArrayLike,
    cost_or_space: ArrayLike | Space,
    *,
    reg: float,
    max_iter: int = 10_000,
    tol: float | None = None,
    unbalanced: float | tuple[float | None, float | None] | None = None,
    method: str = "auto",
    plan: bool = False,
    potentials: Any = None,
    epsilon_scaling: bool | float = False,
    mass: str = "equal",
    check: bool = True,
) -> SinkhornResult:
    """Entropic transport plan of histograms: its cost, its potentials and gradient, by Sinkhorn's iteration.

    The plan P minimises ``sum(P * cost) + reg * KL(P | R)`` among those with the marginals a and b, where
    ``R = a b^T / sqrt(A * B)`` for the masses A of a and B of b, and ``KL(P | R) = sum(P * log(P / R) - P + R)``. It
    has the form ``P = R * exp((f + g - cost) / reg)``. For rows of mass 1 that is the plan of ``ot.sinkhorn`` [1]_,
    which leaves R out: its log-scalings are f / reg + log a, and its value differs by the entropies of a and b. The
    value is that of ``ot.solve(reg_type="KL")``, ott-jax and geomloss [2]_.

    Parameters
    ----------
    a, b : array_like, shapes (..., n) and (..., k)
        Histograms, not negative and not empty, in any dtype and of any library that `fastemd.emd` takes. Single zeros
        are fine. Leading axes are a batch and broadcast against each other. Both may lie on a CUDA device, in arrays of
        cupy, torch, numba, jax or any library with the CUDA array interface or DLPack, with any strides and in
        bfloat16, too; all is then computed there, on their library's current stream.
    cost_or_space : array_like, shape (n, k), or Chain, Ring or Tree
        The cost of moving a unit from bin i of a to bin j of b; it may be negative. inf forbids the pair: the plan is 0
        there (in host memory; on a device costs are finite). One matrix serves the whole batch. With a space (n == k)
        the cost is its distance, and an iteration takes O(n) time and memory instead of O(n * k). Beside histograms on
        a device a matrix may lie there, in any dtype and strides, or in host memory, from which it is copied at each
        call; what a space needs there is copied once.
    reg : float
        Strength of the entropy, in the unit of the cost. Small ones come near the exact distance and take more
        iterations: some 1 / reg, or fewer by over-relaxation.
    max_iter : int, optional
        Iterations at most, for each stage of epsilon scaling.
    tol : float, optional
        Marginal error at which a row has converged, see `SinkhornResult`. 1e-9 for float64 and integers, 1e-6 for
        float32 and float16, unless given. 0: each row makes exactly `max_iter` iterations, none counts as converged,
        and no warning says so.
    unbalanced : float, or pair of float or None, optional
        Price of marginals that differ from a and b: the plan minimises the above plus
        ``unbalanced * (KL(P 1 | a) + KL(P^T 1 | b))``, and masses may differ. A pair holds a price for a and one for b,
        None for a marginal that may not differ. None: the marginals are a and b. On a device both have one price.
    method : {"auto", "scaling", "log"}, optional
        "scaling" keeps the potentials as exponentials, in the dtype of a: two matrix products an iteration. "log" keeps
        them as they are, in float64, and works for every reg. "auto": scaling where nothing can over- or underflow,
        which means that the range of the costs over reg is at most 280 (float64) or 35 (float32), and `unbalanced` is
        None. On a space potentials are always kept as they are; the words say whether the sums along its edges are
        plain numbers (range over reg at most 300) or numbers of any size.
    plan : bool, optional
        True: return P as well, n * k numbers a row.
    potentials : pair of array_like, shapes (..., n) and (..., k), optional
        f and g to begin with, such as another result's; beside histograms on a device, in either memory.
    epsilon_scaling : bool or float, optional
        Start with a reg of at least max(cost) - min(cost) and multiply it by this factor (True: 0.5) after each
        stage, until it reaches `reg`. Each stage starts from the potentials of the one before.
    mass : {"equal", "normalize"}, optional
        "equal": the masses of a pair agree within rounding, unless `unbalanced`. "normalize": each row is divided by
        its mass, and gradients account for it.
    check : bool, optional
        True: a bad row raises. False: its answers are NaN, and converged is False. On a device, True: the host looks
        now and then whether rows are left, and stops when none is. False: all iterations up to `max_iter` are queued,
        of which rows that have converged make none, and nobody is warned of rows that have not.

    Returns
    -------
    SinkhornResult
        In the dtype of a, float64 for integers. Its gradients are those of the regularised value. For arrays on a
        device all are arrays beside them, also for one pair: of cupy, torch or jax if a is, else of numba.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind, or just one of a and b lies on a device.
    RuntimeError, MemoryError
        If a CUDA device cannot be used, for a reason that the message gives, or its memory is used up.
    ValueError
        If shapes or options do not fit, a cost is NaN or -inf, reg is not positive, or, under ``check=True``, for the
        first row that is bad: NaN, negative, empty, of unequal masses, or with mass in a bin that may exchange it with
        none.

    Warns
    -----
    SinkhornWarning
        Once a call, if rows did not converge, or if ``method="scaling"`` had to become "log".

    Notes
    -----
    An iteration costs O(n * k) a row, on a space O(n) (a tree: O(nodes)). Rows that have converged stop costing. Once
    the speed of convergence of a row has settled, its steps are over-relaxed [3]_, which takes the square root of the
    iterations; a plan that has converged is the same. Matrix products are made by numpy, up to 512 bins in pieces that
    our own threads share out; there a row's last digits may depend on the rows around it, on a space they do not.
    On a device a row has the same bits in any batch.

    References
    ----------
    .. [1] Cuturi, Sinkhorn Distances: Lightspeed Computation of Optimal Transport, NIPS 2013.
    .. [2] Feydy et al., Interpolating between Optimal Transport and MMD using Sinkhorn Divergences, AISTATS 2019.
    .. [3] Lehmann et al., A note on overrelaxation in the Sinkhorn algorithm, Optimization Letters 16 (2022).

    Examples
    --------
    >>> import fastemd as fe
    >>> result = fe.sinkhorn([0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [[0, 1, 4], [1, 0, 1], [4, 1, 0]], reg=0.1, plan=True)
    >>> result.value.round(3), result.converged
    (np.float64(1.0), np.True_)
    >>> result.plan.round(3)
    array([[0. , 0.5, 0. ],
           [0. , 0. , 0.5],
           [0. , 0. , 0. ]])
    """
    cost = cost_of(cost_or_space)
    problem = problem_of(
        a, b, cost, reg, max_iter, tol, unbalanced, method, epsilon_scaling, mass, bool(plan), potentials
    )
    solution = solve(problem, check)
    warn([solution], problem, method, epsilon_scaling, check)
    return result_of(solution, problem)


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
    check: bool = True,
) -> DivergenceResult:
    """Debiased Sinkhorn divergence: ``OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2`` with the regularised values OT.

    The regularised value of two equal histograms is not 0, and its minimum over a is not at b: entropy draws the
    minimiser together. The divergence mends both. It is 0 at ``a == b``. For the distance of a chain or a tree, and for
    any cost whose exp(-cost / reg) is a positive definite kernel, it is at least 0 and convex in each argument [1]_. A
    value that is negative by no more than its error, which follows from the marginal errors and the dtype, is given as
    0 (in host memory, where all three problems have converged).

    Parameters
    ----------
    a, b, reg, max_iter, tol, method, epsilon_scaling, mass, check
        As for `sinkhorn`, on a device as well; a and b have the same n bins.
    cost_or_space : array_like, shape (n, n), or Chain, Ring or Tree
        Symmetric.

    Returns
    -------
    DivergenceResult
        With the gradients of the divergence, centred.

    Raises
    ------
    TypeError, ValueError, RuntimeError, MemoryError
        As `sinkhorn`, and for a cost that is not symmetric.

    Warns
    -----
    SinkhornWarning
        As `sinkhorn`.

    Notes
    -----
    Three problems, of which the two with equal histograms settle within a few iterations.

    References
    ----------
    .. [1] Feydy et al., Interpolating between Optimal Transport and MMD using Sinkhorn Divergences, AISTATS 2019.

    Examples
    --------
    >>> import fastemd as fe
    >>> fe.sinkhorn([1.0, 0.0, 0.0], [1.0, 0.0, 0.0], fe.Chain(3), reg=1.0).regularised_value.round(6)
    np.float64(0.0)
    >>> fe.sinkhorn_divergence([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], fe.Chain(3), reg=1.0).value.round(6)
    np.float64(2.0)
    """
    cost = cost_of(cost_or_space)
    check_symmetric(cost)
    problem = problem_of(a, b, cost, reg, max_iter, tol, None, method, epsilon_scaling, mass)._replace(
        answer=np.dtype(np.float64)
    )
    alone = problem._replace(tolerance=None, same=True)
    pair = solve(problem, check)
    self_a, self_b = (solve(alone._replace(a=x, b=x, batch=x.shape[:-1]), check) for x in (problem.a, problem.b))
    parts = [pair, self_a, self_b]
    used = backend(isinstance(problem.a, DeviceArray))
    combine = used.combine
    found = [
        used.debiased_values(parts, problem),
        combine([pair.grad_a, self_a.grad_a, self_a.grad_b], problem, DEBIASED, problem.dtype),
        combine([pair.grad_b, self_b.grad_a, self_b.grad_b], problem, DEBIASED, problem.dtype),
        combine([part.n_iter for part in parts], problem, LARGEST, np.dtype(np.int64)),
        combine([part.error for part in parts], problem, LARGEST, np.dtype(np.float64)),
        combine([part.converged for part in parts], problem, LEAST, np.dtype(bool)),
    ]
    warn(parts if 0 not in problem.batch else [pair], problem, method, epsilon_scaling, check)
    value, grad_a, grad_b, *rest = found
    gradients = (answer(x, problem, None, problem.cost.n) for x in (grad_a, grad_b))
    return DivergenceResult(answer(value, problem), *gradients, *(answer(x, problem) for x in rest))

"""From the arrays of a Sinkhorn problem to rows of mass 1, the solver, and answers in the caller's unit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...arrays.bad_rows import good_rows, has_partners
from ...problems import DEBIASED, LARGEST, PLAIN_RANGE, SinkhornProblem, Solution
from .matmul import tiled
from .operators import Products, SpaceKernel, StabilizedSums
from .solver import Iterate, Logarithms, Scalings, solve_different, solve_same

CHUNK = 1 << 22  # entries of a and b in the rows that are solved at a time


def solve(problem: SinkhornProblem, check: bool) -> Solution | None:
    """Solve for all rows. Rows that are no pair of histograms get NaN; under `check` None is returned instead."""
    with np.errstate(under="ignore"):
        return _solve(problem, check)


def _solve(problem: SinkhornProblem, check: bool) -> Solution | None:
    batch = problem.batch
    good = good_rows(problem.a, problem.b, problem.tolerance)
    if problem.cost.forbids:
        good = good & has_partners(problem.a, problem.b, problem.cost.matrix)
    good = np.broadcast_to(good, batch)
    if check and not good.all():
        return None
    n, k = problem.cost.n, problem.cost.k
    flat = _unsolved(problem, good.reshape(math.prod(batch)))
    a, b = np.broadcast_to(problem.a, (*batch, n)), np.broadcast_to(problem.b, (*batch, k))
    kernels: dict[float, Any] = {}
    rows = np.flatnonzero(flat.good)
    chunk = max(64, CHUNK // (n + k))
    for first in range(0, len(rows), chunk):
        numbers = rows[first : first + chunk]
        where = np.unravel_index(numbers, batch) if batch else np.newaxis
        p, q = (x[where].astype(np.float64) for x in (a, b))
        start = None if problem.start is None else (problem.start[0][where], problem.start[1][where])
        _solve_rows(problem, kernels, p, q, start, flat, numbers)
    return Solution(*(x.reshape((*batch, *x.shape[1:])) if isinstance(x, np.ndarray) else x for x in flat))


def combine(arrays: list[np.ndarray], problem: SinkhornProblem, how: int, dtype: Any) -> np.ndarray:
    """Combine three arrays that broadcast to the batch; `how` is DEBIASED, LARGEST or LEAST."""
    x, y, z = arrays
    if how == DEBIASED:
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(x - 0.5 * (y + z)).astype(dtype)
    chosen = np.maximum if how == LARGEST else np.minimum
    return np.asarray(chosen(chosen(x, y), z))


def debiased_values(parts: list[Solution], problem: SinkhornProblem) -> np.ndarray:
    """Return the values of a divergence; what is negative within its error bound becomes 0, where it has converged.

    A regularised value is off by the marginal error times the range of the potentials, which is that of the cost, and
    by the rounding of the dtype that the sums are computed in.
    """
    x, y, z = (part.regularised for part in parts)
    error = problem.cost.cost_range * (parts[0].error + 0.5 * (parts[1].error + parts[2].error))
    wide = problem.dtype == np.float64 or problem.method == "log"
    rounding = 8.0 * np.finfo(np.float64 if wide else np.float32).eps
    masses = [np.ones(()) if problem.normalize else each.sum(axis=-1, dtype=np.float64) for each in problem[:2]]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        value = np.asarray(x - 0.5 * (y + z))
        mass = np.sqrt(masses[0] * masses[1])
        # Potentials are reg times the logarithms of numbers of that dtype.
        bound = mass * error + rounding * (problem.reg * mass + abs(x) + 0.5 * (abs(y) + abs(z)))
        converged = parts[0].converged & parts[1].converged & parts[2].converged
        return np.where(converged & (value < 0.0) & (value >= -bound), 0.0, value).astype(problem.dtype)


def _unsolved(problem: SinkhornProblem, good: np.ndarray) -> Solution:
    """Return the answers to rows before they are solved."""
    rows, n, k = len(good), problem.cost.n, problem.cost.k

    def missing(*shape: int) -> np.ndarray:
        return np.full((rows, *shape), np.nan)

    plan = missing(n, k).astype(problem.dtype) if problem.plan else None
    return Solution(
        missing(),
        missing(),
        missing(n),
        missing(k),
        missing(n),
        missing(k),
        np.zeros(rows, np.intp),
        missing(),
        np.zeros(rows, bool),
        plan,
        good,
    )


def _kernel(problem: SinkhornProblem, reg: float) -> Any:
    """Return the Gibbs kernel of a reg: an operator, or for scaling the matrix transposed, plain, and times cost."""
    cost = problem.cost
    if cost.space is not None:
        return SpaceKernel(cost.space, reg, problem.method == "log")
    if problem.method == "scaling":
        dtype = np.float64 if problem.dtype == np.float64 else np.float32
        return tiled(cost.matrix, cost.least, reg, dtype)
    plain = cost.cost_range <= PLAIN_RANGE * reg and not cost.forbids
    return (Products if plain else StabilizedSums)(cost.matrix, cost.least, reg)


def _solve_rows(
    problem: SinkhornProblem,
    kernels: dict[float, Any],
    a: np.ndarray,
    b: np.ndarray,
    start: Any,
    solution: Solution,
    numbers: np.ndarray,
) -> None:
    """Solve for rows of float64, stage by stage, and write their answers into the rows `numbers` of the solution."""
    mass_a, mass_b = a.sum(axis=1), b.sum(axis=1)
    masses = (np.ones(len(a)),) * 2 if problem.normalize else (mass_a, mass_b)
    rows = Histograms(problem, a / mass_a[:, None], b / mass_b[:, None], *masses)
    f, g = (np.zeros_like(a), np.zeros_like(b)) if start is None else start
    count = np.zeros(len(a), np.intp)
    warm = start is not None
    for reg in problem.stages:
        if reg not in kernels:
            kernels[reg] = _kernel(problem, reg)
        iterate, cost = _solve_stage(kernels[reg], rows, reg, f / reg, g / reg, warm)
        f, g = reg * iterate.f, reg * iterate.g
        count += iterate.n_iter
        warm = True
    solution.n_iter[numbers], solution.error[numbers] = count, iterate.error
    solution.converged[numbers] = iterate.error <= problem.tol
    value, regularised, f_centred, g_centred, *grads = rows.answers(f, g, iterate.plan_mass, cost)
    solution.value[numbers], solution.regularised[numbers] = value, regularised
    solution.f[numbers], solution.g[numbers] = f_centred, g_centred
    sides = ((solution.grad_a, rows.p, mass_a), (solution.grad_b, rows.q, mass_b))
    for grad, (out, p, mass) in zip(grads, sides, strict=True):
        if problem.normalize:
            grad = (grad - np.einsum("ri,ri->r", grad, p)[:, None]) / mass[:, None]
        if problem.unbalanced is None:
            grad = grad - grad.mean(axis=1, keepdims=True)
        out[numbers] = grad
    if solution.plan is not None:
        rows.write_plan(solution.plan, numbers, f, g)


def _solve_stage(
    kernel: Any, rows: Histograms, reg: float, f: np.ndarray, g: np.ndarray, warm: bool
) -> tuple[Iterate, np.ndarray]:
    """Solve for one reg from potentials over reg; return the last iterate and the costs of the plans of p and q."""
    problem = rows.problem
    least = problem.cost.least / reg
    if isinstance(kernel, tuple):
        state: Any = Scalings(kernel, rows.p, rows.q, f - least, g)
    else:
        prices = problem.unbalanced or (None, None)
        damping = tuple(0.0 if price is None else reg / price for price in prices)
        offset = (rows.log_ratio - least, -rows.log_ratio - least)
        state = Logarithms(kernel, rows.p, rows.q, offset, damping, f, g)
    if problem.same:
        iterate = solve_same(state, problem.tol, problem.max_iter)
    else:
        iterate = solve_different(state, problem.tol, problem.max_iter, warm)
    if isinstance(kernel, tuple):
        weight_p, weight_q = (
            (p * np.exp(x)).astype(state.dtype) for p, x in ((rows.p, iterate.f), (rows.q, iterate.g))
        )
        cost = np.einsum("ri,ri->r", kernel[2].product(weight_p), weight_q, dtype=np.float64)
        return iterate._replace(f=iterate.f + least), cost
    with np.errstate(divide="ignore"):
        return iterate, kernel.transport_cost(np.log(rows.p) + (iterate.f - least), np.log(rows.q) + iterate.g)


class Histograms:
    """Rows p and q of mass 1, and the masses by which the answers are scaled."""

    def __init__(
        self, problem: SinkhornProblem, p: np.ndarray, q: np.ndarray, mass_a: np.ndarray, mass_b: np.ndarray
    ) -> None:
        self.problem, self.p, self.q, self.mass_a, self.mass_b = problem, p, q, mass_a, mass_b
        self.scale = np.sqrt(mass_a) * np.sqrt(mass_b)  # the mass of R
        self.log_ratio = 0.5 * np.log(mass_b / mass_a) if problem.unbalanced is not None else np.zeros(len(p))

    def answers(self, f: np.ndarray, g: np.ndarray, plan_mass: np.ndarray, cost: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return value, regularised value, potentials and gradients for potentials f and g.

        `plan_mass` is the mass of their plan over that of a, `cost` its transport cost for costs less the smallest.
        """
        reg, unbalanced = self.problem.reg, self.problem.unbalanced
        value = self.scale * (cost + self.problem.cost.least * plan_mass * np.exp(-self.log_ratio))
        if unbalanced is None:
            shift = f.mean(axis=1, keepdims=True)
            f, g = f - shift, g + shift
            dual = np.einsum("ri,ri->r", self.p, f) + np.einsum("ri,ri->r", self.q, g)
            return value, self.scale * (dual - reg * (plan_mass - 1.0)), f, g, f, g
        transported = self.mass_a * plan_mass
        regularised = -reg * (transported - self.scale)
        grads = []
        for p, mass, x, price in ((self.p, self.mass_a, f, unbalanced[0]), (self.q, self.mass_b, g, unbalanced[1])):
            # The derivative of the conjugate of the marginal's term: the potential itself where the price is infinite.
            conjugate = x if price is None else -price * np.expm1(-x / price)
            regularised = regularised + mass * np.einsum("ri,ri->r", p, conjugate)
            # R depends on the entries of a and on its mass. The plan is optimal: its derivative does not contribute.
            own = 1.0 if price is None else 1.0 + reg / price
            grads.append(reg * ((self.scale + transported) / (2.0 * mass) - 1.0)[:, None] + own * conjugate)
        return value, regularised, f, g, *grads

    def write_plan(self, plan: np.ndarray, numbers: np.ndarray, f: np.ndarray, g: np.ndarray) -> None:
        """Write the plans of f and g into the rows `numbers` of `plan`."""
        cost = self.problem.cost
        matrix = cost.matrix if cost.space is None else cost.space.cost_matrix()
        for row in range(len(f)):
            exponent = (f[row][:, None] + g[row] - matrix) / self.problem.reg
            plan[numbers[row]] = self.scale[row] * self.p[row][:, None] * np.exp(exponent) * self.q[row]

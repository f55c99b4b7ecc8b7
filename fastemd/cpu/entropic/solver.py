"""Sinkhorn's loop: half steps by turns, over-relaxed where that pays, until each row has converged.

Rows that have converged stay as they are and are dropped from the batch once they are many. Where an iteration shrinks
the error by a steady factor, Sinkhorn's iteration behaves like that of Gauss and Seidel on a linear system, and
successive over-relaxation reduces the number of iterations to about its square root:
Thibault et al., Overrelaxed Sinkhorn-Knopp Algorithm for Regularized Optimal Transport, Algorithms 14 (2021) 143;
Lehmann et al., A note on overrelaxation in the Sinkhorn algorithm, Optimization Letters 16 (2022) 2209-2220.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ... import threads
from ...formulas.over_relaxation import AGREED, BOLDER, FIRST_WINDOW, FLAT, LARGEST_OMEGA, LONGER, WINDOW, WORSE
from ..simd.lanes import WIDTH
from . import operators

Array = np.ndarray[Any, Any]


class Iterate(NamedTuple):
    """Potentials over reg, iterations, marginal errors, and the mass of the plan over that of a."""

    f: Array
    g: Array
    n_iter: Array
    error: Array
    plan_mass: Array


class Logarithms:
    """The state of rows whose potentials are kept as they are, divided by reg."""

    def __init__(
        self,
        operator: Any,
        p: Array,
        q: Array,
        offset: tuple[Array, Array],
        damping: tuple[float, float],
        f: Array,
        g: Array,
    ) -> None:
        self.operator, self.damping, self.offset = operator, damping, list(offset)
        self.mass = [p, q]
        with np.errstate(divide="ignore"):
            self.log_mass = [np.log(p), np.log(q)]
        self.potential = [f, g]
        self.x = [z + potential for z, potential in zip(self.log_mass, self.potential, strict=True)]
        self._update = operators.updater()

    def half_step(self, side: int, omega: Array, measure: bool, tol: float, error: Array, plan_mass: Array) -> None:
        """Update the potentials of one side."""
        sums = self.operator.logsumexp(self.x[1 - side], side, self.potential[side])
        x, offset = self.x[side], self.offset[side]
        arrays = sums, self.mass[side], self.log_mass[side], self.potential[side], x

        def work(first: int, last: int) -> None:
            self._update(*arrays, omega, offset, self.damping[side], measure, tol, error, plan_mass, first, last)

        threads.share(work, len(x), WIDTH, x.size * 8)

    def potentials(self) -> tuple[Array, Array]:
        """Return f and g over reg."""
        return self.potential[0], self.potential[1]

    def translate(self, active: Array) -> None:
        """Unbalanced only: replace (f, g) by (f + c, g - c) with the optimal constant c, in active rows.

        Sinkhorn's own steps take about unbalanced / reg iterations for that: Séjourné et al., Faster unbalanced optimal
        transport: translation invariant Sinkhorn and 1-D Frank-Wolfe, AISTATS 2022.
        """
        log_masses = [
            np.log(np.einsum("ri,ri->r", mass, np.exp(-damping * potential)))
            for mass, potential, damping in zip(self.mass, self.potential, self.damping, strict=True)
        ]
        log_ratio = self.offset[0] - self.offset[1]  # ln of the mass of b over that of a
        shift = np.where(active, (log_masses[0] - log_masses[1] - log_ratio) / sum(self.damping), 0.0)[:, None]
        self.potential[0] += shift
        self.x[0] += shift

    def share_potential(self) -> None:
        """Use one potential for both sides, whose histograms are equal."""
        for pair in (self.potential, self.x):
            pair[1] = pair[0]

    def select(self, rows: Array) -> None:
        """Drop all other rows."""
        for pair in (self.offset, self.mass, self.log_mass, self.potential, self.x):
            pair[:] = [z[rows] for z in pair]


class Scalings:
    """The state of rows whose potentials are kept as exponentials and whose sums are matrix products."""

    def __init__(self, kernels: Any, p: Array, q: Array, f: Array, g: Array) -> None:
        self.kernels, self.dtype = kernels, kernels[0].dtype
        self.mass = [z.astype(self.dtype) for z in (p, q)]
        self.scaling = [np.exp(z).astype(self.dtype) for z in (f, g)]
        self.weight = [z * u for z, u in zip(self.mass, self.scaling, strict=True)]
        self._rescale = operators.rescaler(self.dtype)

    def half_step(self, side: int, omega: Array, measure: bool, tol: float, error: Array, plan_mass: Array) -> None:
        """Update the potentials of one side."""
        sums = self.kernels[side].product(self.weight[1 - side])
        mass, scaling, weight = self.mass[side], self.scaling[side], self.weight[side]

        def work(first: int, last: int) -> None:
            self._rescale(sums, mass, scaling, weight, omega, measure, tol, error, plan_mass, first, last)

        threads.share(work, len(mass), WIDTH, mass.size * 2)

    def potentials(self) -> tuple[Array, Array]:
        """Return f and g over reg."""
        f, g = (np.log(u.astype(np.float64)) for u in self.scaling)
        return f, g

    def share_potential(self) -> None:
        """Use one potential for both sides, whose histograms are equal."""
        for pair in (self.scaling, self.weight):
            pair[1] = pair[0]

    def select(self, rows: Array) -> None:
        """Drop all other rows."""
        for pair in (self.mass, self.scaling, self.weight):
            pair[:] = [z[rows] for z in pair]


class OverRelaxation:
    """The over-relaxation of many rows at once, by the step rule of `fastemd.formulas.over_relaxation`."""

    def __init__(self, rows: int) -> None:
        # Of the window: its first iteration, its length, and the error at its first iteration.
        self.begin = np.full(rows, int(FIRST_WINDOW))
        self.window = np.full(rows, WINDOW)
        self.before = np.full(rows, np.inf)
        self.speed = np.full(rows, np.inf)  # of the last window
        self.limit = np.full(rows, np.inf)  # a larger error resets omega to 1
        self.most = np.full(rows, LARGEST_OMEGA)  # the largest omega allowed

    def adapt(self, count: int, error: Array, omega: Array) -> None:
        """Set `omega` after iteration `count`."""
        starting = np.flatnonzero(self.begin == count)
        self.before[starting] = error[starting]
        ending = self.begin + self.window <= count
        harmed = error > self.limit
        now = np.flatnonzero((ending | harmed) & (omega != 0.0))
        if not now.size:
            return
        last, harm = omega[now], harmed[now]
        with np.errstate(invalid="ignore", divide="ignore"):
            mu = (error[now] / self.before[now]) ** (1.0 / self.window[now])
            flat = (1.0 - mu <= FLAT) & (1.0 - self.speed[now] <= FLAT) & (self.speed[now] < np.inf)
            harm |= flat & (last > 1.0)
            eta = np.minimum((mu + last - 1.0) ** 2 / (mu * last**2), 1.0)
        agreed = (abs(mu - self.speed[now]) < AGREED * (1.0 - mu)) & (mu > last - 1.0) & (1.0 - mu > FLAT)
        best = np.where(agreed, np.minimum(2.0 / (1.0 + np.sqrt(1.0 - eta)), self.most[now]), last)
        self.most[now] = np.where(
            agreed, np.minimum(LARGEST_OMEGA, 1.0 + BOLDER * (self.most[now] - 1.0)), self.most[now]
        )
        self.most[now] = np.where(harm, 1.0 + 0.5 * (last - 1.0), self.most[now])
        best = np.where(harm, 1.0, best)
        changed = best != last
        omega[now] = best
        self.speed[now] = np.where(changed, np.inf, mu)
        self.limit[now] = np.where(best == 1.0, np.inf, np.where(changed, WORSE * error[now], self.limit[now]))
        self.window[now] = WINDOW + (LONGER / (2.0 - best)).astype(np.intp)
        self.begin[now] = count + np.where(changed, self.window[now] // 2, 0)
        self.before[now] = error[now]

    def select(self, rows: Array) -> None:
        """Drop all other rows."""
        for name, value in vars(self).items():
            setattr(self, name, value[rows])


def solve_different(state: Logarithms | Scalings, tol: float, max_iter: int, warm: bool) -> Iterate:
    """Iterate until each row's marginal error is at most `tol`, or `max_iter` times.

    `warm`: whether the potentials of `state` may have converged before the first step. An omega of 0 marks a row that
    has converged.
    """
    f, g = state.potentials()
    rows = len(f)
    result = Iterate(np.empty_like(f), np.empty_like(g), np.zeros(rows, np.intp), np.empty(rows), np.empty(rows))
    numbers = np.arange(rows)  # of the rows that are left
    omega, error, plan_mass = np.ones(rows), np.full(rows, np.inf), np.empty(rows)
    over_relaxation = OverRelaxation(rows)
    if warm:  # measures the marginal error of g
        state.half_step(1, np.zeros(rows), False, 0.0, error, plan_mass)
    for count in range(max_iter + 1):
        active = omega != 0.0
        state.half_step(0, omega if count < max_iter else np.zeros(len(numbers)), True, tol, error, plan_mass)
        result.n_iter[numbers[active]] = count
        result.error[numbers[active]] = error[active]
        result.plan_mass[numbers[active]] = plan_mass[active]
        omega[error <= tol] = 0.0
        active = omega != 0.0
        remaining = int(np.count_nonzero(active))
        if remaining == 0 or count == max_iter or 8 * remaining <= 7 * len(numbers):
            result.f[numbers], result.g[numbers] = state.potentials()
            if remaining == 0 or count == max_iter:
                break
            state.select(active)
            over_relaxation.select(active)
            numbers, omega, error, plan_mass = numbers[active], omega[active], error[active], plan_mass[active]
        if isinstance(state, Logarithms) and any(state.damping):
            state.translate(omega != 0.0)
        else:
            over_relaxation.adapt(count, error, omega)
        state.half_step(1, omega, False, tol, error, plan_mass)
    return result


def solve_same(state: Logarithms | Scalings, tol: float, max_iter: int) -> Iterate:
    """As `solve_different`, for rows of equal histograms under a symmetric cost, where f == g.

    Half steps with omega = 0.5 at least halve the error in an iteration where the kernel is positive definite:
    Feydy et al., Interpolating between Optimal Transport and MMD using Sinkhorn Divergences, AISTATS 2019.
    """
    state.share_potential()
    rows = len(state.mass[0])
    omega, plan_mass = np.full(rows, 0.5), np.empty(rows)
    count = np.zeros(rows, np.intp)
    total = np.full(rows, np.inf)
    for iteration in range(max_iter + 1):
        active = omega != 0.0
        error = np.zeros(rows)
        state.half_step(0, omega if iteration < max_iter else np.zeros(rows), True, 0.5 * tol, error, plan_mass)
        count[active] = iteration
        total[active] = 2.0 * error[active]  # of both marginals
        omega[error <= 0.5 * tol] = 0.0
        if not omega.any():
            break
    f, _ = state.potentials()
    return Iterate(f, f.copy(), count, total, plan_mass)

"""From the arrays of a Sinkhorn call to rows of mass 1, a kernel, and answers in the caller's unit."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .entropic_arguments import Ground
from .entropic_solver import Logarithms, Scalings, Solution, share, solve, solve_same

CHUNK = 1 << 22  # numbers of a and b that are worked on together, and as many of each array made of them
# Spread / reg whose exponentials stay normal, squared too.
SAFE = {"float16": 35.0, "bfloat16": 35.0, "float32": 35.0, "float64": 280.0}
PLAIN = 300.0  # see fastemd.cpu.wide


class Task(NamedTuple):
    """What the rows of a call have in common."""

    ground: Ground
    reg: float
    max_iter: int
    tol: float
    unbalanced: float | None
    method: str
    factor: float
    normalize: bool
    dtype: np.dtype


class Outcome(NamedTuple):
    """The answers to rows (...), in float64, as `fastemd.results.SinkhornResult` names them; which rows were `good`."""

    value: np.ndarray
    regularised: np.ndarray
    f: np.ndarray
    g: np.ndarray
    plan: np.ndarray | None
    n_iter: np.ndarray
    error: np.ndarray
    converged: np.ndarray
    grad_a: np.ndarray
    grad_b: np.ndarray
    good: np.ndarray
    method: str


def run(
    task: Task,
    a: np.ndarray,
    b: np.ndarray,
    batch: tuple[int, ...],
    good: np.ndarray,
    start: tuple[np.ndarray, np.ndarray] | None,
    plan: bool,
    same: bool = False,
) -> Outcome:
    """Solve for rows a (..., n) and b (..., k) that broadcast to `batch`; those that are not `good` become NaN."""
    n, k = task.ground.n, task.ground.k
    total = math.prod(batch)
    flat = _unanswered(task, total, n, k, plan, good.reshape(total))
    x, y = np.broadcast_to(a, (*batch, n)), np.broadcast_to(b, (*batch, k))
    kernels = Kernels(task)
    rows = np.flatnonzero(flat.good)
    step = max(64, CHUNK // (n + k))
    for first in range(0, len(rows), step):
        here = rows[first : first + step]
        where = np.unravel_index(here, batch) if batch else np.newaxis
        p, q = (z[where].astype(np.float64) for z in (x, y))
        begin = None if start is None else (start[0][where], start[1][where])
        _solve_rows(kernels, p, q, begin, flat, here, same)
    shaped: Any = [z.reshape((*batch, *z.shape[1:])) if isinstance(z, np.ndarray) else z for z in flat]
    return Outcome(*shaped)


def _unanswered(task: Task, rows: int, n: int, k: int, plan: bool, good: np.ndarray) -> Outcome:
    """Return the answers to rows that nobody has solved."""

    def nothing(*shape: int) -> np.ndarray:
        return np.full((rows, *shape), np.nan)

    return Outcome(
        nothing(),
        nothing(),
        nothing(n),
        nothing(k),
        nothing(n, k).astype(task.dtype) if plan else None,
        np.zeros(rows, np.intp),
        nothing(),
        np.zeros(rows, bool),
        nothing(n),
        nothing(k),
        good,
        method_of(task),
    )


def method_of(task: Task) -> str:
    """Which method a task is given to."""
    if task.method == "log" or (task.unbalanced is not None and task.ground.space is None):
        return "log"
    limit = PLAIN if task.ground.space is not None else SAFE[task.dtype.name]
    return "scaling" if task.ground.spread <= limit * task.reg else "log"


def stages(task: Task) -> list[float]:
    """Return reg, and before it the larger ones that epsilon scaling begins with."""
    found = [task.reg]
    while task.factor and found[0] < task.ground.spread:
        found.insert(0, found[0] / task.factor)
    return found


class Kernels:
    """The Gibbs kernel of a task, made for each stage of epsilon scaling when it is needed; and the dtype it is in."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.made: dict[float, Any] = {}
        self.method = method_of(task)
        self.narrow = np.dtype(np.float64 if task.dtype == np.float64 else np.float32)

    def at(self, reg: float) -> Any:
        """Return the operator of a reg; for the scaling method, its matrix and that times the cost."""
        if reg not in self.made:
            self.made[reg] = self._make(reg)
        return self.made[reg]

    def _make(self, reg: float) -> Any:
        from .cpu import operators, tiles

        ground = self.task.ground
        if ground.space is not None:
            return operators.Paths(ground.space, reg, share, self.method == "log")
        matrix: Any = ground.matrix
        cost = matrix - ground.least
        if self.method == "scaling":
            kernel = np.exp(cost / -reg)
            both = (kernel.T, kernel, kernel * cost)
            return tuple(tiles.Tiles(z.astype(self.narrow), share) for z in both)
        return (operators.Products if ground.spread <= PLAIN * reg else operators.Softened)(cost, reg, share)


def _solve_rows(
    kernels: Kernels, a: np.ndarray, b: np.ndarray, start: Any, outcome: Outcome, here: np.ndarray, same: bool
) -> None:
    """Solve for rows of float64, stage by stage, and write their answers."""
    task = kernels.task
    masses = a.sum(axis=1), b.sum(axis=1)
    rows = Rows(
        task,
        a / masses[0][:, None],
        b / masses[1][:, None],
        *((np.ones(len(a)),) * 2 if task.normalize else masses),
    )
    f, g = (np.zeros_like(a), np.zeros_like(b)) if start is None else start
    count = np.zeros(len(a), np.intp)
    warm = start is not None
    for reg in stages(task):
        found, cost = _stage(kernels.at(reg), kernels.narrow, rows, reg, f / reg, g / reg, warm, same)
        f, g = reg * found.f, reg * found.g
        count += found.n_iter
        warm = True
    answers = rows.answers(f, g, found.carried, cost)
    outcome.n_iter[here], outcome.error[here], outcome.converged[here] = count, found.error, found.error <= task.tol
    outcome.value[here], outcome.regularised[here] = answers.value, answers.regularised
    outcome.f[here], outcome.g[here] = answers.f, answers.g
    for grad, own, p, mass in (
        (outcome.grad_a, answers.grad_a, rows.p, masses[0]),
        (outcome.grad_b, answers.grad_b, rows.q, masses[1]),
    ):
        if task.normalize:
            own = (own - np.einsum("ri,ri->r", own, p)[:, None]) / mass[:, None]
        if task.unbalanced is None:
            own = own - own.mean(axis=1, keepdims=True)
        grad[here] = own
    if outcome.plan is not None:
        rows.write_plan(outcome.plan, here, f, g)


def _stage(
    kernel: Any, narrow: np.dtype, rows: Rows, reg: float, f: np.ndarray, g: np.ndarray, warm: bool, same: bool
) -> tuple[Solution, np.ndarray]:
    """Solve for one reg from potentials over reg; return what was found and the cost of the plans of p and q."""
    task = rows.task
    least = task.ground.least / reg
    if isinstance(kernel, tuple):
        state: Any = Scalings(kernel, narrow, rows.p, rows.q, f - least, g)
    else:
        damp = 0.0 if task.unbalanced is None else reg / task.unbalanced
        state = Logarithms(kernel, rows.p, rows.q, (rows.lead - least, -rows.lead - least), damp, f, g)
    found = solve_same(state, task.tol, task.max_iter) if same else solve(state, task.tol, task.max_iter, warm)
    if isinstance(kernel, tuple):
        weight_p, weight_q = ((p * np.exp(z)).astype(narrow) for p, z in ((rows.p, found.f), (rows.q, found.g)))
        cost = np.einsum("ri,ri->r", kernel[2].product(weight_p), weight_q, dtype=np.float64)
        return found._replace(f=found.f + least), cost
    with np.errstate(divide="ignore"):
        return found, kernel.cost(np.log(rows.p) + (found.f - least), np.log(rows.q) + found.g)


class Answers(NamedTuple):
    """Numbers and vectors of rows."""

    value: np.ndarray
    regularised: np.ndarray
    f: np.ndarray
    g: np.ndarray
    grad_a: np.ndarray
    grad_b: np.ndarray


class Rows:
    """Rows p and q of mass 1, and the masses that the answers are for."""

    def __init__(self, task: Task, p: np.ndarray, q: np.ndarray, mass_a: np.ndarray, mass_b: np.ndarray) -> None:
        self.task, self.p, self.q, self.mass_a, self.mass_b = task, p, q, mass_a, mass_b
        self.scale = np.sqrt(mass_a) * np.sqrt(mass_b)  # the mass of R
        self.lead = 0.5 * np.log(mass_b / mass_a) if task.unbalanced is not None else np.zeros(len(p))

    def answers(self, f: np.ndarray, g: np.ndarray, carried: np.ndarray, cost: np.ndarray) -> Answers:
        """Return values and gradients of the plans of f and g: `carried` is their mass, `cost` the cost above least."""
        reg, price = self.task.reg, self.task.unbalanced
        value = self.scale * (cost + self.task.ground.least * carried * np.exp(-self.lead))
        if price is None:
            shift = f.mean(axis=1, keepdims=True)
            f, g = f - shift, g + shift
            both = np.einsum("ri,ri->r", self.p, f) + np.einsum("ri,ri->r", self.q, g)
            return Answers(value, self.scale * (both - reg * (carried - 1.0)), f, g, f, g)
        gone = [-np.expm1(-z / price) for z in (f, g)]
        plan = self.mass_a * carried
        regularised = -reg * (plan - self.scale)
        grads = []
        for p, mass, part in ((self.p, self.mass_a, gone[0]), (self.q, self.mass_b, gone[1])):
            regularised = regularised + price * mass * np.einsum("ri,ri->r", p, part)
            # R depends on a through its entries and its mass; the plan itself is optimal, so it may be held fixed.
            grads.append(reg * ((self.scale + plan) / (2.0 * mass) - 1.0)[:, None] + (reg + price) * part)
        return Answers(value, regularised, f, g, *grads)

    def write_plan(self, plan: np.ndarray, here: np.ndarray, f: np.ndarray, g: np.ndarray) -> None:
        """Write the plans of f and g into the rows `here` of `plan`."""
        ground = self.task.ground
        cost: Any = ground.matrix if ground.space is None else ground.space.cost_matrix()  # type: ignore[attr-defined]
        for row in range(len(f)):
            exponent = (f[row][:, None] + g[row] - cost) / self.task.reg
            plan[here[row]] = self.scale[row] * self.p[row][:, None] * np.exp(exponent) * self.q[row]

"""Sinkhorn on a GPU, one cost matrix for a batch, beside a loop of torch in the log domain and POT's batch solver.

All reach the same marginal error. fastemd stops there; the loop makes as many iterations as that needs, without checks;
POT, which measures another error, gets the coarsest tolerance that suffices. That number and that tolerance come from
the first rows, and are not timed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastemd as fe

from ..harness.measure import Job, faster
from ..opponents.entropic import Problem, tolerances
from ..opponents.formulas import torch
from .clock import Gpu, in_turn

LOOP, POT = "torch log-domain loop", "POT solve_batch"
REG, TARGET = 0.05, 1e-5  # costs are within 0..1
STRIDE, MOST = 5, 5_000  # iterations between two checks of the loop's error, and at most
ROWS_CHECKED = 16


def job(rows: int, n: int) -> Job:
    """Return the job with its bars, which needs no data."""
    job = Job(f"Sinkhorn, matrix, reg = {REG:g}, to {TARGET:g}, {rows:,} × {n:,}", lambda: None)
    job.bars = [faster(3, LOOP), faster(3, POT)]
    return job


def prepare(job: Job, gpu: Gpu, rows: int, n: int) -> None:
    """Add its calls to a job, after a check of fastemd's first rows."""
    points = np.random.default_rng(0).random((n, 2))
    cost = ((points[:, None] - points) ** 2).sum(axis=-1)
    cost /= cost.max()
    sets = gpu.sets(lambda k: (gpu.histograms(rows, n, 2 * k + 1), gpu.histograms(rows, n, 2 * k + 2)))

    def call(a: Any, b: Any) -> Any:
        return fe.sinkhorn(gpu.as_input(a), gpu.as_input(b), cost, reg=REG, tol=TARGET, check=False).value

    first = [x[:ROWS_CHECKED] for x in sets[0]]
    problem = Problem(*(gpu.host(x) for x in first), cost, REG, TARGET)
    require_right(job, problem, gpu.host(call(*first)))
    job.fastemd = in_turn(call, sets)
    cost_on_device = torch.from_numpy(cost).float().to(gpu.torch_device)
    for name, make in ((LOOP, loop), (POT, pot)):
        try:
            opponent = make(problem, first, cost_on_device)
            opponent(*sets[0])
        except (RuntimeError, ModuleNotFoundError) as error:  # too little memory for rows x n x n, or no POT
            job.absent[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
        else:
            job.opponents[name] = in_turn(opponent, sets)


def require_right(job: Job, problem: Problem, value: np.ndarray) -> None:
    """Raise ArithmeticError unless values are the reference's, up to what the marginal error leaves open."""
    a, b = (x.astype(np.float64) for x in (problem.a, problem.b))
    exact = fe.reference.sinkhorn(a, b, problem.cost, reg=REG, mass="normalize").value
    error = float(np.abs(value - exact).max())
    if not error <= 2 * TARGET:
        raise ArithmeticError(f"{job.name}: off by {error:.2g} from the reference, more than {2 * TARGET:.2g}")


def loop(problem: Problem, first: list[Any], cost: Any) -> Callable[[Any, Any], Any]:
    """Return the loop in torch, with as many iterations as the first rows need."""
    scaled = cost / problem.reg

    def steps(a: Any, b: Any, f: Any, g: Any, count: int) -> tuple[Any, Any]:
        for _ in range(count):
            f = -torch.logsumexp((b.log() + g)[:, None, :] - scaled, dim=2)
            g = -torch.logsumexp((a.log() + f)[:, :, None] - scaled, dim=1)
        return f, g

    def plan(a: Any, b: Any, f: Any, g: Any) -> Any:
        return torch.exp((a.log() + f)[:, :, None] + (b.log() + g)[:, None, :] - scaled)

    a, b = first
    f, g, count = torch.zeros_like(a), torch.zeros_like(b), 0
    while problem.error(plan(a, b, f, g).cpu().numpy()) > problem.target:
        if count >= MOST:
            raise RuntimeError(f"does not reach a marginal error of {problem.target:g} within {MOST:,} iterations")
        f, g = steps(a, b, f, g, STRIDE)
        count += STRIDE

    def solve(a: Any, b: Any) -> Any:
        f, g = steps(a, b, torch.zeros_like(a), torch.zeros_like(b), count)
        return (plan(a, b, f, g) * cost).sum(dim=(1, 2))

    return solve


def pot(problem: Problem, first: list[Any], cost: Any) -> Callable[[Any, Any], Any]:
    """Return POT's batch solver, which needs a cost for each row, at the coarsest tolerance that reaches the error."""
    import ot.batch

    def run(a: Any, b: Any, tol: float) -> Any:
        costs = cost.expand(len(a), *cost.shape)
        options = {"max_iter": MOST, "method": "log_sinkhorn", "grad": "detach"}
        return ot.batch.solve_batch(costs, problem.reg, a=a, b=b, tol=tol, **options)

    for tol in tolerances(problem.target / len(cost) ** 0.5):  # it measures in the Euclidean norm
        if problem.error(run(*first, tol).plan.cpu().numpy()) <= problem.target:
            return lambda a, b: run(a, b, tol).value_linear
    raise RuntimeError(f"reaches a marginal error of {problem.target:g} with no tolerance that was tried")

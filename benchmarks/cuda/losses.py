"""The losses of torch on a GPU: EMDLoss forward and backward from logits and classes, beside plain torch.

Bars are those of `losses`, and for the loss's own time in a training step 1.5 times that of cross entropy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastemd as fe

from ..harness.measure import Job, faster, within
from ..opponents import formulas
from .clock import COMPILED, Gpu, add_compiled, in_turn

EAGER, CROSS_ENTROPY = "torch eager", "cross_entropy"
ROWS_CHECKED = 16
Space = fe.Chain | fe.Tree


def loss_job(name: str, space: Space, rows: int) -> Job:
    """Return the job of a large batch with its bars, which needs no data."""
    job = Job(f"EMDLoss, {name}, forward + backward, ρ = 2, {rows:,} × {space.n:,}", lambda: None)
    job.bars = [faster(4, EAGER), faster(4, COMPILED)]
    return job


def step_job(name: str, space: Space, rows: int) -> Job:
    """Return the job of a training step's batch with its bar."""
    job = Job(f"EMDLoss in a step, {name}, {rows:,} × {space.n:,}", lambda: None)
    job.bars = [within(1.5, "× cross_entropy's own time", CROSS_ENTROPY)]
    return job


def prepare_step(job: Job, gpu: Gpu, space: Space, rows: int) -> None:
    """Add its calls to the job of a training step."""
    from torch.nn.functional import cross_entropy

    sets = _add_fastemd(job, gpu, space, rows)
    job.beside[CROSS_ENTROPY] = in_turn(step(cross_entropy), sets)


def prepare_loss(job: Job, gpu: Gpu, space: Space, rows: int, compiled: bool) -> None:
    """Add its calls to the job of a large batch."""
    sets = _add_fastemd(job, gpu, space, rows)
    chain = space.kind == "chain"
    row = formulas.logits(formulas.chain(2) if chain else formulas.tree(space, 2, gpu.torch_device, dense=True))

    def mean(z: Any, y: Any) -> Any:
        return row(z, y).mean()

    job.opponents[EAGER] = in_turn(step(mean), sets)
    add_compiled(job, compiled, mean, sets, step)


def _add_fastemd(job: Job, gpu: Gpu, space: Space, rows: int) -> Any:
    """Add fastemd's call to a job, after a check of the first rows of its gradient; return the data."""
    from fastemd.torch import EMDLoss

    def make(k: int) -> tuple[Any, Any]:
        return gpu.normal(rows, space.n, 2 * k + 1).requires_grad_(), gpu.classes(rows, space.n, 2 * k + 2)

    sets = gpu.sets(make)
    call = step(EMDLoss(space))
    require_right(job, gpu, call(*sets[0])[1], sets[0], space)
    job.fastemd = in_turn(call, sets)
    return sets


def step(loss: Callable[[Any, Any], Any]) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Return the call of a forward and a backward pass, which returns the loss and a new gradient."""

    def call(z: Any, target: Any) -> tuple[Any, Any]:
        z.grad = None
        value = loss(z, target)
        value.backward()
        return value.detach().reshape(1), z.grad

    return call


def require_right(job: Job, gpu: Gpu, grad: Any, inputs: tuple[Any, Any], space: Space) -> None:
    """Raise ArithmeticError unless the first rows of a gradient are those of `fastemd.reference`."""
    z, target = (gpu.host(x.detach()[:ROWS_CHECKED]) for x in inputs)
    _, expected = fe.reference.emd_with_logits(z.astype(np.float64), target, space, rho=2)
    expected = expected / len(grad)
    error = float(np.abs(gpu.host(grad[:ROWS_CHECKED]) - expected).max())
    limit = 4 * float(np.finfo(np.float32).eps * np.abs(expected).max())
    if not error <= limit:
        raise ArithmeticError(f"{job.name}: off by {error:.2g} from the reference, more than {limit:.2g}")

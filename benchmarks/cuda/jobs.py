"""The jobs of a GPU: their names and bars, which need no device, and the preparation of their data and calls.

All are float32 with ``check=False``, as in a training loop: the host then waits for the device only to copy a cost
matrix (`benchmarks.cuda.sinkhorn`). Counted bytes are those of `benchmarks.core.jobs`: a value reads a and b, and a
gradient is written besides; logits are read and their gradient is written. The yardstick is a copy from device to
device, bytes read and written.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastemd as fe

from ..harness import problems
from ..harness.measure import Job, faster, require_equal, within
from ..opponents import formulas
from . import losses as cuda_losses
from . import sinkhorn as cuda_sinkhorn
from .clock import COMPILED, Gpu, add_compiled, in_turn

EAGER, AUTOGRAD = "torch eager", "torch autograd"
CSR, DENSE, COPY = "torch sparse matmul", "torch dense matmul", "copy"
Space = fe.Chain | fe.Tree
ROWS_CHECKED = 16


@dataclass(frozen=True)
class Sizes:
    """How large the jobs are, how many seconds each may take, and how many rounds it has at most."""

    chains: tuple[tuple[int, int], ...] = ((65_536, 1_000), (1_048_576, 128))
    trees: tuple[str, ...] = ("1k", "21k")
    tree_rows: tuple[int, ...] = (16_384, 2_048)
    caterpillar: tuple[int, int] = (1_024, 100_000)
    logits: tuple[int, int] = (65_536, 1_000)
    small: tuple[int, int] = (256, 100)
    copied: int = 1 << 29
    seconds: float = 3.0
    rounds: int = 25
    compiled: bool = True
    sinkhorn: tuple[int, int] = (1_024, 1_000)
    losses: tuple[int, int, int] = (4_096, 256, 1_000)  # rows of a large batch and of a step's, and classes of a chain


FULL = Sizes()
QUICK = Sizes(
    ((64, 40), (96, 12)),
    ("1k",),
    (20, 17),
    (18, 200),
    (32, 40),
    (16, 10),
    1 << 16,
    0.0,
    1,
    False,
    (18, 12),
    (18, 17, 12),
)


@dataclass
class DeviceJob:
    """A job with its bars, and the function that makes its data and its calls on a device."""

    job: Job
    prepare: Callable[[Gpu, Sizes], None]


def all_jobs(sizes: Sizes) -> Iterator[DeviceJob]:
    """Yield the job of every row of the table, in its order, without data."""
    for rows, n in sizes.chains:
        yield chain_value(rows, n, sizes)
        for rho in (1, 2):
            yield chain_gradient(rows, n, rho, sizes)
    for which in sizes.trees:
        for rows in sizes.tree_rows:
            yield tree_value(which, rows)
            yield tree_gradient(which, rows)
    yield from losses(sizes)
    yield caterpillar(sizes)
    yield logits(sizes)
    yield entropic(sizes)


@functools.cache
def imagenet(which: str) -> fe.Tree:
    """Return a shipped tree, made once."""
    return fe.Tree.imagenet(which)


def _device_job(what: str, answer: str, rho: int, space: Space, rows: int, arrays: int) -> DeviceJob:
    nodes = f" on {space.n_nodes:,} nodes" if space.kind == "tree" else ""
    job = Job(f"{what}, {answer}, ρ = {rho}, {rows:,} × {space.n:,}{nodes}", lambda: None)
    job.counted, job.bandwidth = arrays * rows * space.n * 4, COPY
    return DeviceJob(job, lambda gpu, sizes: None)


def chain_value(rows: int, n: int, sizes: Sizes) -> DeviceJob:
    """Values on a chain."""
    space = fe.Chain(n)
    device_job = _device_job("chain", "value", 1, space, rows, 2)
    device_job.job.bars = [device_job.job.share_at_least(0.75), faster(3, EAGER), faster(1.5, COMPILED)]

    def prepare(gpu: Gpu, sizes: Sizes) -> None:
        sets = gpu.sets(lambda k: _pair(gpu, rows, n, k))
        _value(device_job.job, gpu, sets, space, 1)
        formula = formulas.histograms(formulas.chain(1))
        device_job.job.opponents[EAGER] = in_turn(formula, sets)
        add_compiled(device_job.job, sizes.compiled, formula, sets)

    device_job.prepare = prepare
    return device_job


def chain_gradient(rows: int, n: int, rho: int, sizes: Sizes) -> DeviceJob:
    """Values and gradients on a chain."""
    space = fe.Chain(n)
    device_job = _device_job("chain", "value + gradient", rho, space, rows, 3)
    device_job.job.bars = [device_job.job.share_at_least(0.7), faster(6, AUTOGRAD), faster(2, COMPILED)]

    def prepare(gpu: Gpu, sizes: Sizes) -> None:
        sets = gpu.sets(lambda k: (*_pair(gpu, rows, n, k), gpu.histograms(rows, n, 0)))
        _gradient(device_job.job, gpu, sets, space, rho)
        formula, pairs = formulas.histograms(formulas.chain(rho)), [each[:2] for each in sets]
        device_job.job.opponents[AUTOGRAD] = in_turn(formulas.autograd(formula), pairs)
        add_compiled(device_job.job, sizes.compiled, formulas.traceable(formula), pairs)

    device_job.prepare = prepare
    return device_job


def tree_value(which: str, rows: int) -> DeviceJob:
    """Values on an ImageNet tree."""
    space = imagenet(which)
    device_job = _device_job(f"ImageNet-{which} tree", "value", 1, space, rows, 2)
    device_job.job.bars = [device_job.job.share_at_least(0.4), faster(10, CSR), faster(10, DENSE)]

    def prepare(gpu: Gpu, sizes: Sizes) -> None:
        sets = gpu.sets(lambda k: _pair(gpu, rows, space.n, k))
        _value(device_job.job, gpu, sets, space, 1)
        for name, dense in ((CSR, False), (DENSE, True)):
            formula = formulas.histograms(formulas.tree(space, 1, gpu.torch_device, dense=dense))
            device_job.job.opponents[name] = in_turn(formula, sets)

    device_job.prepare = prepare
    return device_job


def tree_gradient(which: str, rows: int) -> DeviceJob:
    """Values and gradients on an ImageNet tree; the opponents have theirs by the transposed matrix."""
    space = imagenet(which)
    device_job = _device_job(f"ImageNet-{which} tree", "value + gradient", 1, space, rows, 3)
    device_job.job.bars = [device_job.job.share_at_least(0.4), faster(10, CSR), faster(10, DENSE)]

    def prepare(gpu: Gpu, sizes: Sizes) -> None:
        sets = gpu.sets(lambda k: (*_pair(gpu, rows, space.n, k), gpu.histograms(rows, space.n, 0)))
        _gradient(device_job.job, gpu, sets, space, 1)
        for name, dense in ((CSR, False), (DENSE, True)):
            both = formulas.tree_by_hand(space, 1, gpu.torch_device, dense=dense)
            device_job.job.opponents[name] = in_turn(both, [each[:2] for each in sets])

    device_job.prepare = prepare
    return device_job


def caterpillar(sizes: Sizes) -> DeviceJob:
    """Values and gradients on a caterpillar, beside the largest of the trees: time divided by rows x nodes."""
    rows, nodes = sizes.caterpillar
    space, other, other_rows = problems.caterpillar(nodes), imagenet(sizes.trees[-1]), sizes.tree_rows[-1]
    device_job = _device_job("caterpillar", "value + gradient", 1, space, rows, 3)
    name = f"ImageNet-{sizes.trees[-1]} tree"
    scale = other_rows * other.n_nodes / (rows * space.n_nodes)
    device_job.job.bars = [within(2, f"× the {name}, per node", name, scale)]

    def prepare(gpu: Gpu, sizes: Sizes) -> None:
        sets = gpu.sets(lambda k: (*_pair(gpu, rows, space.n, k), gpu.histograms(rows, space.n, 0)))
        _gradient(device_job.job, gpu, sets, space, 1)
        others = gpu.sets(lambda k: (*_pair(gpu, other_rows, other.n, k), gpu.histograms(other_rows, other.n, 0)))
        device_job.job.beside[name] = in_turn(_gradient_call(gpu, other, 1), others)

    device_job.prepare = prepare
    return device_job


def logits(sizes: Sizes) -> DeviceJob:
    """Values and gradients of logits against class indices on a chain."""
    rows, n = sizes.logits
    space = fe.Chain(n)
    device_job = _device_job("logits and classes, chain", "value + gradient", 1, space, rows, 2)
    device_job.job.bars = [device_job.job.share_at_least(0.6), faster(5, AUTOGRAD)]

    def prepare(gpu: Gpu, sizes: Sizes) -> None:
        def make(k: int) -> tuple[Any, ...]:
            return gpu.normal(rows, n, 3 * k + 1), gpu.classes(rows, n, 3 * k + 2), gpu.normal(rows, n, 0)

        sets = gpu.sets(make)

        def call(z: Any, target: Any, out: Any) -> Any:
            z, target, out = map(gpu.as_input, (z, target, out))
            return fe.emd_with_logits(z, target, space, out=out, check=False)

        z, target, out = sets[0]
        answer = _first(gpu, call(z, target, out))
        expected = fe.reference.emd_with_logits(*(_as_float64(gpu.host(x[:ROWS_CHECKED])) for x in (z, target)), space)
        require_right(device_job.job, answer, expected)
        device_job.job.fastemd = in_turn(call, sets)
        formula, pairs = formulas.logits(formulas.chain(1)), [each[:2] for each in sets]
        device_job.job.opponents[AUTOGRAD] = in_turn(formulas.autograd(formula, centred=False), pairs)
        add_compiled(device_job.job, sizes.compiled, formulas.traceable(formula, centred=False), pairs)

    device_job.prepare = prepare
    return device_job


def losses(sizes: Sizes) -> Iterator[DeviceJob]:
    """Yield the jobs of torch's loss: a large batch, and that of a training step, on a chain and on a tree."""
    large, small, n = sizes.losses
    for name, space in (("chain", fe.Chain(n)), ("ImageNet tree", imagenet("1k"))):
        job, step = cuda_losses.loss_job(name, space, large), cuda_losses.step_job(name, space, small)
        prepare = functools.partial(cuda_losses.prepare_loss, job, space=space, rows=large, compiled=sizes.compiled)
        yield DeviceJob(job, lambda gpu, sizes, prepare=prepare: prepare(gpu=gpu))
        prepare = functools.partial(cuda_losses.prepare_step, step, space=space, rows=small)
        yield DeviceJob(step, lambda gpu, sizes, prepare=prepare: prepare(gpu=gpu))


def entropic(sizes: Sizes) -> DeviceJob:
    """Values of Sinkhorn's plans on a cost matrix."""
    rows, n = sizes.sinkhorn
    job = cuda_sinkhorn.job(rows, n)
    return DeviceJob(job, lambda gpu, sizes: cuda_sinkhorn.prepare(job, gpu, *sizes.sinkhorn))


def _pair(gpu: Gpu, rows: int, n: int, k: int) -> tuple[Any, Any]:
    return gpu.histograms(rows, n, 2 * k + 1), gpu.histograms(rows, n, 2 * k + 2)


def _value(job: Job, gpu: Gpu, sets: list, space: Space, rho: int) -> None:
    """Add fastemd's call to a job, after a check of its first rows."""

    def call(a: Any, b: Any) -> Any:
        return fe.emd(gpu.as_input(a), gpu.as_input(b), space, rho=rho, check=False)

    a, b = (_as_float64(gpu.host(x[:ROWS_CHECKED])) for x in sets[0])
    require_right(job, _first(gpu, (call(*sets[0]),)), (fe.reference.emd(a, b, space, rho=rho, mass="root"),))
    job.fastemd = in_turn(call, sets)


def _gradient(job: Job, gpu: Gpu, sets: list, space: Space, rho: int) -> None:
    """Add fastemd's call to a job, after a check of its first rows."""
    call = _gradient_call(gpu, space, rho)
    a, b = (_as_float64(gpu.host(x[:ROWS_CHECKED])) for x in sets[0][:2])
    expected = fe.reference.emd_value_and_grad(a, b, space, rho=rho, mass="root")
    require_right(job, _first(gpu, call(*sets[0])), expected)
    job.fastemd = in_turn(call, sets)


def _gradient_call(gpu: Gpu, space: Space, rho: int) -> Callable[..., Any]:
    def call(a: Any, b: Any, out: Any) -> Any:
        a, b, out = map(gpu.as_input, (a, b, out))
        return fe.emd_value_and_grad(a, b, space, rho=rho, out=out, check=False)

    return call


def _first(gpu: Gpu, answers: tuple[Any, ...]) -> tuple[np.ndarray, ...]:
    return tuple(gpu.host(x[:ROWS_CHECKED]) for x in answers)


def _as_float64(x: np.ndarray) -> np.ndarray:
    """Return the same numbers in float64, in which histograms of float32 differ in mass: hence ``mass="root"``."""
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def require_right(job: Job, answer: tuple[np.ndarray, ...], expected: tuple[np.ndarray, ...]) -> None:
    """Raise ArithmeticError unless the first rows of an answer are those of `fastemd.reference` in float64.

    Both add up the same numbers in float64, so what differs is that fastemd's answer is rounded to float32.
    """
    for x, y in zip(answer, expected, strict=True):
        error, limit = float(np.abs(x - y).max()), 4 * float(np.finfo(np.float32).eps * np.abs(y).max())
        if not error <= limit:
            raise ArithmeticError(f"{job.name}: off by {error:.2g} from the reference, more than {limit:.2g}")


def require_agreement(job: Job, gpu: Gpu) -> None:
    """Raise ArithmeticError unless the opponents answer the same as fastemd, in their first rows of the same set."""
    expected = _answer(gpu, job.fastemd)
    for name, call in job.opponents.items():
        require_equal(_answer(gpu, call), expected, f"{job.name}: {name}")


def _answer(gpu: Gpu, call: Callable[[], Any]) -> tuple[np.ndarray, ...]:
    answer = call()
    return _first(gpu, answer if isinstance(answer, tuple) else (answer,))

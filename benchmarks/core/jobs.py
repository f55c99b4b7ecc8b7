"""The jobs that are timed: one function each, which makes the data and names whoever takes part.

All are float32, on two threads, with `check=True` as users have it. Counted bytes: a value reads a and b, which makes
2 x rows x n x 4; with a gradient, which is written, it is 3 x rows x n x 4; class indices weigh nothing, so logits are
read and their gradient is written, 2 x rows x n x 4.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np

import fastemd as fe

from ..harness import bandwidth, problems
from ..harness.measure import Bar, Call, Job, faster, within
from ..harness.problems import Sizes
from ..opponents import formulas
from . import naive

EAGER, AUTOGRAD, COMPILED, CSR = "torch eager", "torch autograd", "torch.compile", "torch sparse CSR"
PREFIX, FRESH, NAIVE = "torch prefix sums", "fastemd, fresh output", "numba loop"
Space = fe.Chain | fe.Ring | fe.Tree


def all_jobs(sizes: Sizes) -> Iterator[Callable[[], Job]]:
    """Every job of the table, in its order, not yet made."""
    part = functools.partial
    for rows in (sizes.large, *sizes.small):
        yield part(chain_value, rows, sizes)
        yield part(chain_gradient, rows, 1, sizes)
        yield part(chain_gradient, rows, 2, sizes)
    yield part(ring_gradient, sizes)
    for name, make in (("random tree", part(problems.tree, sizes)), ("ImageNet tree", fe.Tree.imagenet)):
        for rho in (1, 2):
            yield part(tree_value, name, make, rho, sizes)
            yield part(tree_gradient, name, make, rho, sizes)
    yield part(tree_shape, "caterpillar", problems.caterpillar, sizes)
    yield part(tree_shape, "star", problems.star, sizes)
    yield part(logits, "chain", part(fe.Chain, sizes.bins), sizes)
    yield part(logits, "ImageNet tree", fe.Tree.imagenet, sizes)
    yield part(one_pair_value, sizes)
    yield part(one_pair_gradient, sizes)


def _gradient(a: np.ndarray, b: np.ndarray, space: Space, rho: int, *, fresh: bool = False) -> Call:
    """Return a call that writes its gradient into the same output each time, or into a fresh one."""
    out = None if fresh else np.zeros_like(a)
    return functools.partial(fe.emd_value_and_grad, a, b, space, rho=rho, out=out)


def _value_job(what: str, a: np.ndarray, b: np.ndarray, space: Space, rho: int) -> Job:
    job = Job(_name(what, "value", rho, space, len(a)), functools.partial(fe.emd, a, b, space, rho=rho))
    job.beside, job.loops = bandwidth.loops(a, b)
    job.counted, job.bandwidth = a.nbytes + b.nbytes, "read"
    return job


def _gradient_job(what: str, a: np.ndarray, b: np.ndarray, space: Space, rho: int) -> Job:
    job = Job(_name(what, "value + gradient", rho, space, len(a)), _gradient(a, b, space, rho))
    job.opponents[FRESH] = _gradient(a, b, space, rho, fresh=True)
    job.beside, job.loops = bandwidth.loops(a, b, np.zeros_like(a))
    job.counted, job.bandwidth = 3 * a.nbytes, "triad"
    return job


def _name(what: str, answer: str, rho: int, space: Space, rows: int) -> str:
    nodes = f" on {space.n_nodes:,} nodes" if space.kind == "tree" else ""
    return f"{what}, {answer}, ρ = {rho}, {rows:,} × {space.n:,}{nodes}"


def _add_torch(job: Job, name: str, function: Callable[[], formulas.Formula], *arrays: np.ndarray) -> None:
    """Add an opponent; where torch is not installed, say so."""
    if formulas.torch is None:
        job.absent[name] = formulas.missing
    else:
        job.opponents[name] = formulas.call(function(), *arrays)


def _add_compiled(job: Job, sizes: Sizes, function: Callable[[], formulas.Formula], *arrays: np.ndarray) -> None:
    """Add torch.compile; where that fails, or is not wanted, say why."""
    if formulas.torch is None or not sizes.compiled:
        job.absent[COMPILED] = formulas.missing or "left out of a quick run"
        return
    call, why = formulas.compiled_call(function(), *arrays)
    if call is None:
        job.absent[COMPILED] = why
    else:
        job.opponents[COMPILED] = call


def chain_value(rows: int, sizes: Sizes) -> Job:
    """Values on a chain; for small batches also how the time per entry compares with the large one's."""
    space, (a, b) = fe.Chain(sizes.bins), problems.pair(rows, sizes.bins)
    job = _value_job("chain", a, b, space, 1)
    if rows == sizes.large:
        job.bars = [job.share_at_least(0.6), faster(10, EAGER), faster(5, COMPILED)]
    else:
        job.beside["fastemd, large"] = functools.partial(fe.emd, *problems.pair(sizes.large, sizes.bins), space)
        job.bars = _small_bars(EAGER, rows, sizes)
    formula = formulas.histograms(formulas.chain(1))
    _add_torch(job, EAGER, lambda: formula, a, b)
    _add_compiled(job, sizes, lambda: formula, a, b)
    job.opponents[NAIVE] = naive.value(a, b, space, 1)
    return job


def chain_gradient(rows: int, rho: int, sizes: Sizes) -> Job:
    """Values and gradients on a chain; for small batches also how the time per entry compares with the large one's."""
    space, (a, b) = fe.Chain(sizes.bins), problems.pair(rows, sizes.bins)
    job = _gradient_job("chain", a, b, space, rho)
    if rows == sizes.large:
        job.bars = [job.share_at_least(0.5), faster(12, AUTOGRAD), faster(5, COMPILED)]
    else:
        job.beside["fastemd, large"] = _gradient(*problems.pair(sizes.large, sizes.bins), space, rho)
        job.bars = _small_bars(AUTOGRAD, rows, sizes)
    formula = formulas.histograms(formulas.chain(rho))
    _add_torch(job, AUTOGRAD, lambda: formulas.autograd(formula), a, b)
    _add_compiled(job, sizes, lambda: formulas.traceable(formula), a, b)
    job.opponents[NAIVE] = naive.gradient(a, b, space, rho)
    return job


def _small_bars(eager: str, rows: int, sizes: Sizes) -> list[Bar]:
    per_entry = within(1, f"× the time per entry at {sizes.large:,} rows", "fastemd, large", sizes.large / rows)
    return [faster(6, eager), faster(6, COMPILED), per_entry]


def ring_gradient(sizes: Sizes) -> Job:
    """Values and gradients at rho = 1 on a ring, weighted median included, beside a chain of as many bins."""
    rows, n = sizes.ring
    a, b = problems.pair(rows, n)
    job = _gradient_job("ring", a, b, fe.Ring(n), 1)
    job.beside["chain, same size"] = _gradient(a, b, fe.Chain(n), 1)
    job.bars = [within(6, "× the chain's time", "chain, same size")]
    return job


def tree_value(name: str, make: Callable[[], fe.Tree], rho: int, sizes: Sizes) -> Job:
    """Values on a tree."""
    space = make()
    a, b = problems.pair(sizes.tree_rows, space.n)
    job = _value_job(name, a, b, space, rho)
    job.bars = [faster(20, CSR), job.share_at_least(0.3)]
    _add_torch(job, CSR, lambda: formulas.histograms(formulas.tree(space, rho)), a, b)
    _add_torch(job, PREFIX, lambda: formulas.histograms(formulas.tree_by_prefix_sums(space, rho)), a, b)
    job.opponents[NAIVE] = naive.value(a, b, space, rho)
    return job


def tree_gradient(name: str, make: Callable[[], fe.Tree], rho: int, sizes: Sizes) -> Job:
    """Values and gradients on a tree."""
    space = make()
    a, b = problems.pair(sizes.tree_rows, space.n)
    job = _gradient_job(name, a, b, space, rho)
    autograd = f"{CSR}, autograd"
    job.bars = [faster(20, autograd), job.share_at_least(0.3)]
    for opponent, formula in ((autograd, formulas.tree), (PREFIX, formulas.tree_by_prefix_sums)):
        _add_torch(job, opponent, lambda f=formula: formulas.autograd(formulas.histograms(f(space, rho))), a, b)
    _add_torch(job, f"{CSR}, by hand", lambda: formulas.tree_by_hand(space, rho), a, b)
    job.opponents[NAIVE] = naive.gradient(a, b, space, rho)
    return job


def tree_shape(name: str, make: Callable[[int], fe.Tree], sizes: Sizes) -> Job:
    """Values and gradients on a tree of an extreme shape, beside two random trees: one as large, and that of the table.

    What is compared is the time divided by rows x nodes.
    """

    def on(space: fe.Tree, rows: int) -> Call:
        return _gradient(*problems.pair(rows, space.n), space, 1)

    rows, small = sizes.shape_rows, problems.tree(sizes)
    space, large = make(sizes.shape_nodes), problems.random_tree(sizes.shape_nodes, sizes.shape_nodes // 2)
    job = Job(_name(name, "value + gradient", 1, space, rows), on(space, rows))
    job.beside = {"random tree, as large": on(large, rows), "random tree, table": on(small, sizes.tree_rows)}
    scales = [large.n_nodes / space.n_nodes, sizes.tree_rows * small.n_nodes / (rows * space.n_nodes)]
    words = [f"× a random tree of {tree.n_nodes:,} nodes, per node" for tree in (large, small)]
    job.bars = [within(2, *each) for each in zip(words, job.beside, scales, strict=True)]
    return job


def logits(name: str, make: Callable[[], fe.Chain | fe.Tree], sizes: Sizes) -> Job:
    """Values and gradients of logits at rho = 1 with class indices, beside softmax, formula and autograd."""
    space, rows = make(), sizes.logits_rows
    rng = np.random.default_rng(4)
    z = rng.standard_normal((rows, space.n), dtype=np.float32)
    target = rng.integers(space.n, size=rows)
    call = functools.partial(fe.emd_with_logits, z, target, space)
    job = Job(
        _name(f"logits, {name}", "value + gradient", 1, space, rows), functools.partial(call, out=np.zeros_like(z))
    )
    job.opponents[FRESH] = call
    job.beside, job.loops = bandwidth.loops(z, np.ones_like(z), np.zeros_like(z))
    job.counted, job.bandwidth = 2 * z.nbytes, "triad"
    job.bars = [faster(4, AUTOGRAD)]

    def formula() -> formulas.Formula:
        return formulas.logits(formulas.chain(1) if space.kind == "chain" else formulas.tree(space, 1))

    _add_torch(job, AUTOGRAD, lambda: formulas.autograd(formula(), centred=False), z, target)
    if space.kind == "chain":
        _add_compiled(job, sizes, lambda: formulas.traceable(formula(), centred=False), z, target)
    return job


def _microseconds(limit: float) -> Bar:
    return Bar("µs", limit, lambda median: 1e6 * median["fastemd"], at_least=False)


def one_pair_value(sizes: Sizes) -> Job:
    """The value of a single pair on a chain: what a call costs."""
    (a,), (b,) = problems.pair(1, sizes.pair)
    job = Job(f"one pair on a chain, value, n = {sizes.pair}", functools.partial(fe.emd, a, b, fe.Chain(sizes.pair)))
    job.opponents["numpy formula"] = lambda: np.abs(np.cumsum(a - b)[:-1]).sum()
    _add_torch(job, EAGER, lambda: formulas.histograms(formulas.chain(1)), a, b)
    job.bars = [_microseconds(20), within(2, "× numpy's formula", "numpy formula")]
    return job


def one_pair_gradient(sizes: Sizes) -> Job:
    """The value and gradient of a single pair on a chain."""
    (a,), (b,) = problems.pair(1, sizes.pair)
    space = fe.Chain(sizes.pair)
    job = Job(f"one pair on a chain, value + gradient, n = {sizes.pair}", _gradient(a, b, space, 1))
    job.opponents[FRESH] = _gradient(a, b, space, 1, fresh=True)
    job.beside["numpy formula"] = lambda: np.abs(np.cumsum(a - b)[:-1]).sum()
    _add_torch(job, AUTOGRAD, lambda: formulas.autograd(formulas.histograms(formulas.chain(1))), a, b)
    job.bars = [_microseconds(20), within(2.8, "× numpy's formula for the value", "numpy formula")]
    return job

"""The suite of the losses: fastemd.torch and fastemd.jax beside the best that plain torch and plain jax make of it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import fastemd as fe

from .harness import measure, pictures, processes, runs, tables
from .harness.measure import Bar, Job
from .harness.problems import Sizes
from .harness.record import RESULTS
from .opponents import formulas as opponents
from .opponents import plain_jax

HEAD, STEP_ROWS = 512, 256


def run(folder: Path = RESULTS, *, quick: bool = False, only: str = "") -> Path:
    """Measure, write ``losses-<device>.json`` into a folder and return its path; arguments as for `core.suite.run`."""
    return runs.run("losses", _lines, folder, quick=quick, only=only, packages=("jax",))


def write_pages(folder: Path, pages: Path) -> list[Path]:
    """Write tables and the picture of the newest results, and the table with bars beside the results."""
    newest = tables.load(folder, "losses")[0]
    times = pages / "losses-times.png"
    written = [
        tables.write_sections(folder, "losses", pages / "losses.md", tables.section),
        tables.write_sections(folder, "losses", folder / "losses-bars.md", tables.section_with_bars),
    ]
    timed = [line for line in newest["lines"] if line.get("ratio") or "in a step" in line["job"]]
    pictures.draw_times({line["job"]: _loss_alone(line) for line in timed}, times)
    return [*written, times]


def _loss_alone(line: dict) -> dict[str, float]:
    """Return the times of losses, without those of whole steps."""
    return {name: ms for name, ms in tables.rivals(line).items() if not name.startswith("step ")}


def _lines(sizes: Sizes, only: str) -> Iterator[dict]:
    for make in _jobs(sizes):
        job = make()
        if re.search(only, job.name):
            yield measure.row(job, sizes.seconds, sizes.rounds)
    if not only:
        for kind in ("chain", "tree"):
            yield _memory(kind)


def _jobs(sizes: Sizes) -> Iterator[Callable[[], Job]]:
    for name, make in _spaces(sizes):
        yield functools.partial(torch_loss, name, make(), sizes)
    yield functools.partial(overhead, sizes)
    for name, make in _spaces(sizes):
        yield functools.partial(head, name, make(), sizes)
    for name, make in _spaces(sizes):
        yield functools.partial(jax_loss, name, make(), sizes)


def _spaces(sizes: Sizes) -> list[tuple[str, Callable[[], fe.Chain | fe.Tree]]]:
    return [("chain", functools.partial(fe.Chain, sizes.bins)), ("ImageNet tree", fe.Tree.imagenet)]


def _batch(rows: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    return rng.standard_normal((rows, n), dtype=np.float32), rng.integers(n, size=rows)


def _step(function: Callable, z: np.ndarray, target: np.ndarray) -> measure.Call:
    """Return a call of forward and backward pass, which answers the loss and a fresh gradient."""
    import torch

    leaf, classes = torch.from_numpy(z.copy()).requires_grad_(), torch.from_numpy(target)

    def call() -> object:
        leaf.grad = None
        loss = function(leaf, classes)
        loss.backward()
        return loss.detach(), leaf.grad

    return call


def _faster_than_the_best(limit: float, what: str, own: tuple[str, ...] = ()) -> Bar:
    """At least `limit` times as fast as the fastest opponent."""

    def figure(median: measure.Medians) -> float:
        others = [median[name] for name in median if name.startswith(what) and name not in own]
        if not others:
            raise KeyError(what)
        return min(others) / median["fastemd"]

    return Bar(f"× the best plain {what}", limit, figure, at_least=True)


def torch_loss(name: str, space: fe.Chain | fe.Tree, sizes: Sizes) -> Job:
    """EMDLoss from logits with class indices, mean, forward and backward, beside eager and compiled torch."""
    import torch

    from fastemd.torch import EMDLoss

    z, target = _batch(sizes.logits_rows, space.n)
    job = Job(f"EMDLoss, {name}, forward + backward, ρ = 2, {len(z):,} × {space.n:,}", _step(EMDLoss(space), z, target))
    if space.kind == "chain":
        formulas = {"": opponents.chain(2)}
    else:
        formulas = {", sparse CSR": opponents.tree(space, 2), ", prefix sums": opponents.tree_by_prefix_sums(space, 2)}
    for words, formula in formulas.items():
        row = opponents.logits(formula)
        eager = functools.partial(lambda row, z, y: row(z, y).mean(), row)
        job.opponents[f"torch eager{words}"] = _step(eager, z, target)
        if not sizes.compiled or "CSR" in words:
            job.absent[f"torch.compile{words}"] = (
                "left out of a quick run" if "CSR" not in words else "no sparse tensors"
            )
            continue
        torch.compiler.reset()
        job.opponents[f"torch.compile{words}"] = _step(torch.compile(eager, dynamic=False), z, target)
    job.bars = [_faster_than_the_best(4, "torch")]
    return job


def overhead(sizes: Sizes) -> Job:
    """Time of the adapter on a small batch, beside the call of fastemd that it makes."""
    from torch.nn.functional import cross_entropy

    from fastemd.torch import EMDLoss

    z, target = _batch(32, 100)
    space = fe.Chain(100)
    job = Job("EMDLoss, chain, forward + backward, ρ = 2, 32 × 100", _step(EMDLoss(space), z, target))
    job.beside["numpy call"] = functools.partial(fe.emd_with_logits, z, target, space, rho=2)
    job.beside["cross_entropy"] = _step(cross_entropy, z, target)
    over = Bar("µs over the numpy call", 120, lambda m: 1e6 * (m["fastemd"] - m["numpy call"]), at_least=False)
    job.bars = [over]
    return job


def head(name: str, space: fe.Chain | fe.Tree, sizes: Sizes) -> Job:
    """The loss's own time in a training step, on the logits of a batch; beside it the whole step of a head."""
    import torch
    from torch.nn.functional import cross_entropy

    from fastemd.torch import EMDLoss

    z, target = _batch(STEP_ROWS, space.n)
    linear, x, y = torch.nn.Linear(HEAD, space.n), torch.randn(STEP_ROWS, HEAD), torch.from_numpy(target)
    optimizer = torch.optim.SGD(linear.parameters(), lr=0.01)

    def step(loss: Callable) -> None:
        optimizer.zero_grad()
        loss(linear(x), y).backward()
        optimizer.step()

    loss = EMDLoss(space)
    job = Job(f"EMDLoss in a step, {name}, {STEP_ROWS} × {space.n:,}", _step(loss, z, target))
    job.beside["cross_entropy"] = _step(cross_entropy, z, target)
    job.beside |= {"step with EMDLoss": lambda: step(loss), "step with cross_entropy": lambda: step(cross_entropy)}
    job.bars = [measure.within(3, "× cross_entropy's own time", "cross_entropy")]
    return job


def jax_loss(name: str, space: fe.Chain | fe.Tree, sizes: Sizes) -> Job:
    """fastemd.jax under jit, value and gradient, beside plain jax."""
    import jax

    from fastemd.jax import emd_loss

    z, target = (jax.numpy.asarray(x) for x in _batch(sizes.logits_rows, space.n))
    title = f"jax emd_loss, {name}, jit, value + gradient, ρ = 2, {len(z):,} × {space.n:,}"

    def call(function: Callable) -> measure.Call:
        both = jax.jit(jax.value_and_grad(function))
        return lambda: jax.block_until_ready(both(z, target))

    job = Job(title, call(lambda z, y: emd_loss(z, y, space)))
    for words, formula in plain_jax.formulas(space).items():
        job.opponents[f"jax{words}"] = call(formula)
    job.bars = [_faster_than_the_best(4, "jax")]
    return job


def _memory(kind: str) -> dict[str, object]:
    figures = processes.child("loss_memory", kind)
    extra = (figures["peak"] - figures["gradient"]) / figures["gradient"]
    return {
        "job": f"extra memory of EMDLoss, {kind}, forward + backward, 4,096 × 1,000, two threads",
        "figures": {
            "MiB at the peak": figures["peak"] / processes.MIB,
            "MiB of the gradient": figures["gradient"] / processes.MIB,
        },
        "note": "from before the forward to after the backward pass",
        "bars": [measure.at_most(1, "gradients beside the gradient", extra).checked({})],
    }

"""The limits of Sinkhorn's iteration, beside the closed form: iterations and time, accuracy, range, bias, growth.

The question of the paper's own analysis: what does a loss that is computed by iteration cost, and how good is it? Each
of five parts has its records, its picture and its table. reg is in units of the largest cost throughout.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl

import fastemd as fe

from .. import runs
from . import accuracy, problems, solving
from . import bias as biased
from .page import page
from .pictures import PICTURES

__all__ = ["PACKAGES", "PICTURES", "add_arguments", "page", "run"]

PACKAGES = ("pot", "threadpoolctl")
HISTOGRAM_REG = 0.1  # at which minimisers are drawn as histograms


class Sizes(NamedTuple):
    """Sizes of the five parts; every reg in units of the largest cost."""

    regs: tuple[float, ...] = (1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
    step_regs: tuple[float, ...] = (0.1, 0.01, 0.001)
    range_regs: tuple[float, ...] = tuple(float(f"{x:.3g}") for x in np.geomspace(0.1, 1e-4, 19))
    bias_regs: tuple[float, ...] = (1, 0.5, 0.2, 0.1, 0.05)
    growth_reg: float = 0.01
    bins: tuple[int, ...] = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
    limit: int = solving.LIMIT
    evaluations: int = biased.EVALUATIONS


FULL = Sizes()
QUICK = Sizes(
    regs=(1, 0.1, 0.01, 0.0003), step_regs=(0.1,), range_regs=(0.1, 0.001, 0.0001), bias_regs=(1, 0.1),
    bins=(10, 30), limit=50, evaluations=40,
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options of its own."""


def run(options: argparse.Namespace) -> runs.Record:
    """Measure all five parts, on one thread."""
    sizes = QUICK if options.quick else FULL
    threads = fe.get_num_threads()
    fe.set_num_threads(1)
    try:
        with threadpoolctl.threadpool_limits(1):
            _warm_up()
            growth = solving.Growth(sizes.growth_reg, options.seeds, sizes.limit)
            records = [
                one
                for job in runs.track(list(_jobs(sizes, options, growth)), "parts")
                for one in job.records()
            ]  # fmt: skip
    finally:
        fe.set_num_threads(threads)
    return {
        "target": solving.TARGET, "limit": sizes.limit, "log_limit": min(sizes.limit, solving.LOG_LIMIT),
        "range_limit": min(sizes.limit, solving.RANGE_LIMIT), "tolerance": accuracy.TOLERANCE,
        "growth_reg": sizes.growth_reg, "patience": solving.PATIENCE, "evaluations": sizes.evaluations,
        "histogram_reg": HISTOGRAM_REG,
        "borders": {dtype: problems.border(dtype) for dtype in ("float32", "float64")},
        "stopped": growth.stopped, "records": records,
    }  # fmt: skip


class Job(NamedTuple):
    """A part of the work, as the progress bar names it."""

    name: str
    records: Callable[[], Iterator[runs.Record]]

    def __str__(self) -> str:
        return self.name


def _jobs(sizes: Sizes, options: argparse.Namespace, growth: solving.Growth) -> Iterator[Job]:
    """Yield the parts, one for each question, space, and kind or size; each goes through its seeds."""
    places, seeds = problems.spaces(options.quick), range(options.seeds)

    def job(part: Callable[..., Any], name: str, *rest: Any) -> Job:
        words = ", ".join([part.__name__.replace("_", " "), name, *(x for x in rest if isinstance(x, str))])
        more = [x for x in rest if not isinstance(x, str)]
        kind = [x for x in rest if isinstance(x, str)]
        return Job(
            words, lambda: (one for seed in seeds for one in part(name, places[name], *kind, seed, *more))
        )  # fmt: skip

    for name in places:
        for kind in problems.KINDS:
            yield job(solving.speed, name, kind, sizes.regs, sizes.limit)
            yield job(accuracy.against_reg, name, kind, sizes.regs, sizes.limit)
            yield job(accuracy.against_iterations, name, kind, sizes.step_regs, sizes.limit)
        for kind in (*problems.KINDS, problems.FAR):
            yield job(solving.ranges, name, kind, sizes.range_regs, sizes.limit)
        yield job(biased.bias, name, sizes.bias_regs, sizes.evaluations)
    for name in ("chain", "tree"):
        for n in sizes.bins:
            yield Job(f"growth, {name}, {n} bins", lambda name=name, n=n: growth.at(name, n))


def _warm_up() -> None:
    """Compile, so that no time has compiling in it: every solver once, in either form, on a chain and on a tree."""
    for name, space in problems.spaces(quick=True).items():
        for reg in (0.1, 0.0003):
            for _ in solving.speed(name, space, problems.KINDS[0], 0, (reg,), 20):
                pass

"""Jobs of few rows: one long row, up to seven rows, on chains, rings and trees; float32, as users have it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np

import fastemd as fe

from ..harness import problems
from ..harness.measure import Call, Job, within
from ..harness.problems import Sizes
from . import naive

NUMPY, EIGHT, CHAIN, LOOP = "numpy's formula, value", "eight rows", "chain, same size", "numba loop"
FEW = (1, 3, 7)


def all_jobs(sizes: Sizes) -> Iterator[Callable[[], Job]]:
    """Every job, in its order, not yet made."""
    part = functools.partial
    for gradient, limit in ((False, 0.2), (True, 0.4)):
        yield part(one_row, gradient, limit, sizes)
    for rows, limit in zip(FEW, (0.35, 0.6, 1.0), strict=True):
        for gradient in (False, True):
            yield part(few_rows, rows, gradient, limit, sizes)
    for gradient in (False, True):
        yield part(one_ring, gradient, sizes)
    for name, make in (("random tree", part(problems.tree, sizes)), ("WordNet tree", fe.Tree.wordnet_nouns)):
        for rows in FEW:
            yield part(few_on_tree, name, make, rows, sizes)


def numpy_formula(a: np.ndarray, b: np.ndarray) -> Call:
    """The value on a chain of unit lengths as anybody writes it down."""
    return lambda: np.abs(np.cumsum(a - b, axis=-1)).sum(axis=-1)


def _call(a: np.ndarray, b: np.ndarray, space: fe.Chain | fe.Ring | fe.Tree, gradient: bool) -> Call:
    if gradient:
        return functools.partial(fe.emd_value_and_grad, a, b, space, out=np.zeros_like(a))
    return functools.partial(fe.emd, a, b, space)


def _answer(gradient: bool) -> str:
    return "value + gradient" if gradient else "value"


def one_row(gradient: bool, limit: float, sizes: Sizes) -> Job:
    """One long row on a chain, beside numpy's formula of the value."""
    n = sizes.line
    a, b = problems.pair(1, n)
    job = Job(f"one row on a chain, {_answer(gradient)}, 1 × {n:,}", _call(a, b, fe.Chain(n), gradient))
    job.beside[NUMPY] = numpy_formula(a, b)
    job.bars = [within(limit, "× numpy's formula for the value", NUMPY)]
    return job


def few_rows(rows: int, gradient: bool, limit: float, sizes: Sizes) -> Job:
    """A few long rows on a chain, beside eight."""
    n = sizes.shape_nodes
    space = fe.Chain(n)
    job = Job(
        f"few rows on a chain, {_answer(gradient)}, {rows} × {n:,}", _call(*problems.pair(rows, n), space, gradient)
    )
    job.beside[EIGHT] = _call(*problems.pair(8, n), space, gradient)
    job.bars = [within(limit, "× the time of eight rows", EIGHT)]
    return job


def one_ring(gradient: bool, sizes: Sizes) -> Job:
    """One long row on a ring, beside a chain."""
    n = sizes.line
    a, b = problems.pair(1, n)
    job = Job(f"one row on a ring, {_answer(gradient)}, 1 × {n:,}", _call(a, b, fe.Ring(n), gradient))
    job.beside[CHAIN] = _call(a, b, fe.Chain(n), gradient)
    job.bars = [within(8, "× the chain's time", CHAIN)]
    return job


def few_on_tree(name: str, make: Callable[[], fe.Tree], rows: int, sizes: Sizes) -> Job:
    """A few rows on a tree, beside a plain loop."""
    space = make()
    a, b = problems.pair(rows, space.n)
    job = Job(f"few rows on a {name}, value + gradient, {rows} × {space.n:,}", _call(a, b, space, True))
    job.opponents[LOOP] = naive.gradient(a, b, space, 1)
    job.bars = [within(1, "× the time of a plain loop", LOOP)]
    return job

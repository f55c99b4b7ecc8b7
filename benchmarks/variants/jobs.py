"""The variants of each kernel, side by side with the shipped one, at rho = 1."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

import fastemd as fe

from ..core import naive
from ..harness import bandwidth, problems
from ..harness.measure import Call, Job
from ..harness.problems import Sizes
from . import lanes as lane
from . import scalar
from .lanes import Space

GRADIENT = fe.emd_value_and_grad


@dataclass
class Contest:
    """A job whose opponents are variants of the kernel that is shipped.

    Parameters
    ----------
    job : Job
    shipped : str
        The shipped kernel in words.
    space : Space
    a, b : ndarray
        What the answers are of.
    """

    job: Job
    shipped: str
    space: Space
    a: np.ndarray
    b: np.ndarray


def all_contests(sizes: Sizes) -> Iterator[Callable[[], Contest]]:
    """Every contest of the table, in its order, not yet made."""
    part = functools.partial
    for rows in (sizes.large, sizes.small[-1]):
        yield part(chain_value, rows, sizes)
    for rows in (sizes.large, sizes.small[-1]):
        yield part(chain_gradient, rows, sizes)
    yield part(tree_gradient, "random tree", part(problems.tree, sizes), sizes)
    yield part(tree_gradient, "ImageNet tree", fe.Tree.imagenet, sizes)
    yield part(star_gradient, sizes)
    yield part(ring_value, sizes)


def chain_value(rows: int, sizes: Sizes) -> Contest:
    """Values of a chain."""
    made = _values(f"chain, value, {rows:,} × {sizes.bins:,}", rows, fe.Chain(sizes.bins))
    made.shipped = "lanes, one pass, the next eight rows fetched"
    made.job.opponents = {
        "scalar, row after row": naive.value(made.a, made.b, made.space, 1),
        "scalar, four rows interleaved": scalar.four_rows(made.a, made.b, made.space),
        "lanes, differences first, then the sweep": _value(made, lane.CHAIN_IN_TWO_PASSES),
        "lanes, one pass, nothing fetched": _value(made, lane.CHAIN_NOT_PREFETCHED),
        "lanes, one pass, float32 differences": _value(made, lane.CHAIN_NARROW),
    }
    return made


def chain_gradient(rows: int, sizes: Sizes) -> Contest:
    """Values and gradients of a chain."""
    made = _gradients(f"chain, value + gradient, {rows:,} × {sizes.bins:,}", rows, fe.Chain(sizes.bins))
    made.shipped = "lanes, the potential kept in the buffer"
    made.job.opponents = {
        "scalar, fresh output": naive.gradient(made.a, made.b, made.space, 1),
        "scalar, reused output": scalar.reused_output(made.a, made.b, made.space),
        "lanes, the flow computed twice": _gradient(made, lane.CHAIN_RECOMPUTING),
    }
    return made


def tree_gradient(name: str, make: Callable[[], fe.Tree], sizes: Sizes) -> Contest:
    """Values and gradients of a tree."""
    space = make()
    short = contracted(space)
    what = f"{name}, value + gradient, {sizes.tree_rows:,} × {space.n:,} on {space.n_nodes:,} nodes"
    made = _gradients(what, sizes.tree_rows, space)
    made.shipped = "lanes, leaves as they are loaded, inner nodes up and down"
    made.job.opponents = {
        "scalar, all nodes up and down": scalar.reused_output(made.a, made.b, space),
        "lanes, all nodes up and down": _gradient(made, lane.TREE_NODE_BY_NODE),
        f"the same, contracted to {short.n_nodes:,} nodes": _reusing(
            made, lane.TREE_NODE_BY_NODE.space(short, GRADIENT)
        ),
        "lanes, prefix sums for inner nodes": _gradient(made, lane.TREE_BY_PREFIX_SUMS),
    }
    return made


def star_gradient(sizes: Sizes) -> Contest:
    """Values and gradients of long rows."""
    space, rows = problems.star(sizes.shape_nodes), sizes.shape_rows
    made = _gradients(f"star, value + gradient, {rows:,} × {space.n:,} on {space.n_nodes:,} nodes", rows, space)
    made.shipped = "lanes, fetched 1 KiB ahead along each row"
    made.job.opponents = {
        "lanes, the next eight rows fetched": _gradient(made, lane.TREE_PREFETCHING_NEXT_ROWS),
        "lanes, nothing fetched": _gradient(made, lane.TREE_NOT_PREFETCHED),
    }
    return made


def ring_value(sizes: Sizes) -> Contest:
    """Values of a ring, whose weighted median is most of the work."""
    rows, n = sizes.ring
    made = _values(f"ring, value, {rows:,} × {n:,}", rows, fe.Ring(n))
    made.shipped = "lanes, median enclosed by prefix sums"
    made.job.opponents = {
        "scalar, sorted": scalar.sorted_prefixes(made.a, made.b, made.space),
        "lanes, median enclosed by halving": _value(made, lane.RING_BISECTED),
    }
    return made


def contracted(space: fe.Tree) -> fe.Tree:
    """Return the tree without its bare nodes of a single child: both edges of such a node carry the same flow.

    Values and gradients stay as they are, flows and length gradients would lose entries. The root stays.
    """
    up, length, place = (x.copy() for x in space.arrays[:3])
    children = np.bincount(up[1:], minlength=len(up))
    gone = children == 1
    gone[place] = gone[0] = False
    child = np.zeros(len(up), dtype=np.intp)
    for v in range(len(up) - 1, 0, -1):
        if gone[v]:
            up[child[v]] = up[v]
            length[child[v]] += length[v]
            child[up[v]] = child[v]
        else:
            child[up[v]] = v
    number = np.cumsum(~gone) - 1
    parent = number[up[~gone]]
    parent[0] = -1
    return fe.Tree(parent, length[~gone], bins=number[place])


def _values(name: str, rows: int, space: Space) -> Contest:
    a, b = problems.pair(rows, space.n)
    job = Job(name, functools.partial(fe.emd, a, b, space), counted=2 * a.nbytes, bandwidth="read")
    job.beside, job.loops = bandwidth.loops(a, b)
    return Contest(job, "", space, a, b)


def _gradients(name: str, rows: int, space: Space) -> Contest:
    a, b = problems.pair(rows, space.n)
    job = Job(name, lambda: None, counted=3 * a.nbytes, bandwidth="triad")
    job.beside, job.loops = bandwidth.loops(a, b, np.zeros_like(a))
    made = Contest(job, "", space, a, b)
    job.fastemd = _reusing(made, space)
    return made


def _reusing(made: Contest, space: Space) -> Call:
    return functools.partial(GRADIENT, made.a, made.b, space, out=np.zeros_like(made.a))


def _value(made: Contest, variant: lane.Variant) -> Call:
    return functools.partial(fe.emd, made.a, made.b, variant.space(made.space, fe.emd))


def _gradient(made: Contest, variant: lane.Variant) -> Call:
    return _reusing(made, variant.space(made.space, GRADIENT))

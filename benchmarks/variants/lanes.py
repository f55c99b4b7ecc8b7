"""Variants of the kernels that work on eight rows in lanes.

A variant replaces the shipped kernel in a copy of a space, so that the rest of a call (checks, threads, the status of
each row, rounding) is the shipped one, and only the sweeps are compared. All are compiled for rho = 1.
"""

from __future__ import annotations

import collections
import functools
import itertools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, typeof, types

import fastemd as fe
from fastemd.cpu.compilation import array
from fastemd.cpu.exact import chain, kernels, launch, ring, sweeps, tree
from fastemd.cpu.simd.blocks import load_block
from fastemd.cpu.simd.lanes import INLINE, WIDTH, any_lane, lanes, load, no_lane, select, store
from fastemd.cpu.simd.rows import rows, store_columns, store_lanes
from fastemd.exact.fast_path import Prepared
from fastemd.formulas.edge import cost, slope

from .rows import Narrow, NotPrefetched, prefetching_next_rows

Space = fe.Chain | fe.Ring | fe.Tree
_chain_value = njit(**INLINE)(chain.value)
_tree_potential = njit(**INLINE)(tree.potential)


# Compiled anew, and not cached on disk beside the shipped ones, whose digest does not cover the sweeps below.
_value, _gradient = njit(nogil=True)(kernels.value.py_func), njit(nogil=True)(kernels.gradient.py_func)
_number = itertools.count()


class Variant:
    """A kernel that computes the answers in another way than the shipped one.

    Parameters
    ----------
    kind : str
        Of space: "chain", "ring" or "tree".
    kernel : numba function
        With the arguments of the shipped one that it stands for.
    prepare : callable, optional
        ``prepare(arrays, n)`` returns the fields of the layout, by name, as the shipped `prepare` does.
    **changed
        Sweeps (`value`, `potential`) that differ from the shipped ones.
    """

    def __init__(
        self, kind: str, kernel: Callable, prepare: Callable[..., dict] | None = None, **changed: Callable
    ) -> None:
        self._sweeps = launch.SPACES[kind]
        self._kernel, self._prepare, self._changed = kernel, prepare or self._shipped, changed

    def _shipped(self, arrays: Any, n: int) -> dict:
        return self._sweeps.prepare(arrays, n)._asdict()

    @functools.cached_property
    def _layout(self) -> type:
        """The class by which numba chooses this variant's sweeps; numba tells such classes apart by their names."""
        layout = collections.namedtuple(f"Layout{next(_number)}", self._fields)
        own = {name: getattr(self._sweeps, name) for name in ("value", "potential", "flow")}
        sweeps.register(layout, **(own | self._changed))
        return layout

    def space(self, space: Space, call: Callable[..., object]) -> Space:
        """Return a copy of a space on which `call`, a public function of fastemd, is answered by this variant."""
        copy = pickle.loads(pickle.dumps(space))
        row = np.full((1, space.n), 1.0 / space.n, dtype=np.float32)
        call(row, row, copy)
        ((key, config),) = [
            (key, config) for key, config in copy.kept.items() if isinstance(config, launch.LaunchConfig)
        ]
        prepared = self._prepare(copy.arrays, copy.n)
        self._fields = tuple(prepared)
        layout = self._layout(**prepared)
        kernel = self._kernel.compile(_signature(layout, call))
        copy.kept[key] = config._replace(kernel=kernel, space=layout, scratch=layout.slots * WIDTH)
        for usual, found in copy.kept.items():
            if isinstance(found, Prepared):
                copy.kept[usual] = found._replace(kernel=kernel, layout=layout, scratch_size=layout.slots * WIDTH)
        return copy


def _signature(layout: Any, call: Callable[..., object]) -> tuple[types.Type, ...]:
    """Return the signature of the shipped kernel for float32 rows and the literal rho = 1, with another layout."""
    rows, vector = array(np.float32, 2), array(np.float32, 1)
    flags, written = ((), (vector,)) if call is fe.emd else (launch.FLAGS["gradient"], (vector, rows))
    before = (rows, rows, types.none, types.none, typeof(layout), types.literal(1), types.float64)
    return (*before, *flags, *written, kernels.SCRATCH, types.intp, types.intp)


def _in_two_passes(inputs, space, rho, n, scratch):
    """The differences are stored into scratch, and then swept."""
    negative = no_lane()
    for j in range(0, n, WIDTH):
        block, signs = sweeps.load_differences(inputs, j, n)
        negative |= signs
        for k, difference in enumerate(block):
            store(scratch, j + k, difference)
    phi = total = lanes(0.0)
    for j in range(n):
        phi += load(scratch, j)
        total += cost(phi, space.length[j], rho)
    return total, phi, negative


def _not_prefetched(inputs, space, rho, n, scratch):
    return _chain_value(NotPrefetched(inputs), space, rho, n, scratch)


def _narrow(inputs, space, rho, n, scratch):
    return _chain_value(Narrow(inputs), space, rho, n, scratch)


CHAIN_IN_TWO_PASSES = Variant("chain", _value, value=_in_two_passes)
CHAIN_NOT_PREFETCHED = Variant("chain", _value, value=_not_prefetched)
CHAIN_NARROW = Variant("chain", _value, value=_narrow)


@njit(nogil=True)
def _recomputing(a, b, scale_a, scale_b, space, rho, tolerance, baseline, wrt, values, out, scratch, first, last):
    """A first pass over a and b finds the mean of the potential; a second one computes it again and stores it."""
    n = a.shape[1]
    for row in range(first, last, WIDTH):
        inputs = rows(a, row, last, scale_a), rows(b, row, last, scale_b)
        phi = total = f = sum_f = lanes(0.0)
        negative = no_lane()
        for j in range(0, n, WIDTH):
            block, signs = sweeps.load_differences(inputs, j, n)
            negative |= signs
            for k, difference in enumerate(block):
                sum_f += f
                phi += difference
                total += cost(phi, space.length[j + k], rho)
                f -= slope(phi, space.length[j + k], rho)
        mean = (sum_f - (space.slots - n) * f) / n
        row_status = kernels.validate(a, b, scale_a, scale_b, row, last, space, rho, tolerance, total, phi, negative)
        store_lanes(values, row, last, total + row_status)
        phi, f = lanes(0.0), -(mean + row_status)
        into = rows(out, row, last, None)
        for j in range(0, n, WIDTH):
            block, _ = sweeps.load_differences(NotPrefetched(inputs), j, n)
            for k, difference in enumerate(block):
                store(scratch, k, f)
                phi += difference
                f -= slope(phi, space.length[j + k], rho)
            store_columns(into, j, n, load_block(scratch, 0))


CHAIN_RECOMPUTING = Variant("chain", _recomputing)


def _every_node(arrays, n):
    """Return a layout with a slot for each node, bare or not, in depth-first order, and one to spare."""
    nodes = len(arrays.up)
    bin_slot = np.full(-(-n // WIDTH) * WIDTH, nodes)
    bin_slot[:n] = arrays.place
    bare = np.setdiff1d(np.arange(nodes), arrays.place, assume_unique=True)
    own = {"up": arrays.up, "length": arrays.length, "bare": bare}
    return own | {
        "max_distance": tree.prepare(arrays, n).max_distance,
        "bin_slot": bin_slot,
        "root_slot": 0,
        "slots": nodes + 1,
    }


def _node_by_node(inputs, space, rho, n, scratch):
    """The differences are stored into the slots of their nodes, and leaves are swept like all other nodes."""
    negative = no_lane()
    for node in space.bare:
        store(scratch, node, lanes(0.0))
    for j in range(0, n, WIDTH):
        block, signs = sweeps.load_differences(inputs, j, n)
        negative |= signs
        for k, difference in enumerate(block):
            store(scratch, space.bin_slot[j + k], difference)
    total = sum_f = lanes(0.0)
    for node in range(space.up.size - 1, 0, -1):
        phi = load(scratch, node)
        store(scratch, space.up[node], load(scratch, space.up[node]) + phi)
        total += cost(phi, space.length[node], rho)
        store(scratch, node, slope(phi, space.length[node], rho))
    balance = load(scratch, 0)
    store(scratch, 0, lanes(0.0))
    for node in range(1, space.up.size):
        store(scratch, node, load(scratch, node) + load(scratch, space.up[node]))
    for i in range(n):
        sum_f += load(scratch, space.bin_slot[i])
    return total, balance, negative, sum_f / n


def _runs_of_bins(arrays, n):
    """Return the shipped layout with the slots of prefix sums of the bins, and the range of bins below each inner node.

    With bins in depth-first order, prefix sum 0 being 0, the flow of an inner node is a difference of two of them.
    """
    shipped = tree.prepare(arrays, n)
    inner, bin_parent, base = len(shipped.up), shipped.bin_parent[:n], shipped.slots
    behind = np.ones(inner, dtype=np.intp)
    for node in range(inner - 1, 0, -1):
        behind[shipped.up[node]] += behind[node]
    rank = np.full(len(shipped.bin_parent), base + n + 1)
    rank[np.argsort(bin_parent, kind="stable")] = base + 1 + np.arange(n)
    begin = base + np.searchsorted(np.sort(bin_parent), np.arange(inner))
    end = base + np.searchsorted(np.sort(bin_parent), np.arange(inner) + behind)
    return shipped._asdict() | {"base": base, "rank": rank, "begin": begin, "end": end, "slots": base + n + 2}


def _by_prefix_sums(inputs, space, rho, n, scratch):
    """All flows are differences of prefix sums, so that one sweep, from the root to the leaves, is enough."""
    negative = no_lane()
    total = prefix = sum_f = lanes(0.0)
    for j in range(0, n, WIDTH):
        block, signs = sweeps.load_differences(inputs, j, n)
        negative |= signs
        for k, phi in enumerate(block):
            store(scratch, space.rank[j + k], phi)
            total += cost(phi, space.bin_length[j + k], rho)
            store(scratch, space.bin_slot[j + k], slope(phi, space.bin_length[j + k], rho))
    store(scratch, space.base, prefix)
    for i in range(space.base + 1, space.base + 1 + n):
        prefix += load(scratch, i)
        store(scratch, i, prefix)
    store(scratch, 0, lanes(0.0))
    for node in range(1, space.up.size):
        phi = load(scratch, space.end[node]) - load(scratch, space.begin[node])
        total += cost(phi, space.length[node], rho)
        store(scratch, node, load(scratch, space.up[node]) + slope(phi, space.length[node], rho))
    for i in range(n):
        f = load(scratch, space.bin_slot[i]) + load(scratch, space.bin_parent[i])
        store(scratch, space.bin_slot[i], f)
        sum_f += f
    return total, prefix, negative, sum_f / n


def _prefetching_next_rows(inputs, space, rho, n, scratch):
    return _tree_potential((prefetching_next_rows(inputs[0]), prefetching_next_rows(inputs[1])), space, rho, n, scratch)


def _tree_not_prefetched(inputs, space, rho, n, scratch):
    return _tree_potential(NotPrefetched(inputs), space, rho, n, scratch)


TREE_NODE_BY_NODE = Variant("tree", _gradient, _every_node, potential=_node_by_node)
TREE_BY_PREFIX_SUMS = Variant("tree", _gradient, _runs_of_bins, potential=_by_prefix_sums)
TREE_PREFETCHING_NEXT_ROWS = Variant("tree", _gradient, potential=_prefetching_next_rows)
TREE_NOT_PREFETCHED = Variant("tree", _gradient, potential=_tree_not_prefetched)


def _bisected(inputs, space, rho, n, scratch):
    """The circulation is enclosed by bisection until the ends of the bracket are equal but for rounding."""
    balance, negative = ring.prefixes(inputs, n, scratch)
    low, high = ring.extremes(scratch, n)
    enough = ring.EPSILON * (abs(low) + abs(high))
    while any_lane(enough < high - low):
        middle = 0.5 * (low + high)
        weight = lanes(0.0)
        for e in range(n):
            weight += select(load(scratch, e) <= middle, space.length[e], 0.0)
        reached = 0.5 * space.total_length <= weight
        high = select(reached, middle, high)
        low = select(reached, low, middle)
    total = lanes(0.0)
    for e in range(n):
        total += cost(load(scratch, e) - high, space.length[e], rho)
    return total, balance, negative


RING_BISECTED = Variant("ring", _value, value=_bisected)

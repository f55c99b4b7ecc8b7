"""Variants of the kernels that work on eight rows in lanes.

A variant takes the place of the shipped kernel in a space of its own, so that the rest of a call (checks, threads, the
verdict on each row, rounding) is the shipped one, and what is compared is the sweep alone. All are made for rho = 1.
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
from fastemd.cpu.simd.blocks import run
from fastemd.cpu.simd.lanes import INLINE, WIDTH, any_lane, get, lanes, nowhere, put, select
from fastemd.cpu.simd.rows import rows, spread, store
from fastemd.formulas.edge import cost, slope

from .rows import Narrow, Unfetched, fetching_next_rows

Space = fe.Chain | fe.Ring | fe.Tree
_chain_value = njit(**INLINE)(chain.value)
_tree_potential = njit(**INLINE)(tree.potential)


# Compiled anew, and not kept on disk beside the shipped ones, whose files know nothing of the sweeps below.
_value, _gradient = njit(nogil=True)(kernels.value.py_func), njit(nogil=True)(kernels.gradient.py_func)
_number = itertools.count()


class Variant:
    """A kernel that answers in another way than the shipped one.

    Parameters
    ----------
    kind : str
        Of space: "chain", "ring" or "tree".
    kernel : numba function
        With the arguments of the shipped one that it stands for.
    prepare : callable, optional
        ``prepare(arrays, n)`` gives what the sweeps read, by name, as the room's own `prepare` does.
    **changed
        Sweeps (`value`, `potential`) that differ from the room's own.
    """

    def __init__(
        self, kind: str, kernel: Callable, prepare: Callable[..., dict] | None = None, **changed: Callable
    ) -> None:
        self._room = launch.SPACES[kind]
        self._kernel, self._prepare, self._changed = kernel, prepare or self._shipped, changed

    def _shipped(self, arrays: Any, n: int) -> dict:
        return self._room.prepare(arrays, n)._asdict()

    @functools.cached_property
    def _layout(self) -> type:
        """What tells numba that this variant's sweeps are meant; it knows such classes by their names alone."""
        layout = collections.namedtuple(f"Layout{next(_number)}", self._fields)
        own = {name: getattr(self._room, name) for name in ("value", "potential", "flow")}
        sweeps.furnish(layout, **(own | self._changed))
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
        return copy


def _signature(layout: Any, call: Callable[..., object]) -> tuple[types.Type, ...]:
    """The types for which the shipped kernel is compiled too: float32 rows, and rho = 1 known to the compiler."""
    rows, vector = array(np.float32, 2), array(np.float32, 1)
    flags, written = ((), (vector,)) if call is fe.emd else (launch.FLAGS["gradient"], (vector, rows))
    before = (rows, rows, types.none, types.none, typeof(layout), types.literal(1), types.float64)
    return (*before, *flags, *written, launch.SCRATCH, types.intp, types.intp)


def _in_two_passes(source, space, rho, n, buffer):
    """The differences are put into the buffer, and then swept."""
    negative = nowhere()
    for j in range(0, n, WIDTH):
        columns, signs = sweeps.block(source, j, n)
        negative |= signs
        for k, difference in enumerate(columns):
            put(buffer, j + k, difference)
    phi = total = lanes(0.0)
    for j in range(n):
        phi += get(buffer, j)
        total += cost(phi, space.length[j], rho)
    return total, (phi, negative)


def _unfetched(source, space, rho, n, buffer):
    return _chain_value(Unfetched(source), space, rho, n, buffer)


def _narrow(source, space, rho, n, buffer):
    return _chain_value(Narrow(source), space, rho, n, buffer)


CHAIN_IN_TWO_PASSES = Variant("chain", _value, value=_in_two_passes)
CHAIN_UNFETCHED = Variant("chain", _value, value=_unfetched)
CHAIN_NARROW = Variant("chain", _value, value=_narrow)


@njit(nogil=True)
def _recomputing(a, b, weigh_a, weigh_b, space, rho, tolerance, baseline, wrt, values, out, buffer, first, last):
    """A first pass over a and b finds the mean of the potential; a second one computes it again and stores it."""
    n = a.shape[1]
    for row in range(first, last, WIDTH):
        source = rows(a, row, last, weigh_a), rows(b, row, last, weigh_b)
        phi = total = f = together = lanes(0.0)
        negative = nowhere()
        for j in range(0, n, WIDTH):
            columns, signs = sweeps.block(source, j, n)
            negative |= signs
            for k, difference in enumerate(columns):
                together += f
                phi += difference
                total += cost(phi, space.length[j + k], rho)
                f -= slope(phi, space.length[j + k], rho)
        mean = (together - (space.slots - n) * f) / n
        found = phi, negative
        verdict = kernels.judge(a, b, weigh_a, weigh_b, row, last, space, rho, tolerance, total, found)
        spread(values, row, last, total + verdict)
        phi, f = lanes(0.0), -(mean + verdict)
        into = rows(out, row, last, None)
        for j in range(0, n, WIDTH):
            columns, _ = sweeps.block(Unfetched(source), j, n)
            for k, difference in enumerate(columns):
                put(buffer, k, f)
                phi += difference
                f -= slope(phi, space.length[j + k], rho)
            store(into, j, n, run(buffer, 0))


CHAIN_RECOMPUTING = Variant("chain", _recomputing)


def _every_node(arrays, n):
    """A slot for each node, bare or not, in depth-first order, and one to spare."""
    nodes = len(arrays.up)
    place = np.full(-(-n // WIDTH) * WIDTH, nodes)
    place[:n] = arrays.place
    bare = np.setdiff1d(np.arange(nodes), arrays.place, assume_unique=True)
    own = {"up": arrays.up, "length": arrays.length, "bare": bare}
    return own | {"reach": tree.prepare(arrays, n).reach, "place": place, "root": 0, "slots": nodes + 1}


def _node_by_node(source, space, rho, n, buffer):
    """The differences are put where their nodes are, and leaves are swept like all other nodes."""
    negative = nowhere()
    for node in space.bare:
        put(buffer, node, lanes(0.0))
    for j in range(0, n, WIDTH):
        columns, signs = sweeps.block(source, j, n)
        negative |= signs
        for k, difference in enumerate(columns):
            put(buffer, space.place[j + k], difference)
    total = together = lanes(0.0)
    for node in range(space.up.size - 1, 0, -1):
        phi = get(buffer, node)
        put(buffer, space.up[node], get(buffer, space.up[node]) + phi)
        total += cost(phi, space.length[node], rho)
        put(buffer, node, slope(phi, space.length[node], rho))
    balance = get(buffer, 0)
    put(buffer, 0, lanes(0.0))
    for node in range(1, space.up.size):
        put(buffer, node, get(buffer, node) + get(buffer, space.up[node]))
    for i in range(n):
        together += get(buffer, space.place[i])
    return total, (balance, negative), together / n


def _runs_of_bins(arrays, n):
    """The shipped layout, and where prefix sums of the bins lie, and the run of bins below each inner node.

    With bins in depth-first order, prefix sum 0 being 0, the flow of an inner node is a difference of two of them.
    """
    shipped = tree.prepare(arrays, n)
    inner, onto, base = len(shipped.up), shipped.onto[:n], shipped.slots
    behind = np.ones(inner, dtype=np.intp)
    for node in range(inner - 1, 0, -1):
        behind[shipped.up[node]] += behind[node]
    rank = np.full(len(shipped.onto), base + n + 1)
    rank[np.argsort(onto, kind="stable")] = base + 1 + np.arange(n)
    begin = base + np.searchsorted(np.sort(onto), np.arange(inner))
    end = base + np.searchsorted(np.sort(onto), np.arange(inner) + behind)
    return shipped._asdict() | {"base": base, "rank": rank, "begin": begin, "end": end, "slots": base + n + 2}


def _by_prefix_sums(source, space, rho, n, buffer):
    """All flows are differences of prefix sums, so that one walk, from the root to the leaves, is enough."""
    negative = nowhere()
    total = prefix = together = lanes(0.0)
    for j in range(0, n, WIDTH):
        columns, signs = sweeps.block(source, j, n)
        negative |= signs
        for k, phi in enumerate(columns):
            put(buffer, space.rank[j + k], phi)
            total += cost(phi, space.hang[j + k], rho)
            put(buffer, space.place[j + k], slope(phi, space.hang[j + k], rho))
    put(buffer, space.base, prefix)
    for i in range(space.base + 1, space.base + 1 + n):
        prefix += get(buffer, i)
        put(buffer, i, prefix)
    put(buffer, 0, lanes(0.0))
    for node in range(1, space.up.size):
        phi = get(buffer, space.end[node]) - get(buffer, space.begin[node])
        total += cost(phi, space.length[node], rho)
        put(buffer, node, get(buffer, space.up[node]) + slope(phi, space.length[node], rho))
    for i in range(n):
        f = get(buffer, space.place[i]) + get(buffer, space.onto[i])
        put(buffer, space.place[i], f)
        together += f
    return total, (prefix, negative), together / n


def _fetching_next_rows(source, space, rho, n, buffer):
    return _tree_potential((fetching_next_rows(source[0]), fetching_next_rows(source[1])), space, rho, n, buffer)


def _tree_unfetched(source, space, rho, n, buffer):
    return _tree_potential(Unfetched(source), space, rho, n, buffer)


TREE_NODE_BY_NODE = Variant("tree", _gradient, _every_node, potential=_node_by_node)
TREE_BY_PREFIX_SUMS = Variant("tree", _gradient, _runs_of_bins, potential=_by_prefix_sums)
TREE_FETCHING_NEXT_ROWS = Variant("tree", _gradient, potential=_fetching_next_rows)
TREE_UNFETCHED = Variant("tree", _gradient, potential=_tree_unfetched)


def _bisected(source, space, rho, n, buffer):
    """The circulation is enclosed by halving until float64 can tell its ends apart no more."""
    balance, negative = ring.prefixes(source, n, buffer)
    low, high = ring.extremes(buffer, n)
    enough = ring.EPSILON * (abs(low) + abs(high))
    while any_lane(enough < high - low):
        middle = 0.5 * (low + high)
        weight = lanes(0.0)
        for e in range(n):
            weight += select(get(buffer, e) <= middle, space.length[e], 0.0)
        reached = 0.5 * space.reach <= weight
        high = select(reached, middle, high)
        low = select(reached, low, middle)
    total = lanes(0.0)
    for e in range(n):
        total += cost(get(buffer, e) - high, space.length[e], rho)
    return total, (balance, negative)


RING_BISECTED = Variant("ring", _value, value=_bisected)

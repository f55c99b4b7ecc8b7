"""The tree: a walk around it, as a row of tokens.

The walk goes depth first around the contracted tree and meets every bin once and every edge above an inner node twice:
on the way down (it *opens*) and on the way back (it *closes*). So it is a path, whatever the shape or the depth of the
tree, and prefix sums along it are all there is to do, in tiles, as on a chain:

- The flow over an edge is what the differences of the bins between its two tokens add up to: the prefix sum where it
  closes less that where it opened. Where none of these bins holds a difference it is exactly 0, which rounding in the
  two prefix sums would hide; so the last token with a difference is followed along.
- The potential of a bin is the sum of the slopes of the edges that are open there: a slope is added where its edge
  opens and taken off where it closes.

A slot of scratch for each inner edge holds the prefix sum from its opening to its closing, and from then on its slope
(or its flow). Trailing tokens stand for nothing, so that there are whole fours.
"""

from typing import NamedTuple

import numpy as np

from ..contraction import contract
from ..laws import cost, slope
from . import target
from .path import lengths_of, stepping
from .rooms import Room
from .target import FOUR, cuda, device, types

BIN, OPEN, CLOSE, NOTHING = 0, 1, 2, 3  # the lower two bits of a token; the others are the number of a bin or edge
KIND = 3


class Layout(NamedTuple):
    """Addresses of arrays by token, of one by edge, and how many of each there are.

    codes : what a token is
    lengths : of the edge that a bin hangs by, or that closes
    below, since : where an edge closes, the number of bins below it, and the token that opened it
    edges : the flow that each edge of the tree carries, a bin's, an inner edge's or nothing, coded as tokens are
    tokens, count : how many tokens and edges
    """

    codes: int
    lengths: int
    below: int
    since: int
    edges: int
    tokens: int
    count: int


def prepare(arrays, n):
    """As in `chain`."""
    tree = contract(arrays, n)
    inner = np.arange(1, len(tree.up))
    at = tree.at[1:]
    kinds = np.repeat([OPEN, BIN, CLOSE], [len(inner), n, len(inner)])
    where = np.concatenate([at, arrays.place, _last(arrays.up)[at]])
    inward = np.concatenate([np.zeros(len(inner) + n, np.intp), -at])
    rank = np.array([1, 0, 2, 3])[kinds]  # at one node: open, then the bin, then close
    order = np.lexsort((inward, rank, where))
    number = np.concatenate([inner - 1, np.arange(n), inner - 1])[order]
    length = np.concatenate([np.zeros(len(inner)), tree.hang, tree.length[1:]])[order]
    kind = kinds[order]
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    opened, closed = place[: len(inner)], place[len(inner) + n :]
    bins = np.concatenate([[0], np.cumsum(kind == BIN)])
    below, since = np.zeros((2, len(order)), np.intp)
    below[closed] = bins[closed] - bins[opened]
    since[closed] = opened
    edge = np.where(tree.edge < len(tree.up), (tree.edge - 1) << 2 | OPEN, (tree.edge - len(tree.up)) << 2 | BIN)
    edge[(tree.edge == 0) | (tree.edge == len(tree.up) + n)] = NOTHING
    tokens = -(-len(order) // FOUR) * FOUR
    arrays = (
        _padded(number << 2 | kind, tokens, NOTHING, np.int32),
        _padded(length, tokens, 0.0, np.float64),
        _padded(below, tokens, 0, np.int32),
        _padded(since, tokens, 0, np.int32),
        _padded(edge, -(-len(edge) // FOUR) * FOUR, NOTHING, np.int32),
    )
    return arrays, (tokens, len(edge)), len(order), len(inner)


def _last(up):
    """The last position in the subtree of each."""
    last = list(range(len(up)))
    parents = up.tolist()
    for k in range(len(up) - 1, 0, -1):
        if last[parents[k]] < last[k]:
            last[parents[k]] = last[k]
    return np.array(last)


def _padded(vector, size, filler, dtype):
    whole = np.full(size, filler, dtype)
    whole[: len(vector)] = vector
    return whole


@device
def number_of(token):
    """The number of the bin or edge that a token stands for, as an address is counted."""
    return types.int64(token >> 2)


@device
def four_of(array, t, count, found):
    """Fill `found` with entries t..t+3 of an array of int32, or with tokens that stand for nothing."""
    found[0] = found[1] = found[2] = found[3] = NOTHING
    if t < count:
        found[0], found[1], found[2], found[3] = target.load_four(array + 4 * t, types.int32)


def room(source, team, scratch):
    """The sweeps of a tree; see `fastemd.cuda.rooms`."""
    own, tile = stepping(team), FOUR * team.size
    get, put = scratch.get, scratch.put

    @device
    def differences(row, token, length, t, phi, touched):
        """Put prefix sums along four tokens into phi, and into `touched` which token last held a difference.

        Returns the mass met, and the costs and slopes of the edges that the bins hang by.
        """
        mass = total = slopes = upto = 0.0
        latest = -1.0
        for k in range(FOUR):
            if token[k] & KIND == BIN:
                d, met = source.one(row.source, number_of(token[k]), row.n)
                mass += met
                total += cost(d, length[k], row.rho)
                slopes += slope(d, length[k], row.rho)
                upto += d
                if d != 0.0:
                    latest = float(t + k)
            phi[k] = upto
            touched[k] = latest
        return mass, total, slopes

    def climbing(keep_slopes):
        """The sweep that finds the flows of inner edges, and leaves these or their slopes in scratch."""

        @device
        def climb(row, phi):
            space = row.space
            token = cuda.local.array(FOUR, types.int32)
            under = cuda.local.array(FOUR, types.int32)
            opener = cuda.local.array(FOUR, types.int32)
            length = cuda.local.array(FOUR, types.float64)
            touched = cuda.local.array(FOUR, types.float64)
            total = balance = mass = potentials = 0.0
            latest = -1.0
            for first in range(0, space.tokens, tile):
                t = own(first)
                four_of(space.codes, t, space.tokens, token)
                four_of(space.since, t, space.tokens, opener)
                lengths_of(space.lengths, t, space.tokens, length)
                met, costs, together = differences(row, token, length, t, phi, touched)
                before, whole = team.scan(phi[FOUR - 1])
                before += balance
                earlier, newest = team.latest(touched[FOUR - 1])
                earlier = max(earlier, latest)
                for k in range(FOUR):
                    if token[k] & KIND == OPEN:
                        put(row.slot, number_of(token[k]), before + phi[k])
                team.meet()
                if keep_slopes:
                    four_of(space.below, t, space.tokens, under)
                for k in range(FOUR):
                    if token[k] & KIND == CLOSE:
                        edge = number_of(token[k])
                        flow = 0.0
                        if max(earlier, touched[k]) > opener[k]:
                            flow = before + phi[k] - get(row.slot, edge)
                        costs += cost(flow, length[k], row.rho)
                        if keep_slopes:
                            flow = slope(flow, length[k], row.rho)
                            together += flow * under[k]
                        put(row.slot, edge, flow)
                balance += whole
                latest = max(latest, newest)
                total += team.total(costs)
                mass += team.total(met)
                if keep_slopes:
                    potentials += team.total(together)
            team.meet()
            return total, (balance, mass), potentials

        return climb

    keep_flows, keep_slopes = climbing(False), climbing(True)

    @device
    def value(row, phi):
        total, found, _ = keep_flows(row, phi)
        return total, found, 0.0

    @device
    def potential(row, phi):
        total, found, potentials = keep_slopes(row, phi)
        return total, found, 0.0, potentials / row.n, 0.0

    def visiting(consume):
        @device
        def visit(row, state, o, phi):
            space = row.space
            token = cuda.local.array(FOUR, types.int32)
            length = cuda.local.array(FOUR, types.float64)
            height = found = 0.0
            for first in range(0, space.tokens, tile):
                t = own(first)
                four_of(space.codes, t, space.tokens, token)
                lengths_of(space.lengths, t, space.tokens, length)
                upto = 0.0
                for k in range(FOUR):
                    kind, number = token[k] & KIND, number_of(token[k])
                    phi[k] = upto
                    if kind == OPEN:
                        upto += get(row.slot, number)
                    elif kind == CLOSE:
                        upto -= get(row.slot, number)
                    elif kind == BIN:
                        phi[k] += slope(source.one(row.source, number, row.n)[0], length[k], row.rho)
                before, whole = team.scan(upto)
                before += height
                for k in range(FOUR):
                    if token[k] & KIND == BIN:
                        found += consume.one(row, o, number_of(token[k]), before + phi[k])
                height += whole
            return found

        return visit

    def listing(emit):
        @device
        def edges_of(row, state, o, phi):
            space = row.space
            token = cuda.local.array(FOUR, types.int32)
            for first in range(0, space.count, tile):
                four_of(space.edges, own(first), space.count, token)
                for k in range(FOUR):
                    kind, number = token[k] & KIND, number_of(token[k])
                    flow = 0.0
                    if kind == BIN:
                        flow, _ = source.one(row.source, number, row.n)
                    elif kind == OPEN:
                        flow = get(row.slot, number)
                    emit.one(row, o, own(first) + k, flow)

        return edges_of

    return Room(value=value, potential=potential, visiting=visiting, listing=listing)

"""The tokens of a tree: what the walk around it meets, and the arrays that say so on a device; see `tree`."""

from typing import NamedTuple

import numpy as np

from ...spaces.contraction import contract
from ..primitives.intrinsics import device, types
from . import path

BIN, OPEN, CLOSE, NOTHING = 0, 1, 2, 3  # the lower two bits of a token; the others are the number of a bin or edge
KIND = 3


class Layout(NamedTuple):
    """Addresses of arrays by token, of one by edge, all interleaved, and how many of each there are.

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


def items(arrays, n):
    """As in `chain`: tokens, and inner edges."""
    inner = len(contract(arrays, n).up) - 1
    return n + 2 * inner, inner


def prepare(arrays, n, team):
    """As in `chain`."""
    tree = contract(arrays, n)
    inner = np.arange(1, len(tree.up))
    at = tree.position[1:]
    kinds = np.repeat([OPEN, BIN, CLOSE], [len(inner), n, len(inner)])
    where = np.concatenate([at, arrays.place, _last(arrays.up)[at]])
    inward = np.concatenate([np.zeros(len(inner) + n, np.intp), -at])
    rank = np.array([1, 0, 2, 3])[kinds]  # at one node: open, then the bin, then close
    order = np.lexsort((inward, rank, where))
    number = np.concatenate([inner - 1, np.arange(n), inner - 1])[order]
    length = np.concatenate([np.zeros(len(inner)), tree.bin_length, tree.length[1:]])[order]
    kind = kinds[order]
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    opened, closed = place[: len(inner)], place[len(inner) + n :]
    bins = np.concatenate([[0], np.cumsum(kind == BIN)])
    below, since = np.zeros((2, len(order)), np.int32)
    below[closed] = bins[closed] - bins[opened]
    since[closed] = opened
    edge = np.where(tree.edge < len(tree.up), (tree.edge - 1) << 2 | OPEN, (tree.edge - len(tree.up)) << 2 | BIN)
    edge[(tree.edge == 0) | (tree.edge == len(tree.up) + n)] = NOTHING
    arrays = (
        path.interleaved((number << 2 | kind).astype(np.int32), team, NOTHING),
        path.interleaved(length, team, 0.0),
        path.interleaved(below, team, 0),
        path.interleaved(since, team, 0),
        path.interleaved(edge.astype(np.int32), team, NOTHING),
    )
    return arrays, (len(order), len(edge))


def _last(up):
    """The last position in the subtree of each."""
    last = list(range(len(up)))
    parents = up.tolist()
    for k in range(len(up) - 1, 0, -1):
        if last[parents[k]] < last[k]:
            last[parents[k]] = last[k]
    return np.array(last)


@device
def number_of(token):
    """The number of the bin or edge that a token stands for, as an address is counted."""
    return types.int64(token >> 2)

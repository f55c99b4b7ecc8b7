"""The Euler tour of a tree as arrays on the device: a row of tokens (`fastemd.cuda.exact.long_tree`)."""

from typing import NamedTuple

import numpy as np

from ...spaces.contraction import contract
from ..primitives.intrinsics import device, types
from .path import interleaved

BIN, OPEN, CLOSE, NOTHING = 0, 1, 2, 3  # the lower two bits of a token; the others are the number of a bin or edge
KIND = 3


class Layout(NamedTuple):
    """Addresses of interleaved arrays, by token and (`edge_tokens`) by edge; and their lengths.

    tokens : BIN, OPEN, CLOSE or NOTHING, with a number
    lengths : of the edge above a bin, or of the edge that closes
    bins_below : where an edge closes, the number of bins below it
    opened_at : where an edge closes, the position of the token that opened it
    edge_tokens : of an edge of the tree, BIN or OPEN with the number of the bin or inner edge below it, or NOTHING
    token_count, edge_count
    """

    tokens: int
    lengths: int
    bins_below: int
    opened_at: int
    edge_tokens: int
    token_count: int
    edge_count: int


def columns(arrays, n):
    """As in `chain`: the columns are tokens."""
    return n + 2 * slots(arrays, n, None)


def slots(arrays, n, group):
    """As in `chain`: the slots are inner edges."""
    return len(contract(arrays, n).up) - 1


def prepare(arrays, n, group):
    """As in `chain`."""
    tree = contract(arrays, n)
    inner = np.arange(1, len(tree.up))
    at = tree.position[1:]
    kinds = np.repeat([OPEN, BIN, CLOSE], [len(inner), n, len(inner)])
    where = np.concatenate([at, arrays.place, last_below(arrays.up)[at]])
    inward = np.concatenate([np.zeros(len(inner) + n, np.intp), -at])
    priority = np.array([1, 0, 2, 3])[kinds]  # at one node: open, then the bin, then close
    order = np.lexsort((inward, priority, where))
    number = np.concatenate([inner - 1, np.arange(n), inner - 1])[order]
    length = np.concatenate([np.zeros(len(inner)), tree.bin_length, tree.length[1:]])[order]
    kind = kinds[order]
    position = np.empty(len(order), np.intp)
    position[order] = np.arange(len(order))
    opened, closed = position[: len(inner)], position[len(inner) + n :]
    bins = np.concatenate([[0], np.cumsum(kind == BIN)])
    bins_below, opened_at = np.zeros((2, len(order)), np.int32)
    bins_below[closed] = bins[closed] - bins[opened]
    opened_at[closed] = opened
    edge = np.where(tree.edge < len(tree.up), (tree.edge - 1) << 2 | OPEN, (tree.edge - len(tree.up)) << 2 | BIN)
    edge[(tree.edge == 0) | (tree.edge == len(tree.up) + n)] = NOTHING
    arrays = (
        interleaved((number << 2 | kind).astype(np.int32), group, NOTHING),
        interleaved(length, group, 0.0),
        interleaved(bins_below, group, 0),
        interleaved(opened_at, group, 0),
        interleaved(edge.astype(np.int32), group, NOTHING),
    )
    return arrays, (len(order), len(edge))


def last_below(up):
    """Return the last position in the subtree of each node."""
    last = list(range(len(up)))
    parents = up.tolist()
    for k in range(len(up) - 1, 0, -1):
        if last[parents[k]] < last[k]:
            last[parents[k]] = last[k]
    return np.array(last)


@device
def number_of(token):
    """The number of the bin or edge of a token, as int64."""
    return types.int64(token >> 2)

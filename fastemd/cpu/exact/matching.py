"""The plan on a tree, a matching of surplus and deficit from the leaves to the root."""

import numpy as np
from numba import njit


@njit(nogil=True)
def match(difference, up, bin_node, source, sink, amount):
    """Match the surplus of some bins with the deficit of others; return how many entries were written.

    `difference` (n,) is a - b, `up` gives each node's parent, which has a smaller number, `bin_node` each bin's node.
    The unmatched bins of a node are a linked list, all of one sign. Those of a child are first matched with those of
    its parent, then appended to them, so mass moves over an edge in the direction of its net flow only.
    """
    n = difference.size
    remaining = np.abs(difference)
    next_bin = np.full(n, -1)
    first = np.full(up.size, -1)
    last = np.full(up.size, -1)
    for i in range(n):
        if remaining[i] > 0.0:
            first[bin_node[i]] = last[bin_node[i]] = i
    count = 0
    for node in range(up.size - 1, 0, -1):
        above = up[node]
        while (
            first[node] >= 0
            and first[above] >= 0
            and (difference[first[node]] > 0.0) != (difference[first[above]] > 0.0)
        ):
            i, j = first[node], first[above]
            source[count], sink[count] = (i, j) if difference[i] > 0.0 else (j, i)
            amount[count] = min(remaining[i], remaining[j])
            remaining[i], remaining[j] = remaining[i] - amount[count], remaining[j] - amount[count]
            count += 1
            if remaining[i] == 0.0:
                first[node] = next_bin[i]
            if remaining[j] == 0.0:
                first[above] = next_bin[j]
        if first[node] >= 0:
            if first[above] < 0:
                first[above] = first[node]
            else:
                next_bin[last[above]] = first[node]
            last[above] = last[node]
    return count

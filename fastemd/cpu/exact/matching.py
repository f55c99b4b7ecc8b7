"""The plan: who sends how much to whom, matched from the leaves to the root."""

import numpy as np
from numba import njit


@njit(nogil=True)
def match(difference, up, place, source, sink, amount):
    """Match the surplus of some bins with what others lack; return how many entries were written.

    `difference` (n,) is a - b, `up` gives each node's parent, which has a smaller number, `place` each bin's node.
    A node's unmatched bins are a linked list, all of one sign: what comes up from a child is first matched with what
    is there. So an edge is only ever crossed by its net flow.
    """
    n = difference.size
    left = np.abs(difference)
    following = np.full(n, -1)
    first = np.full(up.size, -1)
    last = np.full(up.size, -1)
    for i in range(n):
        if left[i] > 0.0:
            first[place[i]] = last[place[i]] = i
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
            amount[count] = min(left[i], left[j])
            left[i], left[j] = left[i] - amount[count], left[j] - amount[count]
            count += 1
            if left[i] == 0.0:
                first[node] = following[i]
            if left[j] == 0.0:
                first[above] = following[j]
        if first[node] >= 0:
            if first[above] < 0:
                first[above] = first[node]
            else:
                following[last[above]] = first[node]
            last[above] = last[node]
    return count

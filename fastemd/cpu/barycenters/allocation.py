"""The exact barycentre on a tree, for piecewise linear costs of edges: they are added up from the leaves to the root.

The least cost of a subtree is a convex, piecewise linear function of its mass. It is kept as its segments, in the order
of their slopes, each with the bin that its mass goes to. Subtrees side by side merge their segments by slope. The edge
above adds its own slopes, which splits segments at its breakpoints. At the root the first segments, as many as the mass
fills, say how much each bin holds.
"""

import numpy as np
from numba import njit


@njit(nogil=True)
def subtree_masses(up, place, rows, out):
    """Write the mass below each node (nodes, N) of the rows (N, n); `up` gives parents, which come first."""
    out[:] = 0.0
    for i in range(rows.shape[0]):
        for j in range(place.size):
            out[place[j], i] = rows[i, j]
    for k in range(up.size - 1, 0, -1):
        below, above = out[k], out[up[k]]
        for i in range(rows.shape[0]):
            above[i] += below[i]


@njit(nogil=True)
def merge(slope, length, owner, first, middle, last, slope_to, length_to, owner_to):
    """Merge the segments first..middle and middle..last, each in the order of their slopes, into other arrays."""
    i, j = first, middle
    for k in range(first, last):
        if i < middle and (j >= last or slope[i] <= slope[j]):
            source = i
            i += 1
        else:
            source = j
            j += 1
        slope_to[k], length_to[k], owner_to[k] = slope[source], length[source], owner[source]


@njit(nogil=True)
def merge_lists(segments, spare, starts, top, mass):
    """Merge the lists that begin at `starts` into one in `spare`, of at most the mass; return where it ends."""
    slope, length, owner = segments
    begin = starts[0]
    bounds = np.append(starts, top)
    count = starts.size
    while True:
        merged = 0
        for pair in range(0, count, 2):
            middle, last = bounds[pair + 1], bounds[min(pair + 2, count)]
            merge(slope, length, owner, bounds[pair], middle, last, *spare)
            bounds[merged] = bounds[pair]
            merged += 1
        bounds[merged] = top
        count = merged
        if count == 1:
            break
        slope[begin:top] = spare[0][begin:top]
        length[begin:top] = spare[1][begin:top]
        owner[begin:top] = spare[2][begin:top]
    remaining = mass
    for k in range(begin, top):
        if spare[1][k] >= remaining:
            spare[1][k] = remaining
            return k + 1
        remaining -= spare[1][k]
    return top


@njit(nogil=True)
def add_edge(spare, segments, begin, top, edge, positions, weights, kept):
    """Write the segments begin..top of `spare`, with the cost of an edge added; return where they end.

    The cost is edge * sum_i w_i * abs(x - positions[i]), interpolated between the breakpoints that are `kept`.
    `weights` are cumulative.
    """
    slope, length, owner = spare
    slope_to, length_to, owner_to = segments
    count = positions.size
    j, own, until = next_piece(-1, edge, positions, weights, kept)
    place, written = 0.0, begin
    for k in range(begin, top):
        left = length[k]
        while left > 0.0:
            while j < count and until <= place:
                j, own, until = next_piece(j, edge, positions, weights, kept)
            rest = until - place if j < count else left
            piece = min(left, rest)
            slope_to[written], length_to[written], owner_to[written] = slope[k] + own, piece, owner[k]
            written += 1
            left -= piece
            place = until if j < count and piece == rest else place + piece
    return written


@njit(nogil=True)
def next_piece(j, edge, positions, weights, kept):
    """Return the next kept breakpoint after j, the slope of the cost between the two, and where that piece ends.

    The first and the last breakpoint are always kept: beyond them the slopes are -edge and edge.
    """
    count = positions.size
    rise, run, slope = 0.0, 0.0, -1.0
    for k in range(j + 1, count):
        if k > 0 and j >= 0:
            fine, step = 2.0 * weights[k - 1] - 1.0, positions[k] - positions[k - 1]
            if step > 0.0:
                # One piece has its own slope, bit for bit; several have their mean.
                slope = fine if run == 0.0 else (rise + fine * step) / (run + step)
                rise += fine * step
                run += step
        if kept[k]:
            while k + 1 < count and positions[k + 1] == positions[k]:
                k += 1
            return k, edge * slope, positions[k]
    return count, edge, 0.0


@njit(nogil=True)
def allocate(up, length, bin_at, children, positions, weights, kept, mass, capacity, masses):
    """Write how much mass each bin (n,) holds in a tree of the least cost.

    `up` gives parents, which come first, `bin_at` the bin of each node or -1, `children` their numbers, `positions` and
    `weights` (nodes, N) the breakpoints of each edge's cost and their cumulative weights, and `kept` which of them
    count. `capacity` is a bound of the number of segments.
    """
    segments = (np.empty(capacity), np.empty(capacity), np.empty(capacity, np.intp))
    spare = (np.empty(capacity), np.empty(capacity), np.empty(capacity, np.intp))
    starts = np.empty(up.size + 2, np.intp)
    lists, top = 0, 0
    masses[:] = 0.0
    for k in range(up.size - 1, -1, -1):
        first_list = lists - children[k]
        if bin_at[k] >= 0:
            starts[lists] = top
            lists += 1
            segments[0][top], segments[1][top], segments[2][top] = 0.0, mass, bin_at[k]
            top += 1
        if first_list == lists:  # a leaf without a bin, through whose edge nothing flows
            starts[lists] = top
            lists += 1
            continue
        top = merge_lists(segments, spare, starts[first_list:lists], top, mass)
        lists = first_list + 1
        if k > 0:
            top = add_edge(spare, segments, starts[first_list], top, length[k], positions[k], weights[k], kept[k])
    for k in range(top):
        masses[spare[2][k]] += spare[1][k]

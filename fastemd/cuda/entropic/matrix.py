"""Sums over a cost matrix: products with exp(-cost / reg), or exponentials made anew where these leave float64.

A block works on a few rows together, so that each entry of the matrix is loaded once for all of them. A thread has one
bin of the answer at a time and goes over the bins of the other side; neighbouring threads load neighbouring entries.
What all threads need, the weights of the block's rows, waits in shared memory, a tile of them after the other. So a
sum is made in one order, which depends on the row alone.
"""

import functools
import math
from typing import Any, NamedTuple

from ..primitives import intrinsics
from ..primitives.dtypes import format_of
from ..primitives.intrinsics import Parts, cuda, device, types
from ..primitives.memory import DOUBLE
from ..primitives.thread_group import MEETING, team
from .logsumexp import growth, logarithm, narrow_growth
from .state import OMEGA, TOP, at, note, told

# Rows of a block, for products in float32, in float64, and for exponentials: as many sums as a thread holds.
ROWS = {"float32": 8, "float64": 4, "narrow": 4, "wide": 2}
TILE = 64  # bins whose weights are in shared memory together; sums of so many in float32 are added up in float64
AHEAD = 8  # entries of the matrix that a thread asks for together, to wait for them once
CERTAIN = {"narrow": 1e20, "wide": 1e280}  # a sum between this and its inverse has lost nothing to over- or underflow


class Matrix(NamedTuple):
    """What a kernel reads of a cost matrix, for its cost: address, and the least entry."""

    cost: Any
    least: Any


def shared_bytes(form):
    """The shared memory of a block, but for what its team needs."""
    return ROWS[form] * TILE * (4 if form == "float32" else 8)


class Sums(Parts):
    """What a block does to its rows; all threads call both, and may read each other's results after `half`.

    rows                                            of a block
    half(room, base, count, own, other, law, ground)    leave in `room.sums` ln of the sums at the bins of `own`
    cost(room, row, a, b, law, ground)              a thread's share of the transport cost of a row
    """

    rows: int
    half: Any
    cost: Any


def of_matrix(form, size):
    """The `Sums` of a form ("float32", "float64": products; "narrow", "wide": exponentials), for a block's threads."""
    narrow = form in ("float32", "narrow")
    make = products if form.startswith("float") else softened
    return Sums(rows=ROWS[form], half=make(form, size), cost=_cost(narrow, size))


def products(form, size):
    """The half step by products: e**(x - top) times the matrix, and ln of it plus top."""
    numbers, kind = format_of(form), getattr(types, form)
    word, count_rows, tile = numbers.size, ROWS[form], TILE
    begin, ahead = 8 * MEETING // word, AHEAD
    most, write = team(size, 1).most, numbers.write

    @device
    def weigh(room, row, other):
        masses, pots = at(other.log_mass, row, other.bins), at(other.pot, row, other.bins)
        top = -math.inf
        for j in range(cuda.threadIdx.x, other.bins, size):
            top = max(top, DOUBLE.read(masses + 8 * j) + DOUBLE.read(pots + 8 * j))
        top = most(top)
        weights = room.weights + word * row * room.width
        for j in range(cuda.threadIdx.x, other.bins, size):
            write(weights + word * j, math.exp(DOUBLE.read(masses + 8 * j) + DOUBLE.read(pots + 8 * j) - top))
        if cuda.threadIdx.x == 0:
            note(room, TOP, row, top)

    @device
    def stage(room, base, count, first, bins):
        tiles = cuda.shared.array(0, kind)
        for item in range(cuda.threadIdx.x, count_rows * tile, size):
            r = item // tile
            j = item - r * tile
            weight = kind(0.0)
            if r < count and first + j < bins and told(room, OMEGA, base + r) != 0.0:
                weight = intrinsics.load(room.weights + word * ((base + r) * room.width + first + j), kind)
            tiles[begin + j * count_rows + r] = weight

    @device
    def add(kernel, step, bins, whole):
        tiles = cuda.shared.array(0, kind)
        part = cuda.local.array(count_rows, kind)
        entries = cuda.local.array(ahead, kind)
        for r in range(count_rows):
            part[r] = kind(0.0)
        most = bins // ahead * ahead
        for first in range(0, most, ahead):
            for e in range(ahead):
                entries[e] = intrinsics.load(kernel + step * (first + e), kind)
            # Indices into a part of their own are constants, which cost no arithmetic.
            weights = tiles[begin + first * count_rows : begin + (first + ahead) * count_rows]
            for e in range(ahead):
                for r in range(count_rows):
                    part[r] += entries[e] * weights[e * count_rows + r]
        for j in range(most, bins):
            entry = intrinsics.load(kernel + step * j, kind)
            for r in range(count_rows):
                part[r] += entry * tiles[begin + j * count_rows + r]
        for r in range(count_rows):
            whole[r] += types.float64(part[r])

    @device
    def half(room, base, count, own, other, law, ground):
        whole = cuda.local.array(count_rows, types.float64)
        for r in range(count):
            if told(room, OMEGA, base + r) != 0.0:
                weigh(room, base + r, other)
        for start in range(0, own.bins, size):
            i = start + cuda.threadIdx.x
            for r in range(count_rows):
                whole[r] = 0.0
            for first in range(0, other.bins, tile):
                cuda.syncthreads()
                stage(room, base, count, first, other.bins)
                cuda.syncthreads()
                if i < own.bins:
                    kernel = own.kernel + word * (first * own.bins + i)
                    add(kernel, word * own.bins, min(tile, other.bins - first), whole)
            if i < own.bins:
                for r in range(count_rows):
                    if r < count:
                        DOUBLE.write(at(room.sums, base + r, room.width) + 8 * i, whole[r])
                for r in range(count):
                    place = at(room.sums, base + r, room.width) + 8 * i
                    DOUBLE.write(place, told(room, TOP, base + r) + logarithm(DOUBLE.read(place)))
        cuda.syncthreads()

    return half


def softened(form, size):
    """The half step by exponentials e**(x_j + hint - cost), the hint being the potential before, near minus the answer.

    Where a sum leaves the range of its numbers, its thread makes it again, from the largest term.
    """
    count_rows, tile, certain, narrow = ROWS[form], TILE, CERTAIN[form], form == "narrow"
    kind = types.float32 if narrow else types.float64

    @device
    def power(z):
        if narrow:
            return narrow_growth(types.float32(z))
        return growth(z)

    @device
    def stage(room, base, count, first, other):
        tiles = cuda.shared.array(0, types.float64)
        for item in range(cuda.threadIdx.x, count_rows * tile, size):
            r = item // tile
            j = item - r * tile
            x = -math.inf
            if r < count and first + j < other.bins and told(room, OMEGA, base + r) != 0.0:
                place = 8 * ((base + r) * other.bins + first + j)
                x = DOUBLE.read(other.log_mass + place) + DOUBLE.read(other.pot + place)
            tiles[MEETING + j * count_rows + r] = x

    @device
    def add(kernel, step, bins, hint, whole):
        tiles = cuda.shared.array(0, types.float64)
        part = cuda.local.array(count_rows, kind)
        for r in range(count_rows):
            part[r] = kind(0.0)
        for j in range(bins):
            price = DOUBLE.read(kernel + step * j)
            for r in range(count_rows):
                part[r] += power(tiles[MEETING + j * count_rows + r] + hint[r] - price)
        for r in range(count_rows):
            whole[r] += types.float64(part[r])

    @device
    def again(masses, pots, kernel, step, bins):
        shift = math.inf
        for j in range(bins):
            shift = min(shift, DOUBLE.read(kernel + step * j) - DOUBLE.read(masses + 8 * j) - DOUBLE.read(pots + 8 * j))
        whole = 0.0
        for j in range(bins):
            x = DOUBLE.read(masses + 8 * j) + DOUBLE.read(pots + 8 * j)
            whole += math.exp(x + shift - DOUBLE.read(kernel + step * j))
        return logarithm(whole) - shift

    @device
    def conclude(room, row, own, other, i):
        place = at(room.sums, row, room.width) + 8 * i
        whole = DOUBLE.read(place)
        found = logarithm(whole) - DOUBLE.read(at(own.pot, row, own.bins) + 8 * i)
        if not 1.0 / certain < whole < certain:
            masses, pots = at(other.log_mass, row, other.bins), at(other.pot, row, other.bins)
            found = again(masses, pots, own.kernel + 8 * i, 8 * own.bins, other.bins)
        DOUBLE.write(place, found)

    @device
    def half(room, base, count, own, other, law, ground):
        whole = cuda.local.array(count_rows, types.float64)
        hint = cuda.local.array(count_rows, types.float64)
        for start in range(0, own.bins, size):
            i = start + cuda.threadIdx.x
            for r in range(count_rows):
                whole[r] = hint[r] = 0.0
                if i < own.bins and r < count:
                    hint[r] = DOUBLE.read(at(own.pot, base + r, own.bins) + 8 * i)
            for first in range(0, other.bins, tile):
                cuda.syncthreads()
                stage(room, base, count, first, other)
                cuda.syncthreads()
                if i < own.bins:
                    kernel = own.kernel + 8 * (first * own.bins + i)
                    add(kernel, 8 * own.bins, min(tile, other.bins - first), hint, whole)
            if i < own.bins:
                for r in range(count_rows):
                    if r < count:
                        DOUBLE.write(at(room.sums, base + r, room.width) + 8 * i, whole[r])
                for r in range(count):
                    if told(room, OMEGA, base + r) != 0.0:
                        conclude(room, base + r, own, other, i)
        cuda.syncthreads()

    return half


def _cost(narrow, size):
    """The sum of cost * e**(x_i + y_j - cost / reg): a thread has columns j, and goes down the rows of the matrix."""

    @device
    def term(price, z):
        if narrow:
            return price * types.float64(narrow_growth(types.float32(z)))
        return price * growth(z)

    @device
    def cost(room, row, a, b, law, ground):
        masses_a, pots_a = at(a.log_mass, row, a.bins), at(a.pot, row, a.bins)
        masses_b, pots_b = at(b.log_mass, row, b.bins), at(b.pot, row, b.bins)
        found = 0.0
        for j in range(cuda.threadIdx.x, b.bins, size):
            y = DOUBLE.read(masses_b + 8 * j) + DOUBLE.read(pots_b + 8 * j) - law.least
            for i in range(a.bins):
                x = DOUBLE.read(masses_a + 8 * i) + DOUBLE.read(pots_a + 8 * i)
                price = DOUBLE.read(ground.cost + 8 * (i * b.bins + j)) - ground.least
                found += term(price, x + y - price / law.reg)
        return found

    return cost


@functools.cache
def gibbs(form):
    """The kernel that writes the matrices of either side: exp(-cost / reg), or cost / reg for exponentials."""
    powers = form.startswith("float")
    numbers = format_of(form if powers else "float64")
    word, write = numbers.size, numbers.write

    @cuda.jit
    def fill(n, k, cost, least, reg, for_a, for_b):
        entry = types.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
        while entry < n * k:
            i = entry // k
            j = entry - i * k
            price = (DOUBLE.read(cost + 8 * entry) - least) / reg
            if powers:
                price = math.exp(-price)
            write(for_b + word * entry, price)
            write(for_a + word * (j * n + i), price)
            entry += types.int64(cuda.gridDim.x) * cuda.blockDim.x

    return fill

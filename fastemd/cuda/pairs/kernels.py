"""The kernels of all pairs: rows to numbers, numbers to tiles of distances, and where the distances go.

Rows are packed as columns of numbers, so that neighbouring threads load neighbouring rows. A block computes a square
tile of distances. It copies a few columns of its rows to shared memory, and every thread adds up the differences of
`OWN_A` rows and `OWN_B` rows in registers. float32 sums run over `CHUNK` columns at most and are then added up in
float64, so their relative error stays below 1e-6.
"""

import functools

from ..primitives import intrinsics
from ..primitives.dtypes import NUMBA_TYPES, format_of
from ..primitives.intrinsics import cuda, device, types
from ..primitives.memory import DOUBLE
from ..primitives.thread_group import thread_group

# A block has ACROSS x DOWN threads, of which each has OWN_B x OWN_A pairs. ACROSS * OWN_B == DOWN * OWN_A.
ACROSS, OWN_B = 16, 4
DOWN, OWN_A = 8, 8
POWER_PART = 2  # where rho needs a power, a thread has a square of so many less: longer loops are not unrolled
CHUNK = 128


def tile_size(rho=1.0):
    """Rows of a tile, on either side."""
    return ACROSS * OWN_B if rho in (1.0, 2.0) else ACROSS * OWN_B // POWER_PART


def depth(rho=0.0):
    """Columns in shared memory at a time: each thread copies four numbers of either side."""
    return intrinsics.VECTOR * ACROSS * DOWN // tile_size(rho)


@device
def _load_index(address, number):
    """A number that is kept as float64."""
    return types.int64(DOUBLE.load(address + 8 * number))


@functools.cache
def touch_kernel(dtype):
    """Return the kernel that writes 1.0 for each bin where some row has mass, a thread a bin and part of the rows."""
    load = format_of(dtype).load

    @cuda.jit
    def touch(rows, n, address, row_step, bin_step, touched):
        number = types.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
        if number >= n:
            return
        for row in range(types.int64(cuda.blockIdx.y), rows, types.int64(cuda.gridDim.y)):
            if load(address + row_step * row + bin_step * number) > 0.0:
                DOUBLE.store(touched + 8 * number, 1.0)
                return

    return touch


@functools.cache
def embed_kernel(source, answer, normalized, size):
    """Return the kernel that embeds rows, a block of `size` threads a row.

    It scans the bins in `order` into `sums` (rows, bins + 1), and writes the flow of each column less `common`, times
    its weight. The number of column e and row r goes to ``out + row_out * r + column_out * e``.
    """
    load, store, group = format_of(source).load, format_of(answer).store, thread_group(size, 1)

    @cuda.jit
    def embed(
        address, row_in, bin_in, bins, order, columns, first, beyond, common, weight, sums, out, row_out, column_out
    ):
        row, rank = types.int64(cuda.blockIdx.x), cuda.threadIdx.x
        own = sums + 8 * row * (bins + 1)
        carry = 0.0
        for start in range(0, bins, size):
            place = start + rank
            x = 0.0
            if place < bins:
                x = load(address + row_in * row + bin_in * _load_index(order, place))
            before, total = group.scan(x)
            if place < bins:
                DOUBLE.store(own + 8 * place, carry + before)
            carry += total
        if rank == 0:
            DOUBLE.store(own + 8 * bins, carry)
        group.sync()
        factor = 1.0 / carry if normalized else 1.0
        for e in range(rank, columns, size):
            low, high = _load_index(first, e), _load_index(beyond, e)
            flow = (DOUBLE.load(own + 8 * high) - DOUBLE.load(own + 8 * low)) * factor
            number = (flow - DOUBLE.load(common + 8 * e)) * DOUBLE.load(weight + 8 * e)
            store(out + row_out * row + column_out * e, number)

    return embed


@functools.cache
def distances_kernel(dtype, rho):
    """Return the kernel that writes a float64 tile of distances a block; rho is 1, 2 or, for any other, 0.

    `a` and `b` are packed: number k * width + row is that of column k. Widths are whole tiles, columns whole depths.
    """
    kind, word = NUMBA_TYPES[dtype], format_of(dtype).size
    across, down, chunk, tile, deep = ACROSS, DOWN, CHUNK, tile_size(rho), depth(rho)
    own_a, own_b, pairs = tile // down, tile // across, tile // down * (tile // across)
    zero = kind(0.0)

    @cuda.jit
    def distances(a, b, columns, width_a, width_b, exponent, out):
        left = cuda.shared.array((deep, tile), kind)
        right = cuda.shared.array((deep, tile), kind)
        partial, mine = cuda.local.array(pairs, kind), cuda.local.array(own_b, kind)
        total = cuda.local.array(pairs, types.float64)
        thread = types.int64(cuda.threadIdx.x)
        x, y = thread % across, thread // across
        first_a, first_b = types.int64(cuda.blockIdx.y) * tile, types.int64(cuda.blockIdx.x) * tile
        k, r = 4 * thread // tile, 4 * thread % tile
        from_a, from_b = a + word * (k * width_a + first_a + r), b + word * (k * width_b + first_b + r)
        for i in range(pairs):
            total[i] = 0.0
        for begin in range(0, columns, chunk):
            for i in range(pairs):
                partial[i] = zero
            for start in range(begin, min(begin + chunk, columns), deep):
                a0, a1, a2, a3 = intrinsics.load_four(from_a + word * width_a * start, kind)
                b0, b1, b2, b3 = intrinsics.load_four(from_b + word * width_b * start, kind)
                cuda.syncthreads()
                left[k, r], left[k, r + 1], left[k, r + 2], left[k, r + 3] = a0, a1, a2, a3
                right[k, r], right[k, r + 1], right[k, r + 2], right[k, r + 3] = b0, b1, b2, b3
                cuda.syncthreads()
                for column in range(deep):
                    for j in range(own_b):
                        mine[j] = right[column, x + across * j]
                    for i in range(own_a):
                        number = left[column, y + down * i]
                        for j in range(own_b):
                            difference = number - mine[j]
                            if rho == 1.0:
                                partial[i * own_b + j] += abs(difference)
                            elif rho == 2.0:
                                partial[i * own_b + j] += difference * difference
                            else:
                                power = abs(types.float64(number) - types.float64(mine[j])) ** exponent
                                total[i * own_b + j] += power
            for i in range(pairs):
                total[i] += types.float64(partial[i])
        for i in range(own_a):
            for j in range(own_b):
                row, other = first_a + y + down * i, first_b + x + across * j
                DOUBLE.store(out + 8 * (row * width_b + other), total[i * own_b + j])

    return distances


@functools.cache
def place_kernel(dtype):
    """Return the kernel that writes a tile of distances to the answer, a thread a pair.

    Pair (i, j) goes to ``out + row_step * i + column_step * j``. With `mirror` its mirror image is written as well, and
    0 on the diagonal, where the tile begins at pair (first, other).
    """
    store = format_of(dtype).store

    @cuda.jit
    def place(rows, columns, tile, width, first, other, mirror, out, row_step, column_step):
        entry = types.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
        while entry < rows * columns:
            i = entry // columns
            j = entry - i * columns
            distance = DOUBLE.load(tile + 8 * (i * width + j))
            i, j = first + i, other + j
            if not mirror:
                store(out + row_step * i + column_step * j, distance)
            elif i < j:
                store(out + row_step * i + column_step * j, distance)
                store(out + row_step * j + column_step * i, distance)
            elif i == j:
                store(out + row_step * i + column_step * j, 0.0)
            entry += types.int64(cuda.gridDim.x) * cuda.blockDim.x

    return place


@functools.cache
def condense_kernel(dtype):
    """Return the kernel that writes what a tile has above the diagonal to a vector, in the order of the pairs."""
    store = format_of(dtype).store

    @cuda.jit
    def condense(rows, columns, tile, width, first, other, count, out, step):
        entry = types.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
        while entry < rows * columns:
            i = entry // columns
            j = entry - i * columns
            distance = DOUBLE.load(tile + 8 * (i * width + j))
            i, j = first + i, other + j
            if i < j:
                store(out + step * (count * i - i * (i + 1) // 2 + j - i - 1), distance)
            entry += types.int64(cuda.gridDim.x) * cuda.blockDim.x

    return condense


@cuda.jit
def clear(words, address):
    """Write 0 to 32-bit words."""
    word = types.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    while word < words:
        intrinsics.store(address + 4 * word, types.int32(0))
        word += types.int64(cuda.gridDim.x) * cuda.blockDim.x


@cuda.jit
def select(rows, others, tile, width, k, offset, found, index):
    """Insert the distances of a tile (others, rows) into the lists (rows, k) of the nearest, a thread a row.

    Lists ascend by distance. Tiles come in the order of their rows, so of equal distances the first index is kept.
    """
    row = types.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    if row >= rows:
        return
    own, names = found + 8 * row * k, index + 8 * row * k
    largest = DOUBLE.load(own + 8 * (k - 1))
    for other in range(others):
        distance = DOUBLE.load(tile + 8 * (other * width + row))
        if distance < largest:
            at = k - 1
            while at > 0 and DOUBLE.load(own + 8 * (at - 1)) > distance:
                DOUBLE.store(own + 8 * at, DOUBLE.load(own + 8 * (at - 1)))
                intrinsics.store(names + 8 * at, intrinsics.load(names + 8 * (at - 1), types.int64))
                at -= 1
            DOUBLE.store(own + 8 * at, distance)
            intrinsics.store(names + 8 * at, types.int64(offset + other))
            largest = DOUBLE.load(own + 8 * (k - 1))

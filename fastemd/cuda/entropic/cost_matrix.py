"""Cost matrices on a device: their validation, and the Gibbs kernel's matrix for each side.

A matrix is read once to validate and convert it. Each block returns a few numbers to the host.
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from ...arrays import device as device_arrays
from ...arrays import driver
from ..primitives import intrinsics
from ..primitives.dtypes import format_of
from ..primitives.intrinsics import cuda, types
from ..primitives.thread_group import REDUCTION_SLOTS, thread_group
from .state import load, store

THREADS, MOST_BLOCKS = 256, 256
FLOAT64 = np.dtype(np.float64)


class Inspection(NamedTuple):
    """The float64 copy of a cost matrix, its range, and its first bad entry.

    Parameters
    ----------
    copy : DeviceArray, shape (n, k), float64 in C order
        The matrix itself, if it is that already.
    least, largest : float
        The smallest and the largest finite entry.
    bad : tuple (i, j, value) or None
        The first entry that is not finite.
    """

    copy: Any
    least: float
    largest: float
    bad: tuple[int, int, float] | None


def inspect(matrix):
    """Return the `Inspection` of a `DeviceArray` of shape (n, k), not empty, of a real dtype and any strides."""
    n, k = matrix.shape
    as_it_is = matrix.dtype == FLOAT64 and matrix.strides == device_arrays.contiguous(matrix.shape, 8)
    copy = matrix if as_it_is else device_arrays.empty(matrix, matrix.shape, FLOAT64)
    target = 0 if as_it_is else copy.address
    kernel = inspect_kernel(matrix.dtype.name, THREADS)
    partial = _partial_results(kernel, matrix, 3, n, k, matrix.address, *matrix.strides, target)
    least, largest, first = partial[:, 0].min(), partial[:, 1].max(), partial[:, 2].min()
    bad = None if first == math.inf else (*divmod(int(first), k), _entry(copy, int(first)))
    return Inspection(copy, float(least), float(largest), bad)


def first_asymmetric(matrix):
    """Return (i, j, entry (i, j), entry (j, i)) of the first pair that differs, or None, for float64 in C order."""
    n = matrix.shape[0]
    first = _partial_results(asymmetry_kernel(THREADS), matrix, 1, n, matrix.address).min()
    if first == math.inf:
        return None
    i, j = divmod(int(first), n)
    return i, j, _entry(matrix, i * n + j), _entry(matrix, j * n + i)


def _entry(matrix, number):
    """Return an entry of a float64 matrix in C order."""
    return float(driver.to_host(matrix._replace(address=matrix.address + 8 * number, shape=(1,), strides=(8,)))[0])


def _partial_results(kernel, matrix, columns, *arguments):
    """Launch a kernel over all entries of a matrix and return the `columns` numbers of each block."""
    blocks = min(-(-matrix.size // THREADS), MOST_BLOCKS)
    with driver.on(matrix.device):
        partial = device_arrays.empty(matrix, (blocks, columns), FLOAT64)
        stream = driver.stream_of(matrix.stream)
        intrinsics.launch(kernel, blocks, THREADS, stream, 8 * REDUCTION_SLOTS, (*arguments, partial.address))
    return driver.to_host(partial)


@functools.cache
def inspect_kernel(name, size):
    """Return the kernel that inspects and copies a matrix of the dtype of this name; a block writes 3 numbers.

    These are the smallest and the largest finite entry, and the number of the first that is not finite, inf for none.
    """
    read, least_of, most_of = format_of(name).load, thread_group(size, 1).min, thread_group(size, 1).max

    @cuda.jit
    def inspect_entries(n, k, matrix, row_stride, column_stride, copy, partial):
        block = types.int64(cuda.blockIdx.x)
        entry = block * cuda.blockDim.x + cuda.threadIdx.x
        least = first = math.inf
        largest = -math.inf
        while entry < n * k:
            i = entry // k
            x = read(matrix + i * row_stride + (entry - i * k) * column_stride)
            if copy != 0:
                store(copy, entry, x)
            if abs(x) < math.inf:
                least, largest = min(least, x), max(largest, x)
            elif first == math.inf:
                first = types.float64(entry)
            entry += types.int64(cuda.gridDim.x) * cuda.blockDim.x
        least, largest, first = least_of(least), most_of(largest), least_of(first)
        if cuda.threadIdx.x == 0:
            store(partial, 3 * block, least)
            store(partial, 3 * block + 1, largest)
            store(partial, 3 * block + 2, first)

    return inspect_entries


@functools.cache
def asymmetry_kernel(size):
    """Return the kernel that finds the first entry of a matrix that differs from its mirror image.

    A block writes the entry's number, inf for none.
    """
    least_of = thread_group(size, 1).min

    @cuda.jit
    def find_asymmetry(n, matrix, partial):
        block = types.int64(cuda.blockIdx.x)
        entry = block * cuda.blockDim.x + cuda.threadIdx.x
        first = math.inf
        while entry < n * n:
            i = entry // n
            j = entry - i * n
            if j > i and first == math.inf and load(matrix, entry) != load(matrix, j * n + i):
                first = types.float64(entry)
            entry += types.int64(cuda.gridDim.x) * cuda.blockDim.x
        first = least_of(first)
        if cuda.threadIdx.x == 0:
            store(partial, block, first)

    return find_asymmetry


@functools.cache
def gibbs_matrices_kernel(form):
    """Return the kernel that writes a matrix for each side: exp(-cost / reg), or cost / reg for exponentials."""
    exponentials = form.endswith("exponentials")
    numbers = format_of("float64" if exponentials else form)
    word, write = numbers.size, numbers.store

    @cuda.jit
    def write_gibbs_matrices(n, k, cost, least, reg, for_a, for_b):
        entry = types.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
        while entry < n * k:
            i = entry // k
            j = entry - i * k
            x = (load(cost, entry) - least) / reg
            if not exponentials:
                x = math.exp(-x)
            write(for_b + word * entry, x)
            write(for_a + word * (j * n + i), x)
            entry += types.int64(cuda.gridDim.x) * cuda.blockDim.x

    return write_gibbs_matrices

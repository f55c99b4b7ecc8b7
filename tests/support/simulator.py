"""A device in numba's CUDA simulator, with small warps and blocks: small inputs then need several of each.

Threads of the simulator are Python threads. This module adds the shuffles, the vote and the barrier of a warp of 4
lanes, and loads and stores by address. Device memory is the memory of the arrays of `fake_libraries`; an address
outside of them, or a misaligned one, raises.
"""

import contextlib
import ctypes
import threading

import numpy as np

from fastemd.arrays import driver
from fastemd.arrays.device import BFLOAT16
from fastemd.cuda.entropic import chain as entropic_chain
from fastemd.cuda.entropic import cost_matrix, logsumexp, matrix, read_rows, solver, write_rows
from fastemd.cuda.entropic import launch as entropic_launch
from fastemd.cuda.entropic import ring as entropic_ring
from fastemd.cuda.entropic import tree as entropic_tree
from fastemd.cuda.exact import chain, kernels, launch, long_tree, multiblock, ring, tree
from fastemd.cuda.pairs import kernels as pairs_kernels
from fastemd.cuda.pairs import launch as pairs_launch
from fastemd.cuda.primitives import dtypes, intrinsics, thread_group
from tests.support.fake_libraries import NumbaArray, from_bfloat16, state, view

WARP, BLOCK, COLUMNS = 4, 16, 4
GROUP, TILE = 2, 4  # rows of a block in entropic transport, and bins that it shares at a time
PROCESSORS = 1


class Warp:
    """The values that the lanes of a warp exchange."""

    def __init__(self):
        self.values = [None] * WARP
        self.barrier = threading.Barrier(WARP)


_warps = {}
_lock = threading.Lock()


def _exchange(value, partner):
    """Return the value of lane partner(lane); all lanes of the warp call this."""
    thread = threading.current_thread()
    number, lane = divmod(thread.thread_id, WARP)
    with _lock:
        warp = _warps.setdefault((id(thread._manager), number), Warp())
    warp.values[lane] = value
    warp.barrier.wait(20)
    other = partner(lane)
    received = warp.values[other] if 0 <= other < WARP else value
    warp.barrier.wait(20)
    return received


def _any(value):
    voted = False
    for lane in range(WARP):
        voted = _exchange(bool(value), lambda _, lane=lane: lane) or voted
    return voted


WARP_FUNCTIONS = {
    "shfl_sync": lambda self, mask, value, lane: _exchange(value, lambda _: lane),
    "shfl_up_sync": lambda self, mask, value, delta: _exchange(value, lambda lane: lane - delta),
    "shfl_xor_sync": lambda self, mask, value, step: _exchange(value, lambda lane: lane ^ step),
    "any_sync": lambda self, mask, value: _any(value),
    "syncwarp": lambda self, mask=intrinsics.FULL_MASK: _exchange(None, lambda lane: lane),
}


class Block:
    """The simulator's manager of a block, with a barrier in place of a loop that polls all threads."""

    def __init__(self, kernel, grid, block, debug):
        self.kernel, self._grid_dim, self._block_dim = kernel, grid, block

    def run(self, point, *arguments):
        from numba.cuda.simulator.kernel import BlockThread

        count = int(np.prod(self._block_dim))
        self.barrier = threading.Barrier(count)

        def work():
            with np.errstate(all="ignore"):
                self.kernel(*arguments)

        threads = [BlockThread(work, self, point, where, False) for where in np.ndindex(*self._block_dim)]
        for thread in threads:
            thread.syncthreads = lambda: self.barrier.wait(20)
            thread.start()
        for thread in threads:
            thread.join()
        _warps.clear()
        first = [
            t.exception for t in threads if t.exception and t.exception[0].__class__ is not threading.BrokenBarrierError
        ]
        for error, trace in first or [t.exception for t in threads if t.exception]:
            raise error.with_traceback(trace)


NUMPY_DTYPES = {
    kind: np.dtype(str(kind))
    for kind in (*dtypes.NUMBA_TYPES.values(), intrinsics.types.uint16, intrinsics.types.int32)
}


def _require(address, size):
    """Raise unless bytes belong to an array."""
    for base, *_ in reversed(state.memory):
        low, high = np.lib.array_utils.byte_bounds(base)
        if low <= address and address + size <= high:
            return
    raise AssertionError(f"{size} bytes at {address:#x} belong to no array")


def _number_at(address, dtype, count=1):
    size = dtype.itemsize * count
    _require(address, size)
    alignment = min(16, size)
    if address % alignment:
        raise AssertionError(f"{address:#x} is no multiple of {alignment}")
    return np.frombuffer((ctypes.c_char * size).from_address(address), dtype)


def _load(address, like):
    return _number_at(int(address), NUMPY_DTYPES[like])[0]


def _load_four(address, like):
    return tuple(_number_at(int(address), NUMPY_DTYPES[like], 4))


def _store(address, number):
    number = np.asarray(number)
    _number_at(int(address), number.dtype)[...] = number


def _store_four(address, *four):
    four = np.array(four)
    _number_at(int(address), four.dtype, 4)[...] = four


def _towards_zero(x):
    rounded = np.float32(x)
    if np.isfinite(x) and abs(np.float64(rounded)) > abs(x):
        rounded = np.nextafter(rounded, np.float32(0))
    return rounded


INSTRUCTIONS = {
    "load": _load,
    "load_four": _load_four,
    "store": _store,
    "store_four": _store_four,
    "plus": lambda x, y: x + y,
    "float_of_half": lambda bits: np.uint16(bits).view(np.float16).astype(np.float32),
    "half_of_double": lambda x: np.float16(x).view(np.uint16),
    "float_of_bits": lambda bits: np.uint32(bits).view(np.float32),
    "bits_of_float": lambda x: np.float32(x).view(np.uint32),
    "float_towards_zero": _towards_zero,
}


class Driver:
    """Functions of `fastemd.arrays.driver` for the arrays of `fake_libraries`."""

    @staticmethod
    def upload(array, device):
        return NumbaArray(array.copy(), device)

    @staticmethod
    def empty(shape, dtype, device):
        memory = np.full(shape, 77, np.uint16 if dtype is BFLOAT16 else dtype)
        return NumbaArray(memory, device, BFLOAT16 if dtype is BFLOAT16 else None)

    @staticmethod
    def fill(x, array):
        view(x)[...] = array

    @staticmethod
    def to_host(x):
        return from_bfloat16(view(x)) if x.dtype is BFLOAT16 else view(x).copy()

    @staticmethod
    def address_of(array):
        return array.__cuda_array_interface__["data"][0]


DRIVER = {
    "upload": Driver.upload,
    "empty": Driver.empty,
    "address_of": Driver.address_of,
    "to_host": Driver.to_host,
    "device_of": state.device_of,
    "device_count": lambda: 1,
    "multiprocessors": lambda device: PROCESSORS,
    "on": lambda device: contextlib.nullcontext(),
    "stream_of": lambda handle: handle,
    "synchronize": lambda device, handle: None,
    "fill": Driver.fill,
}


CACHED = [
    thread_group.thread_group,
    dtypes.format_of,
    kernels.build,
    multiblock.build,
    logsumexp.segmented_scan,
    entropic_chain.build,
    entropic_tree.build,
    entropic_ring.build,
    solver.build,
]
CACHED += [cost_matrix.inspect_kernel, cost_matrix.asymmetry_kernel, cost_matrix.gibbs_matrices_kernel]
CACHED += [pairs_kernels.touch_kernel, pairs_kernels.embed_kernel, pairs_kernels.distances_kernel]
CACHED += [pairs_kernels.place_kernel, pairs_kernels.condense_kernel]
CACHED += [
    read_rows.read_rows_kernel,
    write_rows.write_answers_kernel,
    write_rows.write_plans_kernel,
    write_rows.combine_kernel,
]


def install(monkeypatch):
    """Patch the simulator, the driver, and the sizes of warps and blocks."""
    from numba.cuda.simulator import kernel, kernelapi

    for name, function in WARP_FUNCTIONS.items():
        monkeypatch.setattr(kernelapi.FakeCUDAModule, name, function, raising=False)
    monkeypatch.setattr(kernel, "BlockManager", Block)
    for name, instruction in INSTRUCTIONS.items():
        monkeypatch.setattr(intrinsics, name, instruction)
    for name, function in DRIVER.items():
        monkeypatch.setattr(driver, name, function)
    monkeypatch.setattr(intrinsics, "WARP", WARP)
    monkeypatch.setattr(launch, "BLOCK", BLOCK)
    monkeypatch.setattr(entropic_launch, "BLOCK", BLOCK)
    monkeypatch.setattr(entropic_launch, "SPACE_BLOCK", BLOCK)
    monkeypatch.setattr(cost_matrix, "THREADS", BLOCK)
    monkeypatch.setattr(matrix, "ROWS", dict.fromkeys(matrix.ROWS, GROUP))
    monkeypatch.setattr(matrix, "TILE", TILE)
    monkeypatch.setattr(matrix, "PREFETCH", 2)
    for name, size in (("ACROSS", 2), ("DOWN", 2), ("OWN_A", 4), ("OWN_B", 4)):
        monkeypatch.setattr(pairs_kernels, name, size)
    monkeypatch.setattr(pairs_kernels, "CHUNK", 4)
    for name, size in (("BLOCK", BLOCK), ("ROW_PARTS", 2), ("EMBEDDED", 4)):
        monkeypatch.setattr(pairs_launch, name, size)
    for module in (chain, ring, tree, long_tree):
        monkeypatch.setattr(module, "COLUMNS", COLUMNS)
    for cached in CACHED:
        cached.cache_clear()

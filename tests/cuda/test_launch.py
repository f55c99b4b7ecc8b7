"""The parts of the CUDA backend: dtypes, thread groups, Euler tours, and launches of every size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastemd as fe
from fastemd import reference
from fastemd.arrays import driver
from fastemd.cuda.exact import euler_tour, launch
from fastemd.cuda.primitives import dtypes, intrinsics, thread_group
from fastemd.spaces import Chain, Ring, Tree
from tests.support.fake_libraries import CupyArray, from_bfloat16, host, installed, to_bfloat16
from tests.support.gpu import obstacle
from tests.support.kernel_problems import near, potential_slack, total_mass, value_slack
from tests.support.simulator import BLOCK, WARP, install
from tests.support.strategies import trees

cuda = intrinsics.cuda  # by this name the simulator finds it
pytestmark = pytest.mark.skipif(not obstacle(), reason="numba simulates a device only where there is none")


with np.errstate(invalid="ignore"):
    EVERY_BFLOAT16 = from_bfloat16(np.arange(2**16, dtype=np.uint16)).astype(np.float64)
FINITE = EVERY_BFLOAT16[np.isfinite(EVERY_BFLOAT16)]
ties = st.integers(0x0080, 0x7F7E).map(lambda k: (EVERY_BFLOAT16[k] + EVERY_BFLOAT16[k + 1]) / 2)


@pytest.fixture(autouse=True)
def device(monkeypatch):
    """A device in the simulator."""
    with installed(monkeypatch):
        install(monkeypatch)
        yield


def launched(body, threads, *arrays):
    """Run `body(thread, *arrays)` by the threads of one simulated block."""

    @intrinsics.cuda.jit
    def kernel(*arguments):
        body(cuda.threadIdx.x, *arguments)

    kernel[1, threads, 0, 8 * thread_group.REDUCTION_SLOTS](*arrays)
    return arrays


# --- Numbers ----------------------------------------------------------------------------------------------------------


def test_every_bfloat16_is_read_as_the_number_it_is():
    bits = np.arange(2**16, dtype=np.uint16)
    with np.errstate(invalid="ignore"):  # widening a signalling NaN
        found = np.array([dtypes._from_bfloat16(b) for b in bits])
    np.testing.assert_array_equal(found, EVERY_BFLOAT16)


@given(st.floats(allow_nan=False, width=32) | st.floats(-4.0, 4.0) | ties)
def test_number_is_rounded_to_the_nearest_bfloat16_once(x):
    found = from_bfloat16(np.array(dtypes._to_bfloat16(np.float64(x)), np.uint16))
    if abs(x) >= 2.0**128 * (1 - 2.0**-9):
        assert np.isinf(found)
        return
    distance = np.abs(FINITE - x)
    nearest = np.unique(FINITE[distance == distance.min()])
    assert found in nearest
    assert len(nearest) == 1 or dtypes._to_bfloat16(np.float64(x)) % 2 == 0


def test_not_a_number_stays_none():
    assert np.isnan(from_bfloat16(np.array(dtypes._to_bfloat16(np.nan), np.uint16)))
    assert to_bfloat16(np.nan) == dtypes._to_bfloat16(np.nan)


# --- Thread groups ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, WARP, 2 * WARP, BLOCK])
def test_thread_group_scans_and_reduces_the_numbers_of_its_threads(size):
    group = thread_group.thread_group(size, 4)
    x = np.random.default_rng(size).integers(-1, 9, BLOCK).astype(float)
    results = np.full((11, BLOCK), np.nan)

    def body(thread, x, results):
        results[0, thread], results[1, thread] = group.scan(x[thread])
        results[2, thread], results[3, thread] = group.scan_max(x[thread])
        results[4, thread], results[5, thread] = group.sum(x[thread]), group.min(x[thread])
        results[6, thread] = group.max(x[thread])
        results[7:, thread] = group.sum_four(x[thread], 2 * x[thread], 3 * x[thread], -x[thread])

    threads = BLOCK if size <= WARP else size  # a group larger than a warp is a block
    launched(body, threads, x, results)
    for first in range(0, threads, size):
        numbers = x[first : first + size]
        sums = np.concatenate([[0.0], np.cumsum(numbers)])
        maxima = np.maximum.accumulate(np.concatenate([[-1.0], numbers]))
        group_results = results[:, first : first + size]
        np.testing.assert_array_equal(group_results[0], sums[:-1])
        np.testing.assert_array_equal(group_results[2], maxima[:-1])
        for row, expected in ((1, numbers.sum()), (4, numbers.sum()), (5, numbers.min()), (6, numbers.max())):
            np.testing.assert_array_equal(group_results[row], expected)
        np.testing.assert_array_equal(group_results[3], numbers.max())
        for row, factor in enumerate((1, 2, 3, -1), 7):
            np.testing.assert_array_equal(group_results[row], factor * numbers.sum())


# --- The Euler tour of a tree -----------------------------------------------------------------------------------------


def in_order(vector, group):
    """Return an interleaved vector in the order of tokens."""
    return vector.reshape(-1, group.columns, group.size).swapaxes(1, 2).reshape(-1)


@given(trees(60))
def test_tokens_open_and_close_every_inner_edge_around_the_bins_below_it(space):
    group = thread_group.thread_group(4, 8)
    size, slots = euler_tour.columns(space.arrays, space.n), euler_tour.slots(space.arrays, space.n, group)
    arrays, (token_count, edge_count) = euler_tour.prepare(space.arrays, space.n, group)
    tokens, _, bins_below, opened_at, _ = (in_order(array, group) for array in arrays)
    kinds, index = tokens & euler_tour.KIND, tokens >> 2
    assert token_count == size
    assert edge_count == space.m
    assert (kinds[size:] == euler_tour.NOTHING).all()
    np.testing.assert_array_equal(np.sort(index[kinds == euler_tour.BIN]), np.arange(space.n))
    still_open = []
    for t in range(size):
        if kinds[t] == euler_tour.OPEN:
            still_open.append((index[t], t))
        elif kinds[t] == euler_tour.CLOSE:
            number, opened = still_open.pop()
            assert (number, opened) == (index[t], opened_at[t])
            assert bins_below[t] == np.sum(kinds[opened:t] == euler_tour.BIN)
    assert not still_open
    assert set(index[kinds == euler_tour.OPEN]) == set(range(slots))


def test_path_of_a_hundred_thousand_nodes_has_as_many_tokens_and_no_recursion():
    n = 100_000
    arrays = Tree(np.arange(-1, n - 1), np.ones(n)).arrays
    size, slots = euler_tour.columns(arrays, n), euler_tour.slots(arrays, n, None)
    assert (size, slots) == (n + 2 * slots, n - 2)


# --- Launches ---------------------------------------------------------------------------------------------------------

SPACES = (lambda: Chain(21), lambda: Ring(21), lambda: Tree(np.arange(30) // 2 - (np.arange(30) < 1), np.arange(30.0)))


def check(space, rows, rho=2):
    """Compare values and gradients of some rows on the device with the reference."""
    rng = np.random.default_rng(rows)
    a = rng.integers(0, 9, (rows, space.n)).astype(np.float32)
    b = rng.permuted(a, axis=-1)
    value, grad = fe.emd_value_and_grad(CupyArray(a), CupyArray(b), space, rho=rho)
    expected_value, expected = reference.emd_value_and_grad(a, b, space, rho=rho)
    near(host(value), expected_value, value_slack(space, total_mass(a, b), rho))
    near(host(grad), expected, potential_slack(space, a, b, rho))


@pytest.mark.parametrize("make", SPACES)
@pytest.mark.parametrize("rho", [1, 2, 1.5])
def test_scratch_that_does_not_fit_a_block_is_in_global_memory(make, rho, monkeypatch):
    monkeypatch.setattr(launch, "SHARED_BYTES", 0)
    monkeypatch.setattr(launch, "BLOCKS_PER_MULTIPROCESSOR", 2)
    check(make(), 5, rho)


@pytest.mark.parametrize("make", SPACES)
@pytest.mark.parametrize("rows", [1, 2, 3, 17])
def test_blocks_take_further_rows_where_there_are_more_than_blocks(make, rows, monkeypatch):
    monkeypatch.setattr(launch, "MAX_BLOCKS", 2)
    check(make(), rows)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_rows_of_a_few_bins_share_a_warp(n):
    check(Chain(n), 13)


def test_arrays_of_a_space_are_put_on_a_device_once(monkeypatch):
    uploads = []
    monkeypatch.setattr(
        driver, "upload", lambda array, device, upload=driver.upload: uploads.append(array) or upload(array, device)
    )
    space = Ring(5)
    check(space, 2)
    first = len(uploads)
    check(space, 3)
    assert first == len(uploads) == 2


def test_row_beyond_four_gibibytes_is_reached():
    apart = 2**32 + 64
    base = np.zeros(2 * apart // 4, np.float32)  # pages that nobody touches take no memory
    rows = np.lib.stride_tricks.as_strided(base, (2, 5), (apart, 4))
    rows[1] = [0, 0, 0, 0, 3]
    a = CupyArray(rows)
    b = np.zeros((2, 5), np.float32)
    b[1, 0] = 3
    np.testing.assert_array_equal(host(fe.emd(a, CupyArray(b), Chain(5))), [0.0, 12.0])

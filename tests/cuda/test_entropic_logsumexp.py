"""Exponentials and sums by their logarithms, as kernels of entropic transport make them."""

import numpy as np
import pytest

from fastemd.arrays.readers import read
from fastemd.cuda.entropic import logsumexp
from fastemd.cuda.entropic import ring as entropic_ring
from fastemd.cuda.primitives import intrinsics
from fastemd.cuda.primitives.intrinsics import cuda, device, types
from fastemd.spaces import Ring
from tests.support.sinkhorn_problems import rounding


def applied(adapter, function, *columns):
    """A function of the device for each row of numbers, by one thread."""

    @cuda.jit
    def kernel(count, out):
        for i in range(count):
            function(out + 8 * i * (len(columns) + 1))

    on_device = adapter.to_device(np.column_stack([*columns, np.zeros(len(columns[0]))]))
    kernel[1, 1](len(columns[0]), read(on_device, "x").address)
    return adapter.to_host(on_device)[:, -1]


@device
def exponential_32(address):
    x = intrinsics.load(address, types.float64)
    intrinsics.store(address + 8, types.float64(logsumexp.clamped_exp_32(types.float32(x))))


@device
def log_sum(address):
    x, y = intrinsics.load(address, types.float64), intrinsics.load(address + 8, types.float64)
    intrinsics.store(address + 16, logsumexp.logsumexp(x, y))


def test_exponential_in_float32_is_within_two_units_of_its_last_place(adapter):
    x = np.float32(np.concatenate([np.linspace(-87, 87, 301), np.linspace(-1, 1, 101)])).astype(float)
    np.testing.assert_allclose(
        applied(adapter, exponential_32, x), np.exp(x), rtol=2 * np.finfo(np.float32).eps, atol=0
    )


def test_exponential_in_float32_is_0_far_below_and_finite_far_above(adapter):
    found = applied(adapter, exponential_32, np.array([-88.0, -1e30, -np.inf, 1e30]))
    np.testing.assert_array_equal(found[:3], 0.0)
    assert np.isfinite(found[3]) and found[3] > 1e37


def test_sums_of_exponentials_of_any_size_are_known_by_their_logarithms(adapter):
    x = np.array([0.0, 5.0, -3.0, 1e5, -1e5, 700.0, -np.inf, -np.inf, 2.0])
    y = np.array([0.0, -5.0, -3.1, 1e5 - 1, 1e5, -900.0, -2.0, -np.inf, -np.inf])
    np.testing.assert_allclose(applied(adapter, log_sum, x, y), np.logaddexp(x, y), rtol=rounding(1), atol=rounding(1))


@pytest.mark.parametrize(
    "lengths", [[1.0], [1.0, 1.0], [1.0, 5.0, 1.0], [0.0, 0.0, 2.0, 0.0], [1.0] * 9, [9.0, *[1.0] * 6]]
)
def test_no_window_of_a_ring_reaches_over_more_than_two_segments(lengths):
    ring = Ring(lengths=lengths)
    _, first, last, end, n, _ = entropic_ring.prepare(ring)
    assert n == len(lengths)
    for side in range(2):
        here = slice(2 * n * side, 2 * n * (side + 1))
        starts, ends = first[here], last[here]
        for i, reach in enumerate(end[n * side : n * (side + 1)]):
            assert i <= reach <= i + n - 1
            assert starts[i] <= i <= ends[i] <= reach
            assert reach == ends[i] or starts[reach] == ends[i] + 1
    right, left = end[:n], end[n:]
    for i in range(n):  # every other bin is in one of the two windows
        assert (right[i] - i) + (left[n - 1 - i] - (n - 1 - i)) == n - 1

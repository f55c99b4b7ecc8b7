"""A cost matrix on a device stays there: it is validated and converted by kernels, with the results of the CPU."""

import numpy as np
import pytest

import fastemd as fe
from fastemd.arrays import device, driver
from fastemd.cuda.entropic import cost_matrix
from fastemd.entropic.validation import check_symmetric, cost_of
from tests.support.fake_libraries import from_bfloat16, to_bfloat16
from tests.support.sinkhorn_problems import histograms

BOTH = pytest.mark.parametrize("function", ["sinkhorn", "sinkhorn_divergence"])
N = 12  # more entries than a block of the simulator has threads
BINS = np.arange(N, dtype=float)
COST = abs(BINS[:, None] - BINS) ** 1.5
DTYPES = ("float16", "float32", "float64", "int8", "uint8", "int32", "int64", "uint64")


@pytest.fixture(params=[256, 2])
def blocks(request, monkeypatch):
    """With two blocks a thread has several entries."""
    monkeypatch.setattr(cost_matrix, "MOST_BLOCKS", request.param)


@pytest.fixture
def sizes(monkeypatch):
    """How many numbers each copy to host memory has."""
    sizes, to_host = [], driver.to_host
    monkeypatch.setattr(driver, "to_host", lambda x: sizes.append(x.size) or to_host(x))
    return sizes


def assert_same_cost(found, expected):
    """The cost of a matrix on the device is that of its copy in host memory."""
    assert found[:1] + found[2:6] == expected[:1] + expected[2:6]
    assert found.device_copy.dtype == np.float64
    np.testing.assert_array_equal(device.to_host(found.device_copy), expected.matrix)


@BOTH
@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_matrix_is_never_copied_to_host_memory(adapter, sizes, function, check, dtype):
    a, b = (adapter.to_device(histograms(np.random.default_rng(seed), 2, N)) for seed in (0, 1))
    cost = COST.astype(dtype)
    options = {"reg": 20.0, "check": check, "max_iter": 4, "tol": 1.0}
    found = getattr(fe, function)(a, b, adapter.to_device(cost), **options)
    assert sizes and max(sizes) < COST.size
    expected = getattr(adapter, function)(adapter.to_host(a), adapter.to_host(b), cost, **options)
    np.testing.assert_array_equal(adapter.to_host(found.value), expected.value)


@pytest.mark.parametrize("dtype", DTYPES)
def test_matrix_of_any_dtype_and_strides_is_that_of_the_cpu(adapter, blocks, dtype):
    whole = np.random.default_rng(2).integers(0, 120, (N + 3, 2 * N)).astype(dtype)
    if dtype.startswith("float"):
        whole = (whole / 7 - 5).astype(dtype)
    for key in (np.s_[:], np.s_[::2, ::-1], np.s_[1:N, 3:20:3], np.s_[:1, :1]):
        for flip in (False, True):
            part = (whole.T if flip else whole)[key]
            assert_same_cost(cost_of(adapter.view(whole, key, flip)), cost_of(part))


def test_bfloat16_is_read_exactly(adapter, blocks):
    numbers = np.random.default_rng(3).random((N, N), np.float32)
    assert_same_cost(cost_of(adapter.to_bfloat16(numbers)), cost_of(from_bfloat16(to_bfloat16(numbers))))


def test_one_row_may_serve_for_all(adapter):
    x = adapter.view(BINS)
    x.__cuda_array_interface__ |= {"shape": (5, N), "strides": (0, 8)}
    assert_same_cost(cost_of(x), cost_of(np.broadcast_to(BINS, (5, N))))


def test_float64_in_c_order_is_not_copied(adapter):
    found = cost_of(adapter.to_device(COST.copy()))
    assert found.device_copy is found.matrix
    assert cost_of(adapter.to_device(np.float32(COST))).device_copy is not found.matrix


@BOTH
@pytest.mark.parametrize("entry", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_first_entry_that_is_not_finite_is_named(adapter, blocks, function, entry, dtype):
    cost = COST.astype(dtype)
    cost[7, 0], cost[3, 8], cost[3, 9] = np.nan, entry, np.inf
    a = np.full(N, 1 / N)
    with pytest.raises(ValueError) as on_the_device:
        getattr(fe, function)(adapter.to_device(a), adapter.to_device(a), adapter.to_device(cost), reg=1.0)
    if entry != np.inf:  # in host memory inf forbids a pair
        with pytest.raises(ValueError) as on_the_cpu:
            getattr(fe, function)(a, a, cost, reg=1.0)
        assert str(on_the_cpu.value).startswith(str(on_the_device.value).rstrip("."))
    assert str(on_the_device.value).startswith(f"cost_or_space[3, 8] is {entry}. Needed: finite costs")


def test_matrix_without_a_finite_entry_names_the_first(adapter):
    with pytest.raises(ValueError, match=r"cost_or_space\[0, 0\] is nan"):
        cost_of(adapter.to_device(np.full((3, 3), np.nan)))


def test_first_pair_that_differs_is_named_for_a_divergence(adapter, blocks):
    cost = COST.copy()
    cost[8, 4] += 0.5
    cost[2, 11] -= 0.25
    cost[2, 9] *= 1 + 1e-12
    with pytest.raises(ValueError) as on_the_cpu:
        check_symmetric(cost_of(cost))
    with pytest.raises(ValueError) as on_the_device:
        check_symmetric(cost_of(adapter.to_device(cost)))
    assert str(on_the_device.value) == str(on_the_cpu.value)
    assert str(on_the_device.value).startswith("cost_or_space[2, 9] is 18.52")


def test_matrix_of_another_shape_is_refused_as_on_the_cpu(adapter):
    for cost, match in (
        (np.ones(3), r"shape \(3,\). Needed: a matrix"),
        (np.ones((0, 3)), r"shape \(0, 3\). Needed: a matrix"),
        (np.ones((2, 3)), r"shape \(2, 3\). Needed for a divergence"),
    ):
        with pytest.raises(ValueError, match=match):
            check_symmetric(cost_of(adapter.to_device(cost)))
    with pytest.raises(TypeError, match="cost_or_space has dtype bool"):
        cost_of(adapter.to_device(np.ones((2, 2), bool)))


def test_costs_that_span_more_than_float64_holds_are_refused(adapter):
    with pytest.raises(ValueError, match="spans more than float64 holds"):
        cost_of(adapter.to_device(np.array([[1e308, -1e308]])))

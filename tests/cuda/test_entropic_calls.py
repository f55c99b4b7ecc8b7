"""Calls of Sinkhorn's functions with arrays on a device: what comes in and goes out, bad rows, when the host looks."""

import re

import numpy as np
import pytest

import fastemd as fe
from tests.support import fake_libraries
from tests.support.fake_libraries import ANSWERS, MAKERS, NumbaArray, bfloat16_array, from_bfloat16, host, to_bfloat16
from tests.support.sinkhorn_problems import AGREED, histograms

A, B = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]), np.array([[0.2, 0.5, 0.3], [0.6, 0.2, 0.2]])
COST = fe.Chain(3).cost_matrix()
COSTS = {"matrix": lambda: COST, "chain": lambda: fe.Chain(3), "tree": lambda: fe.Tree([-1, 0, 1], [0.0, 1.0, 1.0])}
EVERY_COST = pytest.mark.parametrize("cost", COSTS)
BOTH = pytest.mark.parametrize("function", ["sinkhorn", "sinkhorn_divergence"])
REG = 2.0  # large beside the costs: few iterations


def close(x, y, atol=AGREED):
    np.testing.assert_allclose(np.asarray(x, np.float64), np.asarray(y, np.float64), rtol=0, atol=atol)


# --- Arrays in and out ------------------------------------------------------------------------------------------------


@EVERY_COST
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "uint8"])
def test_answers_have_the_dtype_of_the_histograms(adapter, cost, dtype):
    a, b = np.array([[2, 1, 1], [1, 3, 0]], dtype), np.array([[1, 2, 1]], dtype)
    wanted = np.dtype(dtype if dtype.startswith("float") else "float64")
    result = adapter.sinkhorn(a, b, COSTS[cost](), reg=REG, plan=True)
    exact = fe.sinkhorn(a.astype(float), b.astype(float), COST, reg=REG, plan=True)
    for name in ("value", "regularised_value", "grad_a", "grad_b", "plan"):
        found = getattr(result, name)
        assert found.dtype == wanted
        close(found, getattr(exact, name), 1e-5 if wanted.itemsize > 2 else 1e-2)
    assert result.n_iter.dtype == np.int64 and result.converged.dtype == bool
    assert result.marginal_error.dtype == np.float64


@EVERY_COST
def test_bfloat16_is_read_exactly_and_rounded_once(adapter, cost):
    a, b = (from_bfloat16(to_bfloat16(x.astype(np.float32))) for x in (A, B))
    options = {"reg": REG, "mass": "normalize", "tol": 1e-6}
    found = fe.sinkhorn(adapter.to_bfloat16(a), adapter.to_bfloat16(b), COSTS[cost](), **options)
    exact = fe.sinkhorn(a.astype(float), b.astype(float), COST, **options)
    half = adapter.from_bfloat16(found.value)
    low, high = (from_bfloat16(to_bfloat16((exact.value + off).astype(np.float32))) for off in (-1e-5, 1e-5))
    assert ((low <= half) & (half <= high)).all()


@pytest.mark.parametrize("shapes", [((), ()), ((1,), ()), ((), (3,)), ((2, 1), (1, 2)), ((2, 1, 2), (2, 1))])
def test_leading_axes_broadcast_and_one_pair_has_answers_without_axes(adapter, shapes):
    rng = np.random.default_rng(0)
    a, b = (rng.dirichlet(np.ones(3), shape) for shape in shapes)
    f, g = np.zeros((3,)), np.zeros((*shapes[1], 3))
    result = adapter.sinkhorn(a, b, COST, reg=REG, plan=True, potentials=(f, g), tol=1e-6)
    expected = fe.sinkhorn(a, b, COST, reg=REG, plan=True, potentials=(f, g), tol=1e-6)
    for name in ("value", "n_iter", "converged", "marginal_error", "grad_a", "grad_b", "plan"):
        assert getattr(result, name).shape == np.shape(getattr(expected, name))
        close(getattr(result, name), getattr(expected, name))
    ours, theirs = (f(a, b, COST, reg=REG, tol=1e-5) for f in (adapter.sinkhorn_divergence, fe.sinkhorn_divergence))
    for name in ("value", "n_iter", "converged", "grad_a", "grad_b"):
        assert getattr(ours, name).shape == np.shape(getattr(theirs, name))
        close(getattr(ours, name), getattr(theirs, name))


@EVERY_COST
@pytest.mark.parametrize("key", [np.s_[::2, ::-1], np.s_[::-1, 1:7:2], np.s_[:1, 2:5]], ids=str)
def test_histograms_are_read_where_they_lie(adapter, cost, key):
    whole = np.random.default_rng(1).random((4, 9))
    part = whole[key][:, :3]
    x = adapter.view(whole, key)
    x.__cuda_array_interface__["shape"] = part.shape
    found = fe.sinkhorn(x, adapter.to_device(B[:1]), COSTS[cost](), reg=REG, mass="normalize", tol=1e-6)
    close(adapter.to_host(found.value), fe.sinkhorn(part, B[:1], COST, reg=REG, mass="normalize", tol=1e-6).value)


def test_cost_may_lie_on_the_device_in_any_dtype_and_strides(adapter):
    rng = np.random.default_rng(2)
    for dtype in ("float32", "float64", "int64"):
        cost = rng.integers(0, 4, (6, 8)).astype(dtype)
        part = cost[::2, 1:4]
        found = fe.sinkhorn(adapter.to_device(A), adapter.to_device(B), adapter.view(cost, np.s_[::2, 1:4]), reg=REG)
        close(adapter.to_host(found.value), fe.sinkhorn(A, B, part, reg=REG).value)


def test_potentials_may_lie_on_either_side(adapter):
    f, g = np.array([1.0, 0.0, -1.0]), np.zeros((2, 3))
    expected = fe.sinkhorn(A, B, COST, reg=REG, potentials=(f, g))
    for pair in ((f, g), (adapter.to_device(f), g), (adapter.to_device(f.astype(np.float32)), adapter.to_device(g))):
        found = fe.sinkhorn(adapter.to_device(A), adapter.to_device(B), COST, reg=REG, potentials=pair)
        close(adapter.to_host(found.value), expected.value)
        np.testing.assert_array_equal(adapter.to_host(found.n_iter), expected.n_iter)


@BOTH
def test_batch_without_rows_has_an_empty_answer(adapter, function):
    result = getattr(adapter, function)(np.empty((0, 3)), B[0], COST, reg=REG)
    assert result.value.shape == (0,) and result.grad_a.shape == (0, 3)


def test_inputs_stay_as_they_are(adapter):
    arrays = [adapter.to_device(x.copy()) for x in (A, B, COST, np.zeros(3))]
    a, b, cost, zero = arrays
    fe.sinkhorn(a, b, cost, reg=REG, potentials=(zero, zero))
    for array, before in zip(arrays, (A, B, COST, np.zeros(3)), strict=True):
        np.testing.assert_array_equal(adapter.to_host(array), before)


@EVERY_COST
def test_rows_are_solved_in_parts_where_memory_is_small(adapter, cost, monkeypatch):
    from fastemd.cuda.entropic import launch as entropic_launch

    a, b = histograms(np.random.default_rng(3), 7, 3), B[:1]
    whole = adapter.sinkhorn(a, b, COSTS[cost](), reg=REG, plan=True, tol=1e-3)
    monkeypatch.setattr(entropic_launch, "MOST_MEMORY", 3 * 8 * 60)
    parts = adapter.sinkhorn(a, b, COSTS[cost](), reg=REG, plan=True, tol=1e-3)
    for name in ("value", "grad_a", "plan", "n_iter"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


# --- Bad rows, and rows that do not converge --------------------------------------------------------------------------

BAD = {
    "NaN": ([np.nan, 1.0, 0.0], {}),
    "infinite": ([np.inf, 1.0, 0.0], {}),
    "negative": ([1.5, -0.5, 0.0], {}),
    "another mass": ([1.0, 1.0, 1.0], {}),
    "empty": ([0.0, 0.0, 0.0], {"mass": "normalize"}),
}


@BOTH
@EVERY_COST
def test_bad_rows_alone_are_nan_without_check(adapter, function, cost):
    a = np.array([A[0], *(row for row, _ in BAD.values()), A[1]])
    result = getattr(adapter, function)(a, B[0], COSTS[cost](), reg=REG, check=False, tol=1e-4)
    good = getattr(adapter, function)(A, B[0], COSTS[cost](), reg=REG, tol=1e-4)
    for name in ("value", "grad_a", "grad_b", "marginal_error"):
        found = getattr(result, name)
        assert np.isnan(found[1:-1]).all()
        np.testing.assert_array_equal(found[[0, -1]], getattr(good, name))
    np.testing.assert_array_equal(result.converged, [True, *[False] * len(BAD), True])


@BOTH
@pytest.mark.parametrize("kind", BAD)
def test_bad_row_raises_the_words_of_the_cpu(adapter, function, kind):
    row, options = BAD[kind]
    a = np.array([A[0], row, A[1]])
    with pytest.raises(ValueError) as on_the_cpu:
        getattr(fe, function)(a, B[0], COST, reg=REG, **options)
    with pytest.raises(ValueError) as on_the_device:
        getattr(adapter, function)(a, B[0], COST, reg=REG, **options)
    assert str(on_the_device.value) == str(on_the_cpu.value)


def test_potentials_that_are_not_finite_are_refused(adapter):
    f = np.array([0.0, np.nan, 0.0])
    with pytest.raises(ValueError, match=r"potentials\[0\] is not finite"):
        adapter.sinkhorn(A, B, COST, reg=REG, potentials=(f, np.zeros(3)))
    result = adapter.sinkhorn(A, B, COST, reg=REG, potentials=(f, np.zeros(3)), check=False)
    assert np.isnan(result.value).all() and not result.converged.any()


@BOTH
@EVERY_COST
def test_rows_that_do_not_converge_are_told_as_on_the_cpu(adapter, function, cost):
    options = {"reg": 0.3, "max_iter": 2}
    with pytest.warns(fe.SinkhornWarning) as on_the_cpu:
        theirs = getattr(fe, function)(A, B, COSTS[cost](), **options)
    with pytest.warns(fe.SinkhornWarning) as on_the_device:
        ours = getattr(adapter, function)(A, B, COSTS[cost](), **options)
    assert len(on_the_device) == 1
    assert str(on_the_device[0].message) == str(on_the_cpu[0].message)
    np.testing.assert_array_equal(ours.converged, theirs.converged)
    np.testing.assert_array_equal(ours.n_iter, theirs.n_iter)
    assert np.isfinite(ours.value).all()


def test_scaling_that_cannot_be_safe_becomes_log_and_says_so_without_check_too(adapter):
    for check in (True, False):
        with pytest.warns(fe.SinkhornWarning, match="method='scaling' became 'log'"):
            result = adapter.sinkhorn(A, B, COST, reg=COST.max() / 290, method="scaling", tol=3.0, check=check)
        assert result.method == "log"


# --- When the host looks ----------------------------------------------------------------------------------------------


@pytest.fixture
def launches(monkeypatch):
    """How many iterations each launch of the loop may have, and how often the host has fetched something."""
    from fastemd.arrays import driver
    from fastemd.cuda.primitives import intrinsics

    steps, fetched = [], []
    launch, to_host = intrinsics.launch, driver.to_host

    def counted(kernel, blocks, threads, stream, shared_bytes, arguments):
        if type(arguments[-2]) is int and type(arguments[0]).__name__ == "SolverState" and len(arguments) == 7:
            steps.append(arguments[-2])
        launch(kernel, blocks, threads, stream, shared_bytes, arguments)

    monkeypatch.setattr(intrinsics, "launch", counted)
    monkeypatch.setattr(driver, "to_host", lambda x: fetched.append(x) or to_host(x))
    return steps, fetched


@EVERY_COST
def test_without_check_all_iterations_are_queued_and_nothing_is_fetched(adapter, cost, launches):
    steps, fetched = launches
    fe.sinkhorn(adapter.to_device(A), adapter.to_device(B), COSTS[cost](), reg=REG, check=False, max_iter=100)
    assert sum(steps) == 101 and steps[0] < steps[1] < steps[2]
    assert not fetched


@EVERY_COST
def test_with_check_the_host_stops_when_no_row_is_left(adapter, cost, launches):
    steps, _ = launches
    result = fe.sinkhorn(adapter.to_device(A), adapter.to_device(B), COSTS[cost](), reg=REG)
    most = adapter.to_host(result.n_iter).max() + 1
    assert most <= sum(steps) < 10_001
    assert sum(steps[:-1]) < most


# --- Libraries and places ---------------------------------------------------------------------------------------------
# The host's side, on the stand-ins; what is particular to a real library is tested where there is a device.


@pytest.fixture
def stand_ins(monkeypatch):
    from tests.support import simulator
    from tests.support.gpu import obstacle

    if not obstacle():
        pytest.skip("numba simulates a device only where there is none")
    with fake_libraries.installed(monkeypatch) as libraries:
        simulator.install(monkeypatch)
        yield libraries


@pytest.mark.parametrize("library", MAKERS)
def test_answers_are_of_the_callers_library(stand_ins, library):
    make, kind = MAKERS[library], ANSWERS.get(library, NumbaArray)
    result = fe.sinkhorn(make(A.copy()), make(B.copy()), COST, reg=REG, plan=True)
    expected = fe.sinkhorn(A, B, COST, reg=REG, plan=True)
    f, g = result.potentials
    for name in ("value", "regularised_value", "plan", "n_iter", "marginal_error", "converged", "grad_a", "grad_b"):
        found = getattr(result, name)
        assert type(found) is kind
        close(host(found), getattr(expected, name))
    assert type(f) is type(g) is kind
    again = fe.sinkhorn(make(A.copy()), make(B.copy()), COST, reg=REG, potentials=result.potentials, tol=1e-8)
    assert not host(again.n_iter).any()
    apart = fe.sinkhorn_divergence(make(A.copy()), make(B.copy()), COST, reg=REG)
    close(host(apart.value), fe.sinkhorn_divergence(A, B, COST, reg=REG).value)
    assert type(apart.value) is type(apart.grad_b) is type(apart.converged) is kind


@pytest.mark.parametrize("package", ["cupy", "torch"])
def test_bfloat16_of_a_library_is_answered_in_it(stand_ins, package):
    found = fe.sinkhorn(
        bfloat16_array(A, package), bfloat16_array(B, package), COST, reg=REG, mass="normalize", plan=True
    )
    for x in (found.value, found.plan, found.grad_a):
        assert str(x.dtype).endswith("bfloat16")
    close(host(found.value), fe.sinkhorn(A, B, COST, reg=REG).value, 0.02)


def test_memory_that_is_borrowed_is_waited_for(stand_ins, monkeypatch):
    from fastemd.arrays import driver

    waited = []
    monkeypatch.setattr(driver, "synchronize", lambda device, stream: waited.append(device))
    for library, expected in (("cupy", []), ("jax", [0])):
        make = MAKERS[library]
        fe.sinkhorn(make(A.copy()), make(B.copy()), COST, reg=REG, check=False, max_iter=9)
        assert waited == expected


def test_host_and_device_are_not_mixed(stand_ins):
    device_array = MAKERS["cupy"]
    for a, b in ((device_array(A.copy()), B), (A, device_array(B.copy()))):
        with pytest.raises(TypeError, match=r"lies on CUDA device 0.*and .* in host memory|in host memory .*and b on"):
            fe.sinkhorn(a, b, COST, reg=REG)
    with pytest.raises(TypeError, match=r"a lies in host memory .* and cost_or_space on CUDA device 0"):
        fe.sinkhorn(A, B, device_array(COST.copy()), reg=REG)
    with pytest.raises(TypeError, match=r"potentials\[0\] lies on CUDA device 0"):
        fe.sinkhorn(A, B, COST, reg=REG, potentials=(device_array(np.zeros(3)), np.zeros(3)))


def test_histograms_and_matrix_are_used_on_one_stream(stand_ins):
    stand_ins.streams["torch"][0] = 0x70
    with pytest.raises(
        ValueError, match=r"a \(cupy.ndarray\) is used on stream 0x1 and cost_or_space \(torch.Tensor\)"
    ):
        fe.sinkhorn(MAKERS["cupy"](A.copy()), MAKERS["cupy"](B.copy()), MAKERS["torch"](COST.copy()), reg=REG)


def test_matrix_that_is_borrowed_is_waited_for(stand_ins, monkeypatch):
    from fastemd.arrays import driver

    waited = []
    monkeypatch.setattr(driver, "synchronize", lambda device, stream: waited.append(device))
    a, b = MAKERS["cupy"](A.copy()), MAKERS["cupy"](B.copy())
    fe.sinkhorn(a, b, MAKERS["jax"](COST.copy()), reg=REG, check=False, max_iter=9)
    assert waited == [0]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"potentials": (np.zeros(3), np.zeros(4))}, ValueError, r"potentials\[1\] has shape \(4,\)"),
        ({"potentials": A}, TypeError, "Needed: a pair"),
        ({"reg": -1.0}, ValueError, "reg is -1"),
        ({"method": "fast"}, ValueError, "method is 'fast'"),
        ({"b": np.ones((2, 4))}, ValueError, r"b has shape \(2, 4\). Needed: 3 bins"),
        ({"b": B.astype(np.float32)}, TypeError, "a has dtype float64 and b has dtype float32"),
        ({"b": B.astype(bool)}, TypeError, "b has dtype bool"),
    ],
)
def test_bad_arguments_are_told_as_on_the_cpu(stand_ins, options, error, match):
    device_array = MAKERS["cupy"]
    options = {"a": A, "b": B, "cost_or_space": COST, "reg": REG} | options
    a, b = (device_array(options.pop(name).copy()) for name in "ab")
    with pytest.raises(error, match=match):
        fe.sinkhorn(a, b, **options)


def test_memory_that_runs_out_is_named(stand_ins):
    a, b = (MAKERS["cupy"](x.copy()) for x in (A, B))
    stand_ins.bytes_left = 500
    with pytest.raises(MemoryError, match=re.escape("left for an array of shape")):
        fe.sinkhorn(a, b, COST, reg=REG)
    stand_ins.bytes_left = None
    assert host(fe.sinkhorn(a, b, COST, reg=REG).converged).all()

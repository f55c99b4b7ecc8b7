"""Samples on a line and on a circle: values by SciPy and by rings, gradients by differences and on ties."""

import numpy as np
import ot
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

import fastemd as fe
from fastemd import reference
from tests.support.tolerance import tolerance

ALL = ("x", "y", "wx", "wy")


@st.composite
def samples(draw, period=None):
    """Positions with ties and weights, each of mass 1."""
    places, weights = [], []
    for _ in "xy":
        n = draw(st.integers(1, 8))
        place = st.integers(0, 6) if draw(st.booleans()) else st.floats(0.0, 7.0)
        places.append(np.array(draw(st.lists(place, min_size=n, max_size=n)), dtype=float))
        w = np.array(draw(st.lists(st.integers(1, 5), min_size=n, max_size=n)), dtype=float)
        weights.append(w / w.sum())
    return (*places, *weights)


def within(x, y, length=8.0):
    return tolerance(np.float64, 8 * (len(x) + len(y)), 1.0, length)


def on_a_ring(x, y, wx, wy, period, rho):
    """The same distance as that of histograms on a ring with a bin for each position."""
    places, index = np.unique(np.concatenate([x, y]) % period, return_inverse=True)
    ring = fe.Ring(lengths=np.diff(places, append=places[0] + period))
    a, b = (np.zeros(len(places)) for _ in "ab")
    np.add.at(a, index[: len(x)], wx)
    np.add.at(b, index[len(x) :], wy)
    return reference.emd(a, b, ring, rho=rho, mass="normalize")


@given(samples())
def test_value_is_that_of_scipy(sample):
    x, y, wx, wy = sample
    expected = scipy.stats.wasserstein_distance(x, y, wx, wy)
    assert abs(fe.wasserstein_1d(x, y, wx, wy) - expected) <= within(x, y)
    assert abs(fe.wasserstein_1d(x, y) - scipy.stats.wasserstein_distance(x, y)) <= within(x, y)


@given(samples(), st.sampled_from([1, 1.5, 2, 3]))
def test_value_on_a_circle_is_that_on_a_ring(sample, rho):
    x, y, wx, wy = sample
    expected = on_a_ring(x, y, wx, wy, 5.0, rho)
    found = fe.wasserstein_1d(x, y, wx, wy, period=5.0, rho=rho)
    # Away from 1 and 2 the reference stops at a bracket of its own.
    slack = within(x, y) if rho in (1, 2) else np.sqrt(within(x, y))
    assert abs(found - expected) <= slack
    if rho == 1:
        assert found <= fe.wasserstein_1d(x % 5, y % 5, wx, wy) + within(x, y)


def test_value_on_a_circle_is_that_of_pot():
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 20))
    expected = ot.wasserstein_circle(x[:, None], y[:, None], p=1)[0]
    assert abs(fe.wasserstein_1d(x, y, period=1) - expected) <= np.sqrt(within(x, y))


@given(samples(), st.sampled_from([1, 1.5, 2]), st.sampled_from([None, 5.0]))
def test_gradient_by_weights_is_a_subgradient(sample, rho, period):
    x, y, wx, wy = sample
    value, (by_wx, by_wy) = fe.wasserstein_1d_value_and_grad(x, y, wx, wy, rho=rho, period=period, wrt=("wx", "wy"))
    slack = 100 * within(x, y) if rho in (1, 2) else np.sqrt(within(x, y))
    for k in (0, len(wx) - 1):
        other = np.eye(len(wx))[k]
        assert fe.wasserstein_1d(x, y, other, wy, rho=rho, period=period) >= value + by_wx @ (other - wx) - slack
    other = np.eye(len(wy))[0]
    assert fe.wasserstein_1d(x, y, wx, other, rho=rho, period=period) >= value + by_wy @ (other - wy) - slack


@pytest.mark.parametrize("rho", [1, 2, 2.5])
@pytest.mark.parametrize("period", [None, 1.0])
def test_gradients_are_those_of_differences(rho, period):
    rng = np.random.default_rng(4)
    x, y = rng.random(5), rng.random(7)
    wx, wy = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(7))
    arrays = dict(zip(ALL, (x, y, wx, wy), strict=True))
    _, gradients = fe.wasserstein_1d_value_and_grad(**arrays, rho=rho, period=period, wrt=ALL)
    h = np.cbrt(np.finfo(float).eps)
    for name, gradient in zip(ALL, gradients, strict=True):
        step = rng.normal(size=len(gradient))
        step -= step.mean()
        up, down = (
            fe.wasserstein_1d(
                **(arrays | {name: arrays[name] + sign * h * step}), rho=rho, period=period, check=False, mass="equal"
            )
            if name in "xy"
            else reference_value(arrays | {name: arrays[name] + sign * h * step}, rho, period)
            for sign in (1, -1)
        )
        assert abs((up - down) / (2 * h) - gradient @ step) <= 100 * h


def reference_value(arrays, rho, period):
    """Weights whose sum is rounded differently are divided by it, which changes nothing else."""
    scale = arrays["wx"].sum() / arrays["wy"].sum()
    return fe.wasserstein_1d(arrays["x"], arrays["y"], arrays["wx"], arrays["wy"] * scale, rho=rho, period=period)


@given(samples())
def test_gradient_on_ties_lies_between_the_two_directions(sample):
    x, y, wx, wy = sample
    value, by_x = fe.wasserstein_1d_value_and_grad(x, y, wx, wy)
    gaps = np.diff(np.unique(np.concatenate([x, y])))
    h = min(1.0, gaps.min(initial=1.0)) / 4
    if h < np.sqrt(np.finfo(float).eps):
        return
    for place in np.unique(x):
        together = x == place  # all samples at a position move at once
        right = (fe.wasserstein_1d(x + h * together, y, wx, wy) - value) / h
        left = (value - fe.wasserstein_1d(x - h * together, y, wx, wy)) / h
        slope = by_x[together].sum()
        slack = within(x, y) / h
        assert min(left, right) - slack <= slope <= max(left, right) + slack
        assert abs(slope - (left + right) / 2) <= slack


@pytest.mark.parametrize("n", [3, 7, 10, 49])
@pytest.mark.parametrize("period", [None, 1.0])
def test_equal_samples_have_no_value_and_no_gradient(n, period):
    x = np.random.default_rng(n).integers(0, 4, n) / 4
    value, gradients = fe.wasserstein_1d_value_and_grad(x, x[::-1], wrt=ALL, period=period)
    assert value <= within(x, x)
    for gradient in gradients:
        assert np.abs(gradient).max() <= within(x, x)


def test_leading_axes_broadcast_and_the_dtype_is_the_callers():
    rng = np.random.default_rng(2)
    x, y = rng.random((4, 1, 6), dtype=np.float32), rng.random((3, 5), dtype=np.float32)
    value, (by_x, by_wy) = fe.wasserstein_1d_value_and_grad(x, y, wrt=("x", "wy"))
    assert (value.shape, by_x.shape, by_wy.shape) == ((4, 3), (4, 3, 6), (4, 3, 5))
    assert {value.dtype, by_x.dtype, by_wy.dtype} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(value[2, 1], fe.wasserstein_1d(x[2, 0], y[1]))
    assert fe.wasserstein_1d([0, 1], [2, 3]).dtype == np.float64


def test_positions_a_period_apart_are_the_same():
    x, y = np.array([0.0, 23.0]), np.array([25.0, -1.0])
    assert fe.wasserstein_1d(x, y, period=24) == 0.5


def test_normalize_divides_weights_and_its_gradient_is_that_of_the_composition():
    x, y, wx, wy = np.array([0.0, 1.0, 3.0]), np.array([2.0, 5.0]), np.array([1.0, 2.0, 3.0]), np.array([2.0, 5.0])
    options = {"mass": "normalize", "rho": 2}
    value, by_wx = fe.wasserstein_1d_value_and_grad(x, y, wx, wy, wrt="wx", centred=False, **options)
    h = np.cbrt(np.finfo(float).eps)
    for i in range(3):
        step = h * np.eye(3)[i]
        up, down = (fe.wasserstein_1d(x, y, wx + sign * step, wy, **options) for sign in (1, -1))
        assert abs((up - down) / (2 * h) - by_wx[i]) <= 100 * h
    assert abs(value - fe.wasserstein_1d(x, y, wx / 6, wy / 7, rho=2)) <= within(x, y)


def test_inputs_are_not_modified():
    x, w = np.array([3.0, 1.0]), np.array([0.5, 0.5])
    x.flags.writeable = w.flags.writeable = False
    fe.wasserstein_1d_value_and_grad(x, x, w, w, period=2.0, mass="normalize")


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"x": [np.nan, 0.0]}, ValueError, r"x\[0\] is nan"),
        ({"x": []}, ValueError, r"x has shape \(0,\)"),
        ({"wx": [1.0, -1.0]}, ValueError, r"wx\[1\] is -1"),
        ({"wx": [1.0]}, ValueError, r"wx has shape \(1,\) and x has shape \(2,\)"),
        ({"wx": [1.0, 1.0]}, ValueError, "wx has mass 2 and wy has mass 1"),
        ({"wx": [0.0, 0.0], "mass": "normalize"}, ValueError, "wx has mass 0"),
        ({"x": np.zeros((2, 2)), "y": np.zeros((3, 2))}, ValueError, "no common batch shape"),
        ({"rho": 0.5}, ValueError, "rho is 0.5"),
        ({"period": 0}, ValueError, "period is 0"),
        ({"period": "day"}, TypeError, "period is 'day'"),
        ({"mass": "root"}, ValueError, "mass is 'root'"),
    ],
)
def test_bad_input_is_named(arguments, error, says):
    with pytest.raises(error, match=says):
        fe.wasserstein_1d(**({"x": [0.0, 1.0], "y": [1.0, 2.0]} | arguments))


def test_unknown_wrt_is_named():
    with pytest.raises(ValueError, match="wrt is 'z'"):
        fe.wasserstein_1d_value_and_grad([0.0], [1.0], wrt="z")


def test_bad_row_is_nan_where_it_is_not_checked():
    x = np.array([[0.0, 1.0], [np.inf, 0.0], [2.0, 3.0]])
    value, by_x = fe.wasserstein_1d_value_and_grad(x, [0.0, 1.0], check=False)
    np.testing.assert_array_equal(np.isnan(value), [False, True, False])
    np.testing.assert_array_equal(np.isnan(by_x).all(axis=1), [False, True, False])
    assert value[2] == 2.0

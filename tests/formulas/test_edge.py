"""The cost of an edge and its slope, as plain functions of numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastemd.formulas.edge import cost, sign, slope
from fastemd.formulas.gradient import CENTRED, EXPECTED, POTENTIAL, UNCENTRED, WRT_A, WRT_B
from tests.support.tolerance import tolerance

flows = st.floats(-100.0, 100.0)
lengths = st.floats(0.0, 100.0)
exponents = st.one_of(st.sampled_from([1, 2, 1.0, 2.0]), st.floats(1.0, 4.0))


@pytest.mark.parametrize(
    ("phi", "expected"),
    [(3.0, 1.0), (-0.5, -1.0), (0.0, 0.0), (-0.0, 0.0), (5e-324, 1.0), (math.inf, 1.0), (-math.inf, -1.0)],
)
def test_sign_is_minus_one_zero_or_one(phi, expected):
    assert sign(phi) == expected


@given(flows, lengths, exponents)
def test_cost_is_length_times_the_power_of_the_flow(phi, length, rho):
    expected = length * abs(phi) ** rho
    assert abs(cost(phi, length, rho) - expected) <= tolerance(np.float64, 1, expected, 1)


@pytest.mark.parametrize(
    ("phi", "length", "rho", "value", "rise"),
    [
        (3.0, 2.0, 1, 6.0, 2.0),
        (-3.0, 2.0, 1, 6.0, -2.0),
        (3.0, 2.0, 2, 18.0, 12.0),
        (-3.0, 2.0, 2, 18.0, -12.0),
        (3.0, 2.0, 3, 54.0, 54.0),
        (-3.0, 2.0, 3, 54.0, -54.0),
        (4.0, 2.0, 1.5, 16.0, 6.0),
        (-4.0, 2.0, 1.5, 16.0, -6.0),
        (5.0, 0.0, 1, 0.0, 0.0),
        (5.0, 0.0, 2, 0.0, 0.0),
        (5.0, 0.0, 3, 0.0, 0.0),
    ],
)
def test_cost_and_slope_are_these_numbers(phi, length, rho, value, rise):
    assert cost(phi, length, rho) == value
    assert slope(phi, length, rho) == rise


@given(st.floats(0.5, 100.0), st.sampled_from([-1.0, 1.0]), lengths, exponents)
def test_slope_is_the_derivative_of_the_cost(size, side, length, rho):
    phi = side * size
    step = size * np.finfo(np.float64).eps ** (1 / 3)
    quotient = (cost(phi + step, length, rho) - cost(phi - step, length, rho)) / (2 * step)
    # Rounding of two costs, and the third derivative, at most rho**3 * cost / phi**3 for rho <= 4.
    value = cost(phi, length, rho)
    off = tolerance(np.float64, 1, value, 1) / step + rho**3 * value / (size - step) ** 3 * step**2
    assert abs(slope(phi, length, rho) - quotient) <= off


@given(lengths, exponents)
def test_slope_without_flow_is_zero(length, rho):
    assert slope(0.0, length, rho) == 0.0
    assert slope(-0.0, length, rho) == 0.0
    assert cost(0.0, length, rho) == 0.0


@given(flows, lengths, exponents)
def test_cost_is_even_and_slope_is_odd(phi, length, rho):
    assert cost(-phi, length, rho) == cost(phi, length, rho)
    assert slope(-phi, length, rho) == -slope(phi, length, rho)


@given(lengths, exponents)
def test_nan_in_is_nan_out(length, rho):
    assert math.isnan(sign(math.nan))
    assert math.isnan(cost(math.nan, length, rho))
    assert math.isnan(slope(math.nan, length, rho))


@given(flows, lengths, st.sampled_from([1, 2]))
def test_short_forms_of_cost_and_slope_are_the_general_ones(phi, length, rho):
    general = math.nextafter(rho, 3.0)
    far = 8 + abs(math.log(max(abs(phi), math.ulp(0.0))))
    assert abs(cost(phi, length, general) - cost(phi, length, rho)) <= tolerance(
        np.float64, far, cost(phi, length, rho), 1
    )
    expected = slope(phi, length, rho)
    assert abs(slope(phi, length, general) - expected) <= tolerance(np.float64, far, abs(expected), 1)


def test_names_of_a_gradient_differ():
    assert len({UNCENTRED, CENTRED, EXPECTED}) == 3
    assert len({POTENTIAL, WRT_A, WRT_B}) == 3

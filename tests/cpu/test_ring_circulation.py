"""The circulation around a ring: the lower weighted median, the weighted mean, the root of the sum of slopes."""

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastemd as fe
from fastemd.spaces import Ring
from tests.support.kernel_problems import calls, moved, total_mass, value_slack
from tests.support.reference_problems import close

ROWS = (((11,), (11,)),)


def lower_median(prefix, lengths):
    """Return the smallest prefix that, with all below it, has half of the length, by trying each of them."""
    if not np.any(lengths > 0):
        return 0.0
    half = lengths.sum() / 2
    return min(
        p for p, length in zip(prefix, lengths, strict=True) if length > 0 and lengths[prefix <= p].sum() >= half
    )


@given(calls(Ring, "int32", batches=ROWS))
def test_flow_is_the_prefix_less_the_lower_weighted_median(call):
    ring, a, b, _ = call
    phi = fe.flow(a, b, ring)
    for row, difference in enumerate(a - b):
        prefix = np.array(list(accumulate(difference.tolist())), float)
        np.testing.assert_array_equal(phi[row], prefix - lower_median(prefix, ring.lengths))


@given(calls(Ring, "float64", batches=ROWS))
def test_value_of_rho_2_is_the_weighted_variance_about_the_mean(call):
    ring, a, b, _ = call
    prefix, lengths = np.cumsum(a - b, axis=-1), ring.lengths
    mean = (prefix @ lengths / lengths.sum() if lengths.any() else np.zeros(11))[:, np.newaxis]
    value, by_length = fe.emd_value_and_grad(a, b, ring, rho=2, wrt="length")
    mass = total_mass(a, b)
    close(value, (prefix - mean) ** 2 @ lengths, value_slack(ring, mass, 2))
    close(by_length, (prefix - mean) ** 2, 2 * moved(ring, mass**2))


@given(calls(Ring, "float64", batches=ROWS), st.floats(1.0, 8.0), st.floats(-1.0, 1.0))
def test_no_other_circulation_costs_less(call, rho, share):
    ring, a, b, _ = call
    mass = total_mass(a, b)
    prefix = np.cumsum(a - b, axis=-1)
    cost = (np.abs(prefix - share * mass) ** rho) @ ring.lengths
    assert np.all(fe.emd(a, b, ring, rho=rho) <= cost + value_slack(ring, 2 * mass, rho))


@pytest.mark.parametrize("rho", [1, 1.5, 2, 3])
@given(data=st.data())
def test_turning_the_ring_turns_the_answer(rho, data):
    ring, a, b, _ = data.draw(calls(Ring, "float64", batches=ROWS))
    turn = data.draw(st.integers(0, ring.n - 1), label="turn")
    turned = Ring(lengths=np.roll(ring.lengths, turn))
    left, right = np.roll(a, turn, axis=-1), np.roll(b, turn, axis=-1)
    value, f = fe.emd_value_and_grad(a, b, ring, rho=rho)
    turned_value, g = fe.emd_value_and_grad(left, right, turned, rho=rho)
    mass = total_mass(a, b)
    close(turned_value, value, value_slack(ring, mass, rho))
    if rho >= 2:  # below, the slope of a flow near zero magnifies its rounding
        within = rho**2 * moved(ring, mass ** (rho - 1), float(ring.lengths.sum()))
        close(g, np.roll(f, turn, axis=-1), within)


def test_rows_of_one_register_find_their_own_circulation():
    ring = Ring(lengths=[1.0, 3.0, 0.0, 2.0, 5.0, 1.0])
    rng = np.random.default_rng(13)
    a = rng.integers(0, 9, (64, 6)).astype(np.float64)
    b = rng.permuted(a, axis=-1)
    phi = fe.flow(a, b, ring)
    prefix = np.cumsum(a - b, axis=-1)
    expected = np.array([row - lower_median(row, ring.lengths) for row in prefix])
    np.testing.assert_array_equal(phi, expected)


def test_edges_without_length_do_not_affect_the_circulation():
    ring = Ring(lengths=[0.0, 0.0, 0.0, 1.0, 1.0])
    # Prefixes 5, 5, 5, 1, 0: the median of the last two is 0.
    np.testing.assert_array_equal(fe.flow([5, 0, 0, 1, 0], [0, 0, 0, 5, 1], ring), [5, 5, 5, 1, 0])


@pytest.mark.parametrize("rho", [1, 1.01, 1.5, 2, 3.5])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_smallest_rings_have_an_answer(rho, n):
    rng = np.random.default_rng(14)
    a = rng.integers(0, 5, (9, n)).astype(float)
    b = a[:, ::-1]
    value = fe.emd(a, b, Ring(n), rho=rho)
    close(value, fe.reference.emd(a, b, Ring(n), rho=rho), value_slack(Ring(n), total_mass(a, b), rho))
    np.testing.assert_array_equal(value == 0, np.all(a == b, axis=-1))


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rho", [1, 1.5, 2])
def test_search_ends_on_rows_that_have_no_circulation(poison, rho):
    a = np.ones((8, 9))
    a[::2, 4] = poison
    value = fe.emd(a, np.ones(9), Ring(9), rho=rho, check=False)
    np.testing.assert_array_equal(value, [np.nan, 0.0] * 4)

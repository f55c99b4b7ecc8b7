"""The reference against solvers that share nothing with it: linear programs, SciPy, POT's circle, convexity."""

import warnings

import numpy as np
import ot
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from fastemd import reference
from fastemd.spaces import Chain, Ring, Tree
from tests.support.reference_problems import close, dot, exponents, problems, slack
from tests.support.strategies import rings


def naive_ring_gradient(a, b, lengths):
    """The gradient on a ring that takes the slope of an edge without flow for 0, and lets the potential not close."""
    prefix = np.cumsum(np.subtract(a, b, dtype=np.float64))
    order = np.argsort(prefix, kind="stable")
    weight = np.cumsum(lengths[order])
    median = prefix[order[np.argmax(weight >= weight[-1] / 2)]]
    slope = lengths * np.sign(prefix - median)
    return np.append(0.0, -np.cumsum(slope)[:-1])


def small_histograms(n, mass):
    """Every histogram of n whole numbers that sum to `mass`."""
    if n == 1:
        return [[mass]]
    return [[first, *rest] for first in range(mass + 1) for rest in small_histograms(n - 1, mass - first)]


# --- The value --------------------------------------------------------------------------------------------------------


@given(problems())
def test_value_is_that_of_the_linear_program(problem):
    space, a, b = problem
    mass = a.sum()
    assume(mass > 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the program must have been solved to its end
        cost = ot.emd2(a / mass, b / b.sum(), space.cost_matrix())
    assert reference.emd(a / mass, b / b.sum(), space) == pytest.approx(cost, rel=0, abs=slack(space, 1.0))


@given(problems(Chain))
def test_value_on_a_chain_is_scipys_wasserstein_distance(problem):
    space, a, b = problem
    assume(a.sum() > 0)
    x = space.positions
    distance = scipy.stats.wasserstein_distance(x, x, a, b)
    assert reference.emd(a, b, space, mass="normalize") == pytest.approx(distance, rel=0, abs=slack(space, 1.0))


@pytest.mark.parametrize("solver", [ot.lp.wasserstein_circle, ot.lp.binary_search_circle])
@given(ring=rings(), data=st.data())
def test_value_on_a_ring_is_that_of_pots_circle_solvers(solver, ring, data):
    around = ring.lengths.sum()
    assume(around > 0)
    # Sixty-fourths add up to 1 exactly. Where sums do not, POT's solvers (0.9.7) now and then go the wrong way round.
    grains = st.lists(st.integers(0, ring.n - 1), min_size=64, max_size=64)
    a, b = (np.bincount(data.draw(grains), minlength=ring.n) / 64 for _ in "ab")
    x = (np.append(0.0, np.cumsum(ring.lengths)[:-1]) / around)[:, None]
    distance = around * solver(x, x, a[:, None], b[:, None], p=1)[0]
    assert reference.emd(a, b, ring) == pytest.approx(distance, rel=0, abs=slack(ring, 1.0))


@given(problems(Ring), exponents, st.floats(-1.0, 1.0))
def test_no_other_circulation_costs_less(problem, rho, shift):
    space, a, b = problem
    value = reference.emd(a, b, space, rho=rho)
    phi = np.cumsum(a - b) + shift * a.sum()
    assert value <= np.sum(space.lengths * np.abs(phi) ** rho) + slack(space, 2 * a.sum(), rho)


@given(problems(), exponents)
def test_value_is_the_cost_of_the_flow(problem, rho):
    space, a, b = problem
    phi = reference.flow(a, b, space)
    close(reference.emd(a, b, space), np.sum(space.lengths * np.abs(phi)), slack(space, a.sum()))
    if not isinstance(space, Ring):
        value = reference.emd(a, b, space, rho=rho)
        close(value, np.sum(space.lengths * np.abs(phi) ** rho), slack(space, a.sum(), rho))


@given(problems())
def test_flow_leaves_each_bin_with_what_b_holds(problem):
    space, a, b = problem
    phi = reference.flow(a, b, space)
    if isinstance(space, Tree):
        held = np.zeros(space.n_nodes)
        held[space.bins] = a
        others = np.flatnonzero(space.parent >= 0)
        held[others] -= phi[others]
        np.add.at(held, space.parent[others], phi[others])
        wanted = np.zeros(space.n_nodes)
        wanted[space.bins] = b
    else:
        closed = phi if isinstance(space, Ring) else np.append(phi, 0.0)
        held, wanted = a - closed + np.roll(closed, 1), b
    np.testing.assert_allclose(held, wanted, rtol=0, atol=slack(space, a.sum(), length=1.0))


# --- The gradient at rho = 1 ------------------------------------------------------------------------------------------


@given(problems())
def test_potential_proves_the_value_optimal(problem):
    space, a, b = problem
    f = reference.potential(a, b, space)
    assert dot(f, a - b) == pytest.approx(reference.emd(a, b, space), rel=0, abs=slack(space, a.sum()))
    excess = np.abs(f[:, None] - f) - space.cost_matrix()
    assert np.max(excess) <= slack(space, 1.0)


@pytest.mark.parametrize(
    "space",
    [
        Chain(4),
        Chain(positions=[0, 1, 3, 7]),
        Ring(4),
        Ring(5),
        Ring(lengths=[1, 2, 0, 4]),
        Tree([-1, 0, 0, 1, 1], [0, 1, 2, 3, 4], bins=[3, 4, 2, 0]),
    ],
    ids=["chain", "uneven chain", "ring", "odd ring", "uneven ring", "tree"],
)
def test_gradient_is_a_subgradient_at_every_tie(space):
    every = np.array(small_histograms(space.n, 3), dtype=np.float64)
    for b in every:
        value, gradient = reference.emd_value_and_grad(every, b, space)
        below = value[:, None] + dot(gradient[:, None], every[None] - every[:, None])
        assert np.max(below - value) <= slack(space, 3.0)


def test_gradient_at_a_tie_is_not_that_of_sorted_quantiles():
    # Differentiating sorted quantiles, as POT's wasserstein_1d does under autograd (0.9.7), gives 0 for this pair: its
    # two cumulative sums tie at 1/2. With a gradient of 0 the value would have to be the least there is.
    a, b, space = np.array([0.5, 0, 0.5, 0]), np.array([0, 0.5, 0, 0.5]), Chain(4)
    value, gradient = reference.emd_value_and_grad(a, b, space)
    assert reference.emd(b, b, space) < value
    np.testing.assert_array_equal(gradient, [1, 0, 0, -1])


def test_slopes_of_zero_on_idle_edges_of_a_ring_would_not_be_a_subgradient():
    space, b = Ring(3), np.array([0.0, 0.0, 3.0])
    a, other = np.array([3.0, 0.0, 0.0]), np.array([0.0, 3.0, 0.0])
    value, gradient = reference.emd_value_and_grad(a, b, space)
    naive = naive_ring_gradient(a, b, space.lengths)
    assert value + dot(naive, b - a) != reference.emd(b, b, space) == value + dot(gradient, b - a)
    assert value + dot(gradient, other - a) <= reference.emd(other, b, space)


@given(problems(Ring), exponents)
def test_slopes_around_a_ring_sum_to_zero(problem, rho):
    space, a, b = problem
    # Turned by one bin, the ring's potential is the same up to a constant only if it closes.
    f = reference.potential(a, b, space, rho=rho)
    turned = Ring(lengths=np.roll(space.lengths, 1))
    again = reference.potential(np.roll(a, 1), np.roll(b, 1), turned, rho=rho)
    if 1 < rho < 2:  # the slope of a flow that is off by d is off by as much as (2 d)**(rho - 1)
        off = 4 * rho * slack(space, a.sum(), length=1.0) ** (rho - 1) * space.lengths.sum()
    elif rho == 1:  # rounding breaks a tie either way: both are Kantorovich potentials
        assert dot(np.roll(again, -1), a - b) == pytest.approx(dot(f, a - b), rel=0, abs=slack(space, a.sum()))
        return
    else:
        off = rho * slack(space, a.sum() ** (rho - 1))
    np.testing.assert_allclose(np.roll(again, -1), f, rtol=0, atol=off)


# --- The gradient at rho > 1 ------------------------------------------------------------------------------------------


def kink(space, rho, mass, step):
    """How much the difference quotients to the right and to the left may differ, for flows changed by `step`.

    It is the change of the slope over twice the step. Below rho = 2 the slope is Hölder continuous of order rho - 1.
    """
    hoelder, smooth = 2 ** (2 - rho) * (2 * step) ** (rho - 1), (rho - 1) * (mass + step) ** (rho - 2) * 2 * step
    change = hoelder if rho <= 2 else smooth
    return rho * change * space.lengths.sum()


@given(problems(), st.one_of(st.sampled_from([1.5, 2.0, 3.0]), st.floats(1.25, 4.0)), st.data())
def test_difference_quotients_enclose_the_gradient(problem, rho, data):
    space, a, b = problem
    mass = a.sum()
    assume(mass > 0)
    gradient = reference.potential(a, b, space, rho=rho)
    i, j = data.draw(st.tuples(*2 * [st.integers(0, space.n - 1)]), label="bins")
    step = 2.0**-20 * mass
    move = step * (np.eye(space.n)[i] - np.eye(space.n)[j])
    left, here, right = reference.emd(a + np.array([-move, 0 * move, move]), b, space, rho=rho)
    rounding = slack(space, mass, rho) / step
    # The value is convex, so this holds without any error of truncation ...
    assert (here - left) / step - rounding <= gradient[i] - gradient[j] <= (right - here) / step + rounding
    # ... and says much, as the two are close.
    assert (right - 2 * here + left) / step <= kink(space, rho, mass, step) + 2 * rounding


@pytest.mark.parametrize("kind", [Chain, Tree])
@given(data=st.data(), rho=st.floats(1.25, 4.0))
def test_gradient_without_centring_is_that_of_one_grain_more(kind, data, rho):
    space, a, b = data.draw(problems(kind))
    mass = a.sum()
    assume(mass > 0)
    gradient = reference.potential(a, b, space, rho=rho, centred=False)
    i = data.draw(st.integers(0, space.n - 1), label="bin")
    step = 2.0**-20 * mass
    move = step * np.eye(space.n)[i]
    left, here, right = reference.emd(a + np.array([-move, 0 * move, move]), b, space, rho=rho, mass="root")
    rounding = slack(space, mass, rho) / step
    assert (here - left) / step - rounding <= gradient[i] <= (right - here) / step + rounding


@given(problems(), exponents, st.data())
def test_gradient_lies_below_the_value_everywhere(problem, rho, data):
    space, a, b = problem
    other = data.draw(st.permutations(a.tolist()), label="other")
    value, gradient = reference.emd_value_and_grad(a, b, space, rho=rho)
    below = value + dot(gradient, other - a)
    assert below <= reference.emd(other, b, space, rho=rho) + slack(space, 2 * a.sum(), rho)


@given(problems(), exponents)
def test_potential_times_difference_is_rho_times_the_value(problem, rho):
    space, a, b = problem
    f = reference.potential(a, b, space, rho=rho)
    value = reference.emd(a, b, space, rho=rho)
    assert dot(f, a - b) == pytest.approx(rho * value, rel=0, abs=slack(space, 2 * a.sum(), rho))


@given(problems(), exponents)
def test_gradients_of_a_and_b_are_opposite_and_centred(problem, rho):
    space, a, b = problem
    value, (by_a, by_b) = reference.emd_value_and_grad(a, b, space, rho=rho, wrt="both")
    np.testing.assert_array_equal(by_a, reference.potential(a, b, space, rho=rho))
    np.testing.assert_array_equal(by_b, reference.emd_value_and_grad(a, b, space, rho=rho, wrt="b")[1])
    np.testing.assert_allclose(by_b, -by_a, rtol=0, atol=slack(space, a.sum() ** (rho - 1)))
    assert abs(np.sum(by_a)) <= space.n * rho * slack(space, a.sum() ** (rho - 1))
    assert value == reference.emd(a, b, space, rho=rho)


@given(problems(), exponents, st.data())
def test_length_gradient_lies_above_the_value_everywhere(problem, rho, data):
    space, a, b = problem
    value, gradient = reference.emd_value_and_grad(a, b, space, rho=rho, wrt="length")
    assert gradient.shape == space.lengths.shape
    assert dot(gradient, space.lengths) == pytest.approx(value, rel=0, abs=slack(space, a.sum(), rho))
    factors = data.draw(st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=space.m, max_size=space.m), label="factors")
    longer = space.lengths * factors
    if isinstance(space, Chain):
        changed = Chain(positions=np.append(0.0, np.cumsum(longer)))
    elif isinstance(space, Ring):
        changed = Ring(lengths=longer)
    else:
        changed = Tree(space.parent, longer, bins=space.bins)
    there = reference.emd(a, b, changed, rho=rho)
    assert there <= dot(gradient, longer) + slack(changed, a.sum(), rho)
    if not isinstance(space, Ring):
        assert there == pytest.approx(dot(gradient, longer), rel=0, abs=slack(changed, a.sum(), rho))

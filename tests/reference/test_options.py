"""The reference under its options: logits, the policies of mass, batches, edge cases and bad calls."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fastemd import reference
from fastemd.spaces import Chain, Ring, Tree
from tests.support.reference_problems import close, dot, exponents, problems, slack
from tests.support.strategies import spaces

# --- Logits -----------------------------------------------------------------------------------------------------------


def logits_for(space):
    return st.lists(st.floats(-5.0, 5.0), min_size=space.n, max_size=space.n).map(np.array)


@given(problems(), exponents, st.data())
def test_logits_gradient_is_the_potential_through_softmaxs_jacobian(problem, rho, data):
    space, _, b = problem
    assume(b.sum() > 0)
    z = data.draw(logits_for(space), label="logits")
    b = b / b.sum()
    a = np.exp(z) / np.exp(z).sum()
    value, gradient = reference.emd_with_logits(z, b, space, rho=rho)
    close(value, reference.emd(a, b, space, rho=rho), slack(space, 1.0, rho))
    assert abs(gradient.sum()) <= slack(space, 1.0, rho)
    if rho == 1 or rho >= 2:  # where a flow's rounding cannot be magnified in its slope
        assume(rho > 1 or np.min(np.abs(np.cumsum(a - b)[:-1]), initial=1.0) > slack(space, 1.0, length=1.0))
        f = reference.potential(reference_softmax(z), b, space, rho=rho)
        jacobian = np.diag(a) - np.outer(a, a)
        close(gradient, jacobian @ f, slack(space, 1.0, rho))


def reference_softmax(z):
    """The probabilities to the last bit as the reference has them, so that ties are broken alike."""
    weight = np.exp(z - z.max())
    return weight / weight.sum()


@given(problems(), st.data())
def test_logits_gradient_is_that_of_finite_differences(problem, data):
    space, _, b = problem
    assume(b.sum() > 0)
    z = data.draw(logits_for(space), label="logits")
    i = data.draw(st.integers(0, space.n - 1), label="bin")
    step = np.finfo(np.float64).eps ** (1 / 3)
    move = step * np.eye(space.n)[i]
    left, right = reference.emd_with_logits(z + np.array([-move, move]), b / b.sum(), space, rho=2)[0]
    _, gradient = reference.emd_with_logits(z, b / b.sum(), space, rho=2)
    # The first three derivatives of a softmax flow are at most 1, with a ring's mean flow taken off 2: so the third
    # derivative of its square is at most 6 * 2 * 2 + 2 * 2 * 2 = 32, and the quotient is off by step**2 / 6 times that.
    truncation = 6 * step**2 * space.lengths.sum()
    close(gradient[i], (right - left) / (2 * step), truncation + slack(space, 1.0, 2) / step)


@given(spaces(), exponents)
def test_class_is_the_histogram_with_all_mass_in_one_bin(space, rho):
    z = np.array([np.sin(np.arange(space.n)), np.cos(np.arange(space.n))])
    target = np.array([0, space.n - 1])
    from_class = reference.emd_with_logits(z, target, space, rho=rho)
    from_row = reference.emd_with_logits(z, np.eye(space.n)[target], space, rho=rho)
    np.testing.assert_array_equal(from_class[0], from_row[0])
    np.testing.assert_array_equal(from_class[1], from_row[1])


def test_large_logits_do_not_overflow():
    value, gradient = reference.emd_with_logits([1e4, 0.0, -1e4], 2, Chain(3))
    assert value == 2.0
    np.testing.assert_array_equal(gradient, 0.0)


# --- Masses -----------------------------------------------------------------------------------------------------------


@given(problems(), exponents, st.sampled_from([0.25, 1.0, 8.0]))
def test_normalize_divides_each_row_and_its_gradient_by_its_mass(problem, rho, factor):
    space, a, b = problem
    assume(a.sum() > 0)
    a = factor * a
    mass_a, mass_b = a.sum(), b.sum()
    p, q = a / mass_a, b / mass_b
    value, (by_a, by_b) = reference.emd_value_and_grad(a, b, space, rho=rho, wrt="both", mass="normalize")
    assert value == reference.emd(p, q, space, rho=rho)
    f = reference.potential(p, q, space, rho=rho)
    np.testing.assert_array_equal(reference.potential(a, b, space, rho=rho, mass="normalize"), f)
    close(by_a * mass_a, f, rho * slack(space, 1.0))
    close(by_b * mass_b, -f, rho * slack(space, 1.0))
    _, loose = reference.emd_value_and_grad(a, b, space, rho=rho, mass="normalize", centred=False)
    close(dot(loose, a), 0.0, rho * slack(space, 1.0))  # more of the same changes nothing
    close((loose - loose.mean()) * mass_a, f, rho * slack(space, 1.0))


@pytest.mark.parametrize("kind", [Chain, Tree])
@given(data=st.data(), rho=exponents)
def test_root_takes_the_surplus(kind, data, rho):
    space, a, b = data.draw(problems(kind))
    keep = np.array(data.draw(st.lists(st.sampled_from([0, 1, 3]), min_size=space.n, max_size=space.n), label="x"))
    a = a * keep
    surplus, mass = a.sum() - b.sum(), max(a.sum(), b.sum())
    more_a, more_b = max(-surplus, 0.0), max(surplus, 0.0)
    if isinstance(space, Chain):
        balanced, at_root = space, np.eye(space.n)[-1]
    elif space.root in space.bins:
        balanced, at_root = space, (space.bins == space.root).astype(float)
    else:
        balanced = Tree(space.parent, space.length, bins=np.append(space.bins, space.root))
        a, b, at_root = np.append(a, 0.0), np.append(b, 0.0), np.eye(space.n + 1)[-1]
    expected = reference.emd(a + more_a * at_root, b + more_b * at_root, balanced, rho=rho)
    value = reference.emd(a[: space.n], b[: space.n], space, rho=rho, mass="root")
    close(value, expected, slack(space, mass, rho))


# --- Batches and bad calls --------------------------------------------------------------------------------------------


@given(problems(), exponents)
def test_rows_of_a_batch_are_answered_one_by_one(problem, rho):
    space, a, b = problem
    left, right = np.stack([a, b, b])[:, None], np.stack([b, a])
    value, gradient = reference.emd_value_and_grad(left, right, space, rho=rho)
    phi = reference.flow(left, right, space)
    assert value.shape == (3, 2)
    assert gradient.shape == (3, 2, space.n)
    assert phi.shape == (3, 2, space.m)
    for i, j in np.ndindex(3, 2):
        close(value[i, j], reference.emd(left[i, 0], right[j], space, rho=rho), slack(space, a.sum(), rho))
        close(phi[i, j], reference.flow(left[i, 0], right[j], space), slack(space, a.sum(), length=1.0))


@pytest.mark.parametrize("space", [Chain(1), Chain(3), Ring(1), Ring(3), Tree([-1], [0]), Tree([1, -1, 1], [1, 0, 2])])
def test_empty_batch_has_empty_answers(space):
    none = np.ones((0, 2, space.n), dtype=np.float32)
    for rho in (1, 1.5, 2):
        value, gradient = reference.emd_value_and_grad(none, none[:, :1], space, rho=rho)
        assert value.shape == (0, 2)
        assert gradient.shape == (0, 2, space.n)
    assert reference.flow(none, none, space).shape == (0, 2, space.m)
    assert reference.plan(none, none, space).shape == (0, 2)


def test_unsigned_integers_do_not_wrap():
    a, b = np.array([0, 3], dtype=np.uint8), np.array([3, 0], dtype=np.uint8)
    assert reference.emd(a, b, Chain(2)) == 3.0
    assert type(reference.emd(a, b, Chain(2))) is np.float64


def test_one_bin_has_nothing_to_move():
    for space in (Chain(1), Ring(1), Tree([0], [5.0])):
        value, gradient = reference.emd_value_and_grad([2.0], [2.0], space)
        assert value == 0.0
        np.testing.assert_array_equal(gradient, [0.0])


def test_ring_whose_lengths_are_all_zero_costs_nothing():
    ring = Ring(lengths=[0.0, 0.0, 0.0])
    for rho in (1, 1.5, 2):
        value, gradient = reference.emd_value_and_grad([1, 0, 0], [0, 0, 1], ring, rho=rho)
        assert value == 0.0
        np.testing.assert_array_equal(gradient, 0.0)
    np.testing.assert_array_equal(reference.flow([1, 0, 0], [0, 0, 1], ring), [1, 1, 0])


def test_ties_on_a_ring_take_the_lower_median_and_share_by_length():
    ring = Ring(lengths=[1.0, 2.0, 1.0, 1.0, 1.0])
    a, b = [1, 0, 0, 2, 0], [0, 0, 2, 0, 1]  # prefixes 1, 1, -1, 1, 0
    np.testing.assert_array_equal(reference.flow(a, b, ring), [0, 0, -2, 0, -1])
    # The two slopes of -1 leave 2 to the three idle edges, of lengths 1, 2 and 1.
    expected = [0.0, -0.5, -1.5, -0.5, -1.0]
    close(reference.potential(a, b, ring, centred=False), expected, slack(ring, 1.0))
    even = Ring(4)  # prefixes 1, 0, 1, 0: any flow from 0 to 1 will do
    np.testing.assert_array_equal(reference.flow([1, 0, 1, 0], [0, 1, 0, 1], even), [1, 0, 1, 0])


def test_flow_however_small_has_its_full_slope_at_rho_one():
    eps = np.finfo(np.float64).eps
    f = reference.potential([1, eps, 0], [0, 0, 1 + eps], Ring(3), centred=False)  # flows 0, eps, -1
    np.testing.assert_array_equal(f, [0, 0, -1])


def test_root_of_a_tree_has_no_flow_even_where_a_surplus_ends_in_it():
    tree = Tree([-1, 0, 0], [0, 1, 1])
    np.testing.assert_array_equal(reference.flow([2, 3, 0], [0, 0, 1], tree, mass="root"), [0, 3, -1])
    _, gradient = reference.emd_value_and_grad([2, 3, 0], [0, 0, 1], tree, rho=2, wrt="length", mass="root")
    np.testing.assert_array_equal(gradient, [0, 9, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: reference.emd([1, 2], [2, 1], Chain(2), rho=0.5), "rho is 0.5"),
        (lambda: reference.potential([1, 2], [2, 1], Chain(2), rho=np.nan), "rho is nan"),
        (lambda: reference.emd_value_and_grad([1, 2], [2, 1], Chain(2), wrt="c"), "wrt is 'c'"),
        (lambda: reference.flow([1, 2], [2, 1], Chain(2), mass="half"), "mass is 'half'"),
        (lambda: reference.flow([1, 2], [2, 1], Ring(2), mass="root"), "mass='root' on a ring"),
        (lambda: reference.flow([0, 0], [2, 1], Chain(2), mass="normalize"), "row of mass 0"),
        (lambda: reference.flow([1, 2], [[2], [1]], Chain(2)), r"b has shape \(2, 1\)"),
        (lambda: reference.emd_with_logits([0.0, 1.0], -1, Chain(2)), "class outside 0..1"),
    ],
)
def test_bad_call_says_what_is_needed(call, message):
    with pytest.raises(ValueError, match=message):
        call()

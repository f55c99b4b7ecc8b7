"""Gradients by finite differences, the debiased divergence, marginals that may differ, and warm starts."""

import numpy as np
import ot.unbalanced
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastemd as fe
from tests.support.sinkhorn_problems import AGREED, FINE, histograms, problems, rounding, spaces

few = settings(max_examples=25)
regs = st.sampled_from([0.1, 0.3, 2.0])
STEP = 2.0**-10
MOST = 100_000


def slope(value, a, direction):
    """Derivative along a direction: central differences of two step lengths, combined so that errors are h**4."""

    def over(h):
        return (value(a + h * direction) - value(a - h * direction)) / (2 * h)

    return (4 * over(STEP / 2) - over(STEP)) / 3


def directions(rng, a, keep_mass):
    """Small changes of the bins that hold something, such that none becomes negative."""
    d = rng.normal(size=a.shape) * a
    if keep_mass:
        d -= d.sum(axis=-1, keepdims=True) * a / a.sum(axis=-1, keepdims=True)
    return d


def assert_slopes_agree(measured, told):
    """Differences divide the rounding of values by the step, and leave out terms of its fourth power."""
    np.testing.assert_allclose(measured, told, rtol=0, atol=1e-7)


@pytest.mark.parametrize("mass", ["equal", "normalize"])
@few
@given(problems(), regs)
def test_gradients_are_those_of_finite_differences(mass, problem, reg):
    a, b, cost = problem
    if mass == "normalize":
        a, b = a * 1.5, b * 0.75
    options = {"reg": reg, "tol": FINE, "max_iter": MOST, "mass": mass}
    result = fe.sinkhorn(a, b, cost, **options)
    rng = np.random.default_rng(0)
    da, db = directions(rng, a, mass == "equal"), directions(rng, b, mass == "equal")
    if mass == "normalize":  # gradients are centred: along changes that keep the mass
        da -= da.mean(axis=1, keepdims=True) * (a > 0) * da.shape[1] / np.maximum((a > 0).sum(axis=1, keepdims=True), 1)
        db -= db.mean(axis=1, keepdims=True) * (b > 0) * db.shape[1] / np.maximum((b > 0).sum(axis=1, keepdims=True), 1)
    by_a = slope(lambda x: fe.sinkhorn(x, b, cost, **options).regularised_value, a, da)
    by_b = slope(lambda y: fe.sinkhorn(a, y, cost, **options).regularised_value, b, db)
    assert_slopes_agree(by_a, (result.grad_a * da).sum(axis=1))
    assert_slopes_agree(by_b, (result.grad_b * db).sum(axis=1))
    for grad in (result.grad_a, result.grad_b):
        np.testing.assert_allclose(grad.mean(axis=1), 0.0, rtol=0, atol=rounding(grad.shape[1], 10.0))


@few
@given(problems(), regs, st.sampled_from([0.2, 1.0, 20.0]), st.sampled_from(["equal", "normalize"]))
def test_unbalanced_gradients_are_those_of_finite_differences(problem, reg, price, mass):
    a, b, cost = problem
    b = b * 1.7
    # A high price multiplies what rounding does to a marginal.
    options = {"reg": reg, "tol": FINE * max(1.0, price), "max_iter": MOST, "unbalanced": price, "mass": mass}
    result = fe.sinkhorn(a, b, cost, **options)
    rng = np.random.default_rng(0)
    da, db = directions(rng, a, False), directions(rng, b, False)
    by_a = slope(lambda x: fe.sinkhorn(x, b, cost, **options).regularised_value, a, da)
    by_b = slope(lambda y: fe.sinkhorn(a, y, cost, **options).regularised_value, b, db)
    assert_slopes_agree(by_a, (result.grad_a * da).sum(axis=1))
    assert_slopes_agree(by_b, (result.grad_b * db).sum(axis=1))


@few
@given(problems(zeros=(0.0,)), regs, st.sampled_from([0.2, 1.0]), st.sampled_from([0.3, 1.0, 4.0]))
def test_unbalanced_plan_is_that_of_pot(problem, reg, price, factor):
    a, b, cost = problem
    b = b * factor
    result = fe.sinkhorn(a, b, cost, reg=reg, unbalanced=price, tol=FINE, max_iter=MOST, plan=True)
    assert result.converged.all()
    for row in range(len(a)):
        product = np.outer(a[row], b[row]) / np.sqrt(factor)
        theirs = ot.unbalanced.sinkhorn_unbalanced(
            a[row], b[row], cost, reg, price, c=product, reg_type="kl", stopThr=1e-15, numItermax=MOST
        )
        np.testing.assert_allclose(result.plan[row], theirs, rtol=0, atol=AGREED)
        kl = [np.sum(p * np.log(p / q) - p + q) for p, q in (
            (theirs, product), (theirs.sum(axis=1), a[row]), (theirs.sum(axis=0), b[row])
        )]  # fmt: skip
        objective = np.sum(theirs * cost) + reg * kl[0] + price * (kl[1] + kl[2])
        assert abs(result.regularised_value[row] - objective) <= AGREED
        assert abs(result.value[row] - np.sum(theirs * cost)) <= AGREED


@few
@given(spaces(14), st.integers(0, 1000), regs, st.sampled_from([0.5, 5.0]))
def test_unbalanced_answers_on_a_space_and_below_zero_cost_are_those_of_the_reference(space, seed, reg, price):
    rng = np.random.default_rng(seed)
    a, b = histograms(rng, 3, space.n, 0.2), 0.6 * histograms(rng, 3, space.n, 0.2)
    options = {"reg": reg, "unbalanced": price, "tol": FINE, "max_iter": MOST, "plan": True}
    for cost in (space, space.cost_matrix() - 0.4):
        ours, theirs = fe.sinkhorn(a, b, cost, **options), fe.reference.sinkhorn(a, b, cost, **options)
        for name in ("value", "regularised_value", "plan", "grad_a", "grad_b", "marginal_error"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=0, atol=AGREED, err_msg=name)


@few
@given(problems(), regs)
def test_high_price_of_the_marginals_leads_to_the_balanced_plan(problem, reg):
    a, b, cost = problem
    balanced = fe.sinkhorn(a, b, cost, reg=reg, plan=True)
    free = fe.sinkhorn(a, b, cost, reg=reg, plan=True, unbalanced=1e4, tol=1e-7)
    np.testing.assert_allclose(free.plan, balanced.plan, rtol=0, atol=2e-4)


# --- The divergence ---------------------------------------------------------------------------------------------------


@few
@given(spaces(16), st.integers(0, 1000), regs)
def test_divergence_is_not_negative_and_0_between_equals(space, seed, reg):
    rng = np.random.default_rng(seed)
    a, b = histograms(rng, 5, space.n, 0.3), histograms(rng, 5, space.n, 0.3)
    # A dual value is off by no more than the marginal error times what potentials differ by.
    slack = rounding(space.n, 1.0 + reg) + 2e-10 * (1.0 + reg)
    result = fe.sinkhorn_divergence(a, b, space, reg=reg, tol=1e-10)
    assert result.converged.all()
    assert np.all(result.value >= -slack)
    same = fe.sinkhorn_divergence(a, a, space, reg=reg, tol=1e-10)
    np.testing.assert_allclose(same.value, 0.0, rtol=0, atol=slack)
    np.testing.assert_allclose(same.grad_a, 0.0, rtol=0, atol=1e-7 * (1.0 + reg))


@few
@given(problems(square=True), regs, st.sampled_from(["scaling", "log"]))
def test_divergence_is_that_of_the_reference(problem, reg, method):
    a, b, cost = problem
    ours = fe.sinkhorn_divergence(a, b, cost, reg=reg, tol=FINE, max_iter=MOST, method=method)
    theirs = fe.reference.sinkhorn_divergence(a, b, cost, reg=reg, tol=FINE, max_iter=MOST)
    np.testing.assert_allclose(ours.value, theirs.value, rtol=0, atol=AGREED)
    np.testing.assert_allclose(ours.grad_a, theirs.grad_a, rtol=0, atol=AGREED)
    np.testing.assert_allclose(ours.grad_b, theirs.grad_b, rtol=0, atol=AGREED)


@few
@given(problems(square=True), regs, st.sampled_from(["equal", "normalize"]))
def test_divergence_has_the_gradient_of_finite_differences(problem, reg, mass):
    a, b, cost = problem
    options = {"reg": reg, "tol": FINE, "max_iter": MOST, "mass": mass}
    da = directions(np.random.default_rng(0), a, True)
    measured = slope(lambda x: fe.sinkhorn_divergence(x, b, cost, **options).value, a, da)
    assert_slopes_agree(measured, (fe.sinkhorn_divergence(a, b, cost, **options).grad_a * da).sum(axis=1))


@few
@given(spaces(12), st.integers(0, 1000))
def test_divergence_leads_to_the_exact_distance(space, seed):
    a, b = histograms(np.random.default_rng(seed), 2, space.n)
    for reg in (0.1, 0.01):
        value = fe.sinkhorn_divergence(a, b, space, reg=reg, tol=1e-7, max_iter=MOST, epsilon_scaling=True).value
        assert abs(value - fe.emd(a, b, space)) <= 2 * reg * np.log(space.n) + 1e-6


def test_divergence_of_rows_with_one_target_is_that_of_each():
    rng = np.random.default_rng(2)
    a, b = histograms(rng, 9, 10).reshape(3, 3, 10), histograms(rng, 1, 10)[0]
    space = fe.Ring(10)
    together = fe.sinkhorn_divergence(a, b, space, reg=0.5)
    for i in range(3):
        for j in range(3):
            alone = fe.sinkhorn_divergence(a[i, j], b, space, reg=0.5)
            assert together.value[i, j] == alone.value
            np.testing.assert_array_equal(together.grad_b[i, j], alone.grad_b)


# --- Where to begin ---------------------------------------------------------------------------------------------------


@few
@given(problems(), regs, st.sampled_from(["scaling", "log"]), st.sampled_from([None, 0.7]))
def test_beginning_at_the_answer_takes_no_iteration(problem, reg, method, price):
    a, b, cost = problem
    options = {"reg": reg, "unbalanced": price, "method": method if price is None else "log"}
    first = fe.sinkhorn(a, b, cost - 0.2, tol=1e-10, max_iter=MOST, **options)
    again = fe.sinkhorn(a, b, cost - 0.2, tol=1e-8, potentials=first.potentials, **options)
    assert np.all(again.n_iter == 0) and again.converged.all()
    np.testing.assert_allclose(again.value, first.value, rtol=0, atol=AGREED)
    np.testing.assert_allclose(again.marginal_error, first.marginal_error, rtol=0, atol=1e-10)


def test_epsilon_scaling_finds_the_same_plan_in_fewer_iterations_where_reg_is_small():
    rng = np.random.default_rng(4)
    x = rng.random((30, 2))
    cost = np.sqrt(((x[:, None] - x) ** 2).sum(axis=-1))
    a, b = histograms(rng, 2, 30)
    plain = fe.sinkhorn(a, b, cost, reg=0.004, tol=1e-8, max_iter=MOST, plan=True)
    for factor in (True, 0.25):
        staged = fe.sinkhorn(a, b, cost, reg=0.004, tol=1e-8, max_iter=MOST, plan=True, epsilon_scaling=factor)
        assert staged.converged
        np.testing.assert_allclose(staged.plan, plain.plan, rtol=0, atol=1e-6)

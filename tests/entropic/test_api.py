"""Sinkhorn's plan against POT, the reference, the exact distance, and what it has to be at both ends of reg."""

import numpy as np
import ot
import ot.batch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastemd as fe
from tests.support.sinkhorn_problems import AGREED, FINE, histograms, problems, rounded, rounding, spaces
from tests.support.tolerance import tolerance

METHODS = ("scaling", "log")
MOST = 200_000

few = settings(max_examples=25)
regs = st.sampled_from([0.1, 0.25, 1.0, 7.0])  # below, two bins far apart take more iterations than there is time


@pytest.mark.parametrize("method", METHODS)
@few
@given(problems(zeros=(0.0,)), regs)
def test_plan_and_cost_are_those_of_pot(method, problem, reg):
    a, b, cost = problem
    result = fe.sinkhorn(a, b, cost, reg=reg, tol=FINE, max_iter=MOST, plan=True, method=method)
    assert result.converged.all() and result.method == method
    for row in range(len(a)):
        plan = ot.sinkhorn(a[row], b[row], cost, reg, method="sinkhorn_log", stopThr=FINE, numItermax=MOST)
        np.testing.assert_allclose(result.plan[row], plan, rtol=0, atol=AGREED)
        assert abs(result.value[row] - np.sum(plan * cost)) <= AGREED


@pytest.mark.parametrize("method", METHODS)
@few
@given(problems(zeros=(0.0,)), regs)
def test_batch_is_that_of_pot(method, problem, reg):
    a, b, cost = problem
    result = fe.sinkhorn(a, b, cost, reg=reg, tol=FINE, max_iter=MOST, plan=True, method=method)
    costs = np.broadcast_to(cost, (len(a), *cost.shape))
    theirs = ot.batch.solve_batch(costs, reg, a=a, b=b, tol=FINE, max_iter=MOST, method="log_sinkhorn")
    np.testing.assert_allclose(result.plan, theirs.plan, rtol=0, atol=AGREED)
    np.testing.assert_allclose(result.value, theirs.value_linear, rtol=0, atol=AGREED)


@few
@given(problems(zeros=(0.0,)), st.sampled_from([0.2, 1.0]))
def test_regularised_value_is_that_of_pot_with_kl(problem, reg):
    a, b, cost = problem
    result = fe.sinkhorn(a[0], b[0], cost, reg=reg, tol=FINE, max_iter=MOST)
    theirs = ot.solve(cost, a[0], b[0], reg=reg, reg_type="KL", tol=FINE, max_iter=MOST)
    assert abs(result.regularised_value - theirs.value) <= AGREED


@pytest.mark.parametrize("method", METHODS)
@few
@given(problems(), regs)
def test_all_answers_are_those_of_the_reference(method, problem, reg):
    a, b, cost = problem
    options = {"reg": reg, "tol": FINE, "max_iter": MOST, "plan": True}
    ours = fe.sinkhorn(a, b, cost, method=method, **options)
    theirs = fe.reference.sinkhorn(a, b, cost, **options)
    for name in ("value", "regularised_value", "plan", "grad_a", "grad_b"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=0, atol=AGREED, err_msg=name)
    for x, y in zip(ours.potentials, theirs.potentials, strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=AGREED)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@few
@given(problems(), st.sampled_from([0.1, 1.0]))
def test_marginal_error_is_that_of_the_plan_and_within_tol(method, dtype, problem, reg):
    a, b = (x.astype(dtype) for x in problem[:2])
    result = fe.sinkhorn(a, b, problem[2], reg=reg, plan=True, method=method)
    plan, p, q = (x.astype(np.float64) for x in (result.plan, a, b))
    off = np.abs(plan.sum(axis=2) - p).sum(axis=1) + np.abs(plan.sum(axis=1) - q).sum(axis=1)
    tol = {"float32": 1e-6, "float64": 1e-9}[dtype]
    assert result.converged.all() and np.all(result.marginal_error <= tol)
    # An exponent of the plan loses what its largest term, the cost over reg, is rounded by.
    slack = tolerance(dtype, plan[0].size, 1.0 + abs(problem[2]).max() / reg, 1.0)
    np.testing.assert_allclose(off, result.marginal_error, rtol=0, atol=slack)


# A rounded plan has its marginals whether the iteration has converged or not.
UNCONVERGED = pytest.mark.filterwarnings("ignore:.*did not converge:fastemd.SinkhornWarning")


@UNCONVERGED
@few
@given(problems(square=True), st.sampled_from([0.003, 0.03, 0.3]))
def test_rounded_plan_costs_no_less_than_the_exact_distance(problem, reg):
    a, b, cost = problem
    result = fe.sinkhorn(a, b, cost, reg=reg, plan=True, tol=1e-6)
    for row in range(len(a)):
        plan = rounded(result.plan[row], a[row], b[row])
        exact = ot.emd2(a[row], b[row], cost)
        np.testing.assert_allclose(plan.sum(axis=1), a[row], rtol=0, atol=rounding(len(b[row])))
        assert np.sum(plan * cost) >= exact - rounding(cost.size)


@UNCONVERGED
@few
@given(spaces(16), st.integers(0, 1000), st.sampled_from([0.003, 0.03, 0.3]))
def test_rounded_plan_on_a_space_costs_no_less_than_emd(space, seed, reg):
    rng = np.random.default_rng(seed)
    a, b = histograms(rng, 2, space.n, 0.3)
    result = fe.sinkhorn(a, b, space, reg=reg, plan=True, tol=1e-6, epsilon_scaling=True)
    plan = rounded(result.plan, a, b)
    assert np.sum(plan * space.cost_matrix()) >= fe.emd(a, b, space) - rounding(space.n**2)


@few
@given(spaces(16), st.integers(0, 1000))
def test_small_reg_leads_to_the_exact_distance(space, seed):
    a, b = histograms(np.random.default_rng(seed), 2, space.n, 0.3)
    exact = fe.emd(a, b, space)
    for reg in (0.1, 0.01, 0.004):
        result = fe.sinkhorn(a, b, space, reg=reg, tol=1e-7, max_iter=MOST)
        # Mass that is missing or misplaced, times the diameter; and what exponents as large as 1 / reg lose.
        slack = result.marginal_error * 1.0 + rounding(space.n, 1.0 / reg)
        # No plan of these marginals has a Kullback-Leibler divergence above the entropy of either.
        assert -slack <= result.value - exact <= reg * np.log(space.n) + slack


@few
@given(problems())
def test_large_reg_leads_to_the_product(problem):
    a, b, cost = problem
    result = fe.sinkhorn(a, b, cost, reg=1e6, plan=True)
    product = a[:, :, None] * b[:, None, :]
    np.testing.assert_allclose(result.plan, product, rtol=4e-6, atol=rounding(1))
    np.testing.assert_allclose(result.value, (product * cost).sum(axis=(1, 2)), rtol=4e-6, atol=rounding(1))


@pytest.mark.parametrize("method", METHODS)
@few
@given(problems(), st.sampled_from([0.1, 1.0]), st.sampled_from([1e-30, 0.25, 7.0, 1e30]))
def test_answers_scale_with_the_mass(method, problem, reg, factor):
    a, b, cost = problem
    one = fe.sinkhorn(a, b, cost, reg=reg, plan=True, method=method)
    other = fe.sinkhorn(a * factor, b * factor, cost, reg=reg, plan=True, method=method)
    for name in ("value", "regularised_value", "plan"):
        np.testing.assert_allclose(getattr(other, name), factor * getattr(one, name), rtol=1e-8, atol=factor * AGREED)
    np.testing.assert_allclose(other.grad_a, one.grad_a, rtol=0, atol=1e-7)


@few
@given(problems(), st.sampled_from([0.1, 1.0]), st.sampled_from([-3.0, 2.0]), st.sampled_from(METHODS))
def test_a_constant_in_the_cost_moves_values_and_nothing_else(problem, reg, constant, method):
    a, b, cost = problem
    one = fe.sinkhorn(a, b, cost, reg=reg, plan=True, tol=FINE)
    other = fe.sinkhorn(a, b, cost + constant, reg=reg, plan=True, tol=FINE, method=method)
    np.testing.assert_allclose(other.plan, one.plan, rtol=0, atol=AGREED)
    np.testing.assert_allclose(other.value, one.value + constant, rtol=0, atol=AGREED)
    np.testing.assert_allclose(other.regularised_value, one.regularised_value + constant, rtol=0, atol=AGREED)
    np.testing.assert_allclose(other.potentials[1], one.potentials[1] + constant, rtol=0, atol=AGREED)


@few
@given(problems(), st.sampled_from([0.02, 0.1]))
def test_regularised_value_is_below_that_of_any_other_plan(problem, reg):
    a, b, cost = problem
    result = fe.sinkhorn(a, b, cost, reg=reg, tol=FINE, max_iter=MOST)
    product = a[:, :, None] * b[:, None, :]
    for share in (0.0, 0.1, 1.0):
        plan = (1 - share) * fe.sinkhorn(a, b, cost, reg=3 * reg, plan=True, tol=FINE).plan + share * product
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = np.where(plan > 0, plan * np.log(plan / product), 0.0).sum(axis=(1, 2))
        assert np.all(result.regularised_value <= (plan * cost).sum(axis=(1, 2)) + reg * entropy + AGREED)


@few
@given(problems(zeros=(0.3,)), st.sampled_from([0.05, 1.0]), st.sampled_from(METHODS))
def test_empty_bins_get_no_mass_and_finite_potentials(problem, reg, method):
    a, b, cost = problem
    result = fe.sinkhorn(a, b, cost, reg=reg, plan=True, method=method)
    assert np.all(result.plan[a == 0.0] == 0.0)
    assert np.all(result.plan.swapaxes(1, 2)[b == 0.0] == 0.0)
    for x in (*result.potentials, result.grad_a, result.grad_b):
        assert np.isfinite(x).all()


def test_over_relaxed_and_plain_iterations_find_the_same_plan():
    rng = np.random.default_rng(3)
    points = rng.random((40, 2))
    cost = ((points[:, None] - points) ** 2).sum(axis=-1)
    a, b = histograms(rng, 2, 40)
    fast = fe.sinkhorn(a, b, cost, reg=0.01, tol=1e-11, plan=True)
    plain = fe.reference.sinkhorn(a, b, cost, reg=0.01, tol=1e-11, plan=True)
    assert fast.n_iter < plain.n_iter / 2
    np.testing.assert_allclose(fast.plan, plain.plan, rtol=0, atol=AGREED)


def test_a_one_sided_problem_has_one_plan():
    result = fe.sinkhorn([1.0], [0.25, 0.75], [[3.0, 5.0]], reg=0.1, plan=True)
    np.testing.assert_array_equal(result.plan.round(12), [[0.25, 0.75]])
    assert abs(result.value - 4.5) <= AGREED


@pytest.mark.parametrize("method", METHODS)
def test_potential_of_an_empty_bin_follows_from_the_others(method):
    cost = fe.Chain(3).cost_matrix()
    result = fe.sinkhorn([1.0, 0.0, 0.0], [0.0, 0.5, 0.5], cost, reg=0.1, method=method)
    f, g = result.potentials
    np.testing.assert_allclose(f, -0.1 * np.log(np.exp((g - cost)[:, 1:] / 0.1).mean(axis=1)), rtol=0, atol=AGREED)
    near = fe.sinkhorn([1.0 - 1e-12, 0.5e-12, 0.5e-12], [0.0, 0.5, 0.5], cost, reg=0.1, method=method, tol=FINE)
    np.testing.assert_allclose(result.grad_a, near.grad_a, rtol=0, atol=AGREED)

"""Sinkhorn on a device answers as POT, the reference and the CPU do: on costs and spaces, at any reg, all options."""

import numpy as np
import ot
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastemd as fe
from tests.support.sinkhorn_problems import AGREED, FINE, histograms, rounding, unit
from tests.support.strategies import chains, rings, trees

# A simulated thread is a thread of Python: few examples, few bins, and costs on which few iterations do.
few = settings(max_examples=3, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
FIELDS = ("value", "regularised_value", "plan", "grad_a", "grad_b")
seeds = st.integers(0, 1000)


def problem(seed, n=4, k=5, rows=3, zeros=0.2):
    rng = np.random.default_rng(seed)
    return histograms(rng, rows, n, zeros), histograms(rng, rows, k, zeros), rng.random((n, k))


def agree(found, expected, atol, names=FIELDS):
    for name in names:
        x, y = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(x, y, rtol=0, atol=atol, err_msg=name)
    for x, y in zip(found.potentials, expected.potentials, strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=atol)


# --- Cost matrices ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["scaling", "log"])
@few
@given(seeds, st.sampled_from([0.5, 2.0]))
def test_answers_to_a_matrix_are_those_of_the_reference(adapter, method, seed, reg):
    a, b, cost = problem(seed)
    options = {"reg": reg, "tol": FINE, "plan": True}
    ours = adapter.sinkhorn(a, b, cost, method=method, **options)
    assert ours.converged.all() and ours.method == method
    agree(ours, fe.reference.sinkhorn(a, b, cost, **options), AGREED)


@pytest.mark.parametrize("method", ["scaling", "log"])
def test_plan_and_cost_are_those_of_pot(adapter, method):
    a, b, cost = problem(1, zeros=0.0)
    result = adapter.sinkhorn(a, b, cost, reg=0.3, tol=FINE, plan=True, method=method)
    for row in range(len(a)):
        plan = ot.sinkhorn(a[row], b[row], cost, 0.3, method="sinkhorn_log", stopThr=FINE)
        np.testing.assert_allclose(result.plan[row], plan, rtol=0, atol=AGREED)
        assert abs(result.value[row] - np.sum(plan * cost)) <= AGREED


@pytest.mark.parametrize("ratio", [100.0, 400.0, 2000.0])
@pytest.mark.parametrize(("dtype", "atol"), [("float64", AGREED), ("float32", 2e-5)])
def test_iteration_is_that_of_the_cpu_where_exponentials_leave_their_range(adapter, ratio, dtype, atol):
    a, b, cost = problem(2)
    a, b = a.astype(dtype), b.astype(dtype)
    options = {"reg": 1.0 / ratio, "max_iter": 8, "tol": 1e-7, "method": "log", "plan": True}
    with pytest.warns(fe.SinkhornWarning, match="did not converge"):
        ours = adapter.sinkhorn(a, b, cost, **options)
    with pytest.warns(fe.SinkhornWarning, match="did not converge"):
        theirs = fe.sinkhorn(a, b, cost, **options)
    agree(ours, theirs, atol * (1.0 if dtype == "float64" else 5.0))
    np.testing.assert_array_equal(ours.n_iter, theirs.n_iter)
    np.testing.assert_allclose(ours.marginal_error, theirs.marginal_error, rtol=0, atol=10 * atol)


@few
@given(seeds)
def test_rows_take_the_iterations_of_the_cpu(adapter, seed):
    rng = np.random.default_rng(seed)
    points = rng.random((7, 1))
    cost = (points - points.T) ** 2
    a, b = histograms(rng, 2, 7), histograms(rng, 2, 7)
    ours, theirs = (f(a, b, cost, reg=0.1, tol=1e-4) for f in (adapter.sinkhorn, fe.sinkhorn))
    assert np.all(abs(ours.n_iter - theirs.n_iter) <= 1)
    np.testing.assert_array_equal(ours.converged, True)


@few
@given(seeds)
def test_marginal_error_is_that_of_the_plan(adapter, seed):
    a, b, cost = problem(seed)
    result = adapter.sinkhorn(a, b, cost, reg=0.3, tol=1e-3, plan=True)
    off = abs(result.plan.sum(axis=2) - a).sum(axis=1) + abs(result.plan.sum(axis=1) - b).sum(axis=1)
    np.testing.assert_allclose(off, result.marginal_error, rtol=0, atol=rounding(cost.size))
    assert np.all(off <= 1e-3 + rounding(cost.size))


@pytest.mark.parametrize(("n", "k"), [(1, 1), (1, 9), (4, 17), (17, 4), (33, 8)])
def test_every_number_of_bins_beside_the_border_of_a_tile_and_a_block_is_answered(adapter, n, k):
    a, b, cost = problem(n + k, n, k, rows=3)
    for method in ("scaling", "log"):
        ours = adapter.sinkhorn(a, b, cost, reg=2.0, plan=True, method=method)
        agree(ours, fe.sinkhorn(a, b, cost, reg=2.0, plan=True, method=method), AGREED)


def test_costs_below_zero_move_values_and_potentials(adapter):
    a, b, cost = problem(4)
    for method in ("scaling", "log"):
        ours = adapter.sinkhorn(a, b, cost - 3.0, reg=0.5, plan=True, method=method)
        agree(ours, fe.sinkhorn(a, b, cost - 3.0, reg=0.5, plan=True, method=method), AGREED)


# --- Spaces -----------------------------------------------------------------------------------------------------------

FAMILIES = {"chain": chains(7), "ring": rings(6), "tree": trees(7)}


@pytest.mark.parametrize("kind", FAMILIES)
@few
@given(data=st.data(), seed=seeds, reg=st.sampled_from([1.0, 3.0]))
def test_answers_on_a_space_are_those_of_the_reference(adapter, kind, data, seed, reg):
    space = unit(data.draw(FAMILIES[kind]))
    rng = np.random.default_rng(seed)
    a, b = histograms(rng, 1, space.n, 0.2), histograms(rng, 1, space.n, 0.2)
    options = {"reg": reg, "tol": FINE, "plan": True}
    ours = adapter.sinkhorn(a, b, space, **options)
    assert ours.converged.all() and ours.method == "scaling"
    agree(ours, fe.reference.sinkhorn(a, b, space, **options), AGREED)


@pytest.mark.parametrize("kind", FAMILIES)
@few
@given(data=st.data(), seed=seeds, ratio=st.sampled_from([0.1, 30.0, 1000.0]))
def test_a_step_along_a_space_is_that_over_its_matrix(adapter, kind, data, seed, ratio):
    space = unit(data.draw(FAMILIES[kind]))
    rng = np.random.default_rng(seed)
    a, b = histograms(rng, 2, space.n, 0.2), histograms(rng, 2, space.n, 0.2)
    options = {"reg": 1.0 / ratio, "tol": 3.0, "max_iter": 1, "method": "log"}
    ours, dense = adapter.sinkhorn(a, b, space, **options), fe.sinkhorn(a, b, space.cost_matrix(), **options)
    agree(ours, dense, 1e-12, ("value", "regularised_value", "grad_a", "grad_b"))


@pytest.mark.filterwarnings("ignore::fastemd.SinkhornWarning")
@pytest.mark.parametrize("kind", FAMILIES)
def test_space_whose_exponentials_leave_float64_is_solved(adapter, kind):
    n = 5
    parent = np.append(-1, np.arange(n - 1) // 2)
    space = {"chain": fe.Chain(n), "ring": fe.Ring(n), "tree": fe.Tree(parent, np.ones(n))}[kind]
    a, b = histograms(np.random.default_rng(5), 2, n)
    options = {"reg": space.diameter / 2000, "tol": 0.1, "epsilon_scaling": 0.05, "max_iter": 6}
    ours, theirs = adapter.sinkhorn(a, b, space, **options), fe.sinkhorn(a, b, space, **options)
    assert ours.method == "log"
    np.testing.assert_array_equal(ours.n_iter, theirs.n_iter)
    np.testing.assert_allclose(ours.value, theirs.value, rtol=0, atol=AGREED)


SHAPES = {
    "a star": fe.Tree([-1] + [0] * 20, [0.0] + [1.0] * 20),
    "a path": fe.Tree(np.arange(-1, 11), np.ones(12)),
    "a caterpillar": fe.Tree([-1, 0, 0, 2, 2, 4, 4, 6], np.arange(8.0)),
    "one node": fe.Tree([-1], [0.0]),
    "no lengths": fe.Tree([-1, 0, 0, 1], np.zeros(4)),
    "some bins": fe.Tree((np.arange(30) - 1) // 3, np.ones(30), np.arange(0, 30, 4)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_trees_of_any_shape_are_answered(adapter, shape):
    tree = fe.Tree(SHAPES[shape].parent, SHAPES[shape].length, SHAPES[shape].bins)  # without what another device keeps
    a, b = histograms(np.random.default_rng(6), 2, tree.n, 0.2), histograms(np.random.default_rng(7), 2, tree.n)
    options = {"reg": 5.0, "max_iter": 2, "tol": 3.0, "plan": True}
    agree(adapter.sinkhorn(a, b, tree, **options), fe.sinkhorn(a, b, tree, **options), 1e-12)


@pytest.mark.parametrize("n", [1, 4, 5, 16, 17, 33])
@pytest.mark.parametrize("make", [fe.Chain, fe.Ring])
def test_chains_and_rings_beside_the_border_of_a_warp_and_a_block_are_answered(adapter, make, n):
    a, b = (histograms(np.random.default_rng(n), 2, n, zeros) for zeros in (0.3, 0.0))
    options = {"reg": 5.0, "max_iter": 2, "tol": 3.0, "plan": True}
    agree(adapter.sinkhorn(a, b, make(n), **options), fe.sinkhorn(a, b, make(n), **options), 1e-12)


# --- Options ----------------------------------------------------------------------------------------------------------

COSTS = {
    "matrix": lambda: np.random.default_rng(8).random((4, 4)),
    "chain": lambda: unit(fe.Chain(4)),
    "tree": lambda: unit(fe.Tree([-1, 0, 0, 1, 1], np.ones(5), [0, 2, 3, 4])),
    "ring": lambda: unit(fe.Ring(4)),
}
EVERY_COST = pytest.mark.parametrize("cost", COSTS)


@pytest.mark.parametrize(("cost", "mass"), [*((cost, "equal") for cost in COSTS), ("matrix", "normalize")])
def test_marginals_that_differ_have_their_price(adapter, cost, mass):
    a, b, _ = problem(9, 4, 4)
    options = {"reg": 1.0, "unbalanced": 0.7, "plan": True, "mass": mass, "tol": FINE}
    ours = adapter.sinkhorn(2 * a, 3 * b, COSTS[cost](), **options)
    agree(ours, fe.reference.sinkhorn(2 * a, 3 * b, COSTS[cost](), **options), 10 * AGREED)


@pytest.mark.parametrize("cost", ["matrix", "chain"])
def test_rows_are_divided_by_their_mass_under_normalize(adapter, cost):
    a, b, _ = problem(10, 4, 4)
    options = {"reg": 1.5, "plan": True, "mass": "normalize", "tol": FINE}
    ours = adapter.sinkhorn(2 * a, 3 * b, COSTS[cost](), **options)
    agree(ours, fe.reference.sinkhorn(2 * a, 3 * b, COSTS[cost](), **options), AGREED)


@pytest.mark.parametrize(("cost", "unbalanced"), [*((cost, None) for cost in COSTS), ("matrix", 2.0)])
def test_iteration_begins_where_another_has_ended(adapter, cost, unbalanced):
    a, b, _ = problem(11, 4, 4)
    options = {"reg": 0.5, "unbalanced": unbalanced}
    first = adapter.sinkhorn(a, b, COSTS[cost](), **options, tol=1e-9)
    again = adapter.sinkhorn(a, b, COSTS[cost](), **options, tol=1e-8, potentials=first.potentials)
    np.testing.assert_array_equal(again.n_iter, 0)
    np.testing.assert_allclose(again.value, first.value, rtol=0, atol=AGREED)
    np.testing.assert_allclose(again.marginal_error, first.marginal_error, rtol=0, atol=1e-8)


@EVERY_COST
def test_reg_falls_from_stage_to_stage_as_on_the_cpu(adapter, cost):
    a, b, _ = problem(12, 4, 4)
    options = {"reg": 0.5, "epsilon_scaling": 0.5, "tol": 1e-5, "plan": True}
    ours, theirs = (f(a, b, COSTS[cost](), **options) for f in (adapter.sinkhorn, fe.sinkhorn))
    agree(ours, theirs, AGREED)
    assert np.all(abs(ours.n_iter - theirs.n_iter) <= 1)


@EVERY_COST
def test_no_iteration_at_all_leaves_potentials_as_they_are(adapter, cost):
    a, b, _ = problem(13, 4, 4)
    options = {"reg": 0.5, "max_iter": 0, "tol": 50.0}
    start = np.linspace(0, 1, 4), np.linspace(1, 0, 4)
    ours, theirs = (f(a, b, COSTS[cost](), **options, potentials=start) for f in (adapter.sinkhorn, fe.sinkhorn))
    agree(ours, theirs, AGREED, FIELDS[:2])
    np.testing.assert_array_equal(ours.n_iter, 0)
    np.testing.assert_allclose(ours.marginal_error, theirs.marginal_error, rtol=0, atol=AGREED)


# --- The divergence ---------------------------------------------------------------------------------------------------


def symmetric(cost):
    made = COSTS[cost]()
    return made + made.T if cost == "matrix" else made


@pytest.mark.parametrize("mass", ["equal", "normalize"])
def test_divergence_is_the_references(adapter, mass):
    a, b, _ = problem(14, 4, 4)
    options = {"reg": 1.0, "mass": mass, "tol": FINE}
    ours = adapter.sinkhorn_divergence(a, b, symmetric("matrix"), **options)
    theirs = fe.reference.sinkhorn_divergence(a, b, symmetric("matrix"), **options)
    for name in ("value", "grad_a", "grad_b"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=0, atol=AGREED, err_msg=name)
    assert ours.converged.all() and ours.value.shape == ours.n_iter.shape == (3,)


@EVERY_COST
def test_divergence_is_that_of_the_cpu(adapter, cost):
    a, b, _ = problem(15, 4, 4)
    options = {"reg": 1.0, "tol": 1e-2}
    ours, theirs = (
        f(a, b[0], symmetric(cost), **options) for f in (adapter.sinkhorn_divergence, fe.sinkhorn_divergence)
    )
    for name in ("grad_a", "grad_b", "marginal_error"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=0, atol=AGREED, err_msg=name)
    # In host memory a value that is negative within its error, which is large at this tol, is given as 0.
    found = np.where(np.asarray(theirs.value) == 0.0, 0.0, ours.value)
    np.testing.assert_allclose(found, theirs.value, rtol=0, atol=AGREED)
    np.testing.assert_array_equal(ours.n_iter, theirs.n_iter)


@pytest.mark.parametrize("cost", ["matrix", "chain"])
def test_divergence_of_a_histogram_from_itself_is_zero(adapter, cost):
    a, _, _ = problem(16, 4, 4, rows=1)
    result = adapter.sinkhorn_divergence(a, a, symmetric(cost), reg=2.0, tol=1e-11)
    for x in (result.value, result.grad_a, result.grad_b):
        np.testing.assert_allclose(x, 0.0, rtol=0, atol=AGREED)


# --- The same bits ----------------------------------------------------------------------------------------------------


@EVERY_COST
@pytest.mark.parametrize(("dtype", "reg"), [("float32", 0.5), ("float64", 0.002)])
def test_row_has_the_same_bits_in_any_batch(adapter, cost, dtype, reg):
    a, b, _ = (x.astype(dtype) for x in problem(16, 4, 4, rows=5))
    options = {"reg": reg, "tol": 0.05, "max_iter": 3, "check": False, "plan": True}
    whole, again = (adapter.sinkhorn(a, b, COSTS[cost](), **options) for _ in range(2))
    one = adapter.sinkhorn(a[3], b[3], COSTS[cost](), **options)
    for name in (*FIELDS, "n_iter", "marginal_error"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(again, name))
        np.testing.assert_array_equal(getattr(whole, name)[3], getattr(one, name))

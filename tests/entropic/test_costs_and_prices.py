"""Forbidden pairs, prices of the two marginals, divergences near 0, memory, and numpy's error state."""

import tracemalloc

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastemd as fe
from fastemd import Chain
from tests.support.errors import rejects
from tests.support.fake_backend import machine
from tests.support.fake_libraries import CupyArray

TOL = 1e-10  # the marginal error that is asked for; answers are compared within some hundred times that
NEAR = 100 * TOL
unconverged = pytest.mark.filterwarnings("ignore::fastemd.SinkhornWarning")
PRICES = [(0.5, 2.0), (None, 0.7), (0.7, None), 0.5]


def problem(seed, n=6, k=5):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(k)), rng.random((n, k)), rng


# --- inf forbids ------------------------------------------------------------------------------------------------------


@unconverged
@given(st.integers(0, 1000))
def test_a_forbidden_pair_gets_no_mass_and_the_rest_is_as_with_a_cost_out_of_reach(seed):
    a, b, cost, rng = problem(seed)
    forbidden = rng.random(cost.shape) < 0.4
    forbidden[np.arange(6), np.arange(6) % 5] = False
    forbidden[0] = forbidden[:, 0] = False  # through bin 0 every mass finds a way
    result = fe.sinkhorn(a, b, np.where(forbidden, np.inf, cost), reg=0.2, plan=True, tol=TOL)
    assert (result.plan[forbidden] == 0).all()
    assert np.isfinite(result.value)
    for x in (*result.potentials, result.grad_a, result.grad_b):
        assert np.isfinite(x).all()
    if result.converged:
        np.testing.assert_allclose(result.plan.sum(1), a, atol=NEAR)
        np.testing.assert_allclose(result.plan.sum(0), b, atol=NEAR)
        assert np.isclose(result.value, (result.plan * cost)[~forbidden].sum(), atol=NEAR)
        far = fe.sinkhorn(a, b, np.where(forbidden, 200.0, cost), reg=0.2, plan=True, tol=TOL)
        np.testing.assert_allclose(result.plan, far.plan, atol=NEAR)


def test_a_block_diagonal_cost_is_two_problems():
    a, b, cost, _ = problem(3, 4, 4)
    whole = np.full((8, 8), np.inf)
    whole[:4, :4], whole[4:, 4:] = cost, cost.T
    pair = fe.sinkhorn(np.concatenate([a, b]), np.concatenate([b, a]), whole, reg=0.1, plan=True, tol=TOL)
    assert pair.method == "log"
    one, other = (fe.sinkhorn(*x, reg=0.1, plan=True, method="log", tol=TOL) for x in ((a, b, cost), (b, a, cost.T)))
    np.testing.assert_allclose(pair.plan[:4, :4], one.plan, atol=NEAR)
    np.testing.assert_allclose(pair.plan[4:, 4:], other.plan, atol=NEAR)


def test_mass_that_may_go_nowhere_is_refused_by_name():
    a, b, cost, _ = problem(4)
    cost[2] = np.inf
    rejects(ValueError, lambda: fe.sinkhorn(a, b, cost, reg=0.1), "a[2] has mass", "forbids every bin of b")
    rejects(ValueError, lambda: fe.sinkhorn(b, a, cost.T, reg=0.1), "b[2] has mass", "forbids every bin of a")
    rows = np.stack([np.where(np.arange(6) == 2, 0, a) / (1 - a[2]), a])
    rejects(ValueError, lambda: fe.sinkhorn(rows, b, cost, reg=0.1), "a[1, 2] has mass")
    answers = fe.sinkhorn(rows, b, cost, reg=0.1, check=False)
    assert np.isnan(answers.value).tolist() == [False, True]
    single = fe.sinkhorn(rows[0], b, cost, reg=0.1, plan=True)
    assert single.converged
    assert np.isfinite(single.potentials[0]).all()
    assert (single.plan[2] == 0).all()


@pytest.mark.parametrize("entry", [np.nan, -np.inf])
def test_other_costs_that_are_not_finite_are_refused(entry):
    a, b, cost, _ = problem(5)
    cost[1, 3], cost[4, 4] = entry, np.inf
    rejects(ValueError, lambda: fe.sinkhorn(a, b, cost, reg=0.1), f"cost_or_space[1, 3] is {entry}", "inf for a pair")
    rejects(ValueError, lambda: fe.sinkhorn(a, b, np.full((6, 5), np.inf), reg=0.1), "cost_or_space[0, 0] is inf")


def test_scaling_becomes_log_where_pairs_are_forbidden():
    a, b, cost, _ = problem(6)
    cost[0, 0] = np.inf
    with pytest.warns(fe.SinkhornWarning, match="with forbidden pairs a sum of exponentials can be of any size"):
        assert fe.sinkhorn(a, b, cost, reg=1.0, method="scaling").method == "log"


# --- Prices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prices", PRICES, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_plans_with_two_prices_are_those_of_pot(prices, seed):
    a, b, cost, _ = problem(seed)
    b = 1.3 * b
    result = fe.sinkhorn(a, b, cost, reg=0.1, unbalanced=prices, plan=True, tol=TOL)
    pair = [np.inf if x is None else x for x in (prices if isinstance(prices, tuple) else (prices, prices))]
    scale = np.sqrt(a.sum() * b.sum())
    expected = ot.unbalanced.sinkhorn_unbalanced(
        a, b, cost, 0.1, tuple(pair), reg_type="kl", c=np.outer(a, b) / scale, numItermax=20_000, stopThr=1e-12
    )
    assert result.converged
    np.testing.assert_allclose(result.plan, expected, atol=NEAR)
    for price, marginal, given_ in zip(pair, (result.plan.sum(1), result.plan.sum(0)), (a, b), strict=True):
        if price == np.inf:
            np.testing.assert_allclose(marginal, given_, atol=NEAR)


@pytest.mark.parametrize("prices", PRICES, ids=str)
def test_gradients_with_two_prices_are_those_of_finite_differences(prices):
    a, b, cost, _ = problem(7)
    b, step = 1.3 * b, 1e-5

    def value(x, y):
        return fe.sinkhorn(x, y, cost, reg=0.1, unbalanced=prices, tol=1e-12).regularised_value

    result = fe.sinkhorn(a, b, cost, reg=0.1, unbalanced=prices, tol=1e-12)
    by_a = (value(a + step * np.eye(6), b) - value(a - step * np.eye(6), b)) / (2 * step)
    by_b = (value(a, b + step * np.eye(5)) - value(a, b - step * np.eye(5))) / (2 * step)
    np.testing.assert_allclose(result.grad_a, by_a, atol=step)
    np.testing.assert_allclose(result.grad_b, by_b, atol=step)


@pytest.mark.parametrize("space", [Chain(6), fe.Ring(6), fe.Tree([-1, 0, 0, 1, 1, 2], np.ones(6))], ids=repr)
def test_two_prices_on_a_space_are_those_on_its_matrix(space):
    rng = np.random.default_rng(8)
    a, b = rng.dirichlet(np.ones(6), (2, 4))
    for prices in PRICES:
        on_space = fe.sinkhorn(a, b, space, reg=0.5, unbalanced=prices, tol=TOL)
        on_matrix = fe.sinkhorn(a, b, space.cost_matrix(), reg=0.5, unbalanced=prices, tol=TOL)
        np.testing.assert_allclose(on_space.value, on_matrix.value, atol=NEAR)
        np.testing.assert_allclose(on_space.grad_a, on_matrix.grad_a, atol=NEAR)


def test_a_pair_of_nones_is_balanced_and_other_pairs_are_told():
    a, b, cost, _ = problem(9)
    plain = fe.sinkhorn(a, b, cost, reg=0.1)
    assert fe.sinkhorn(a, b, cost, reg=0.1, unbalanced=(None, None)).value == plain.value
    rejects(ValueError, lambda: fe.sinkhorn(a, b, cost, reg=0.1, unbalanced=(1, 2, 3)), "unbalanced has 3 entries")
    rejects(ValueError, lambda: fe.sinkhorn(a, b, cost, reg=0.1, unbalanced=(1, 0)), "unbalanced[1] is 0")
    rejects(TypeError, lambda: fe.sinkhorn(a, b, cost, reg=0.1, unbalanced=("x", 1)), "unbalanced[0] is 'x'")


def test_a_device_has_neither(monkeypatch):
    with machine(monkeypatch):
        x, cost = CupyArray(np.ones(2)), np.array([[0.0, np.inf], [1.0, 0.0]])
        rejects(ValueError, lambda: fe.sinkhorn(x, x, cost, reg=0.1), "cost_or_space holds inf", "host memory")
        rejects(ValueError, lambda: fe.sinkhorn(x, x, Chain(2), reg=0.1, unbalanced=(1, 2)), "unbalanced is (1.0, 2.0)")


# --- Divergences near 0, memory, numpy's error state ----------------------------------------------


@unconverged
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=12)
@given(st.integers(0, 1000), st.sampled_from([1.0, 10.0]))
def test_the_divergence_of_equal_rows_is_never_negative(dtype, seed, reg):
    rng = np.random.default_rng(seed)
    x = rng.dirichlet(np.ones(10), 5).astype(dtype)
    for cost in (Chain(10), Chain(10).cost_matrix()):
        result = fe.sinkhorn_divergence(x, x.copy(), cost, reg=reg)
        value = result.value[result.converged]
        assert (value >= 0).all()
        assert not np.isnan(np.sqrt(value)).any()


def test_a_divergence_that_is_negative_stays_so():
    cost = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, -3.0], [1.0, -3.0, 0.0]])  # its exponential has a negative eigenvalue
    a, b = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    assert fe.sinkhorn_divergence(a, b, cost, reg=0.5).value < -2


@pytest.mark.parametrize("options", [{}, {"method": "log"}], ids=str)
def test_a_cost_matrix_is_copied_three_times_at_most(options):
    rng = np.random.default_rng(10)
    cost, a = rng.random((700, 700)), rng.dirichlet(np.ones(700))
    fe.sinkhorn(a, a[::-1], cost, reg=1.0, **options)
    tracemalloc.start()
    fe.sinkhorn(a, a[::-1], cost, reg=1.0, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3.3 * cost.nbytes


def test_numpys_error_state_does_not_matter():
    rng = np.random.default_rng(11)
    x = rng.dirichlet(np.ones(50), 3).astype(np.float32)
    half = np.full((2, 50), 6e-8, np.float16)
    half[0, 3] = half[1, 20] = 1
    with np.errstate(all="raise"):
        for cost in (Chain(50), Chain(50).cost_matrix()):
            for reg in (0.5, 5.0):
                fe.sinkhorn(x, x[::-1], cost, reg=reg, mass="normalize", plan=True, max_iter=3, tol=0)
        fe.sinkhorn_divergence(x, x[::-1], Chain(50), reg=2.0, mass="normalize")
        fe.emd(half, half[::-1], Chain(50), mass="normalize", rho=3)
        fe.emd_value_and_grad(half, half[::-1], Chain(50), mass="normalize", rho=3)

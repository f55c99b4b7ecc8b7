"""Sinkhorn on chains, rings and trees: sums along edges against sums over the whole cost matrix, in linear memory."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastemd as fe
from fastemd.cpu.entropic import operators
from tests.support.sinkhorn_problems import AGREED, FINE, dense_sums, histograms, rounding, spaces, unit
from tests.support.strategies import chains, edge_lengths, rings, trees

few = settings(max_examples=40)
families = st.one_of(chains(30), rings(30), trees(30))


def weights(rng, rows, n):
    """Logarithms of weights of many sizes, some of them -inf; at least one a row is finite."""
    x = rng.normal(size=(rows, n)) * rng.choice([1.0, 30.0])
    x[rng.random(x.shape) < 0.3] = -np.inf
    x[:, rng.integers(n)] = 0.0
    return x


@few
@given(families, st.integers(0, 1000), st.sampled_from([1e-4, 0.003, 0.05, 1.0, 100.0]), st.booleans())
def test_sums_along_edges_are_those_over_the_matrix(space, seed, share_of_diameter, wide):
    space = unit(space)
    reg = share_of_diameter
    wide |= space.diameter > 300 * reg
    rng = np.random.default_rng(seed)
    operator = operators.SpaceKernel(space, reg, wide)
    cost = space.cost_matrix() / reg
    x = weights(rng, rng.choice([1, 8, 11]), space.n)
    sums, dense = operator.logsumexp(x, 0, x), dense_sums(x, cost)
    # The logarithms themselves are rounded at the size of the largest exponent; lengths are added up around a ring.
    size = 1.0 + space.lengths.sum() / reg + np.abs(x[np.isfinite(x)]).max()
    np.testing.assert_allclose(sums, dense, rtol=0, atol=min(1e-12 * size, rounding(space.n, size)))


@few
@given(families, st.integers(0, 1000), st.sampled_from([0.002, 0.05, 1.0]), st.booleans())
def test_cost_along_edges_is_that_of_the_plan(space, seed, reg, wide):
    space = unit(space)
    wide |= space.diameter > 300 * reg
    rng = np.random.default_rng(seed)
    operator = operators.SpaceKernel(space, reg, wide)
    cost = space.cost_matrix()
    x = weights(rng, 9, space.n)
    y = -dense_sums(x, cost / reg)
    with np.errstate(over="ignore"):
        plan = np.exp(x[:, :, None] + y[:, None, :] - cost / reg)
    expected = (plan * cost).sum(axis=(1, 2))
    slack = 1e-12 * (1.0 + cost.max() / reg + np.abs(y).max()) * plan.sum(axis=(1, 2)).max()
    np.testing.assert_allclose(operator.transport_cost(x, y), expected, rtol=0, atol=slack)


@pytest.mark.parametrize("method", ["scaling", "log"])
@few
@given(spaces(20), st.integers(0, 1000), st.sampled_from([0.02, 0.2, 2.0]))
def test_result_on_a_space_is_that_of_its_cost_matrix(method, space, seed, reg):
    rng = np.random.default_rng(seed)
    a, b = histograms(rng, 3, space.n, 0.2), histograms(rng, 3, space.n, 0.2)
    options = {"reg": reg, "tol": FINE, "max_iter": 100_000, "plan": True}
    ours = fe.sinkhorn(a, b, space, method=method, **options)
    dense = fe.sinkhorn(a, b, space.cost_matrix(), method=method, **options)
    assert ours.converged.all() and ours.method == method
    for name in ("value", "regularised_value", "plan", "grad_a", "grad_b"):
        np.testing.assert_allclose(getattr(ours, name), getattr(dense, name), rtol=0, atol=AGREED, err_msg=name)


@pytest.mark.parametrize("kind", ["chain", "ring", "tree"])
def test_space_whose_exponentials_leave_float64_is_solved(kind):
    rng = np.random.default_rng(5)
    parent = np.append(-1, rng.integers(0, np.arange(1, 40)))
    space = {"chain": fe.Chain(40), "ring": fe.Ring(40), "tree": fe.Tree(parent, np.ones(40))}[kind]
    reg = space.diameter / 2000  # exp(-2000) is 0 in float64
    a, b = histograms(rng, 2, 40)
    result = fe.sinkhorn(a, b, space, reg=reg, tol=1e-3, epsilon_scaling=True)
    assert result.converged and result.method == "log"
    exact = fe.emd(a, b, space)
    slack = result.marginal_error * space.diameter
    assert -slack <= result.value - exact <= reg * np.log(40) + slack


@pytest.mark.parametrize("space", [fe.Chain(1), fe.Ring(1), fe.Ring(2), fe.Ring(3), fe.Tree([-1], [0.0])], ids=repr)
def test_smallest_spaces_have_an_answer(space):
    a, b = histograms(np.random.default_rng(6), 2, space.n)
    result = fe.sinkhorn(a, b, space, reg=0.5, plan=True)
    dense = fe.reference.sinkhorn(a, b, space, reg=0.5, plan=True)
    np.testing.assert_allclose(result.plan, dense.plan, rtol=0, atol=AGREED)
    assert abs(result.value - dense.value) <= AGREED


@few
@given(st.integers(1, 12).flatmap(edge_lengths), st.integers(0, 1000))
def test_ring_without_some_lengths_has_the_sums_of_its_matrix(lengths, seed):
    ring = unit(fe.Ring(lengths=lengths))
    x = weights(np.random.default_rng(seed), 3, ring.n)
    for wide in (False, True):
        operator = operators.SpaceKernel(ring, 0.1, wide)
        dense = dense_sums(x, ring.cost_matrix() / 0.1)
        np.testing.assert_allclose(operator.logsumexp(x, 0, x), dense, rtol=1e-12, atol=rounding(ring.n, 100.0))


def test_bins_without_distance_between_them_are_one():
    tree = fe.Tree([-1, 0, 0, 0], [0.0, 0.0, 0.0, 1.0], bins=[0, 1, 2, 3])
    split = fe.sinkhorn([0.2, 0.3, 0.1, 0.4], [0.0, 0.1, 0.2, 0.7], tree, reg=0.3)
    whole = fe.sinkhorn([0.6, 0.4], [0.3, 0.7], fe.Chain(2), reg=0.3)
    assert abs(split.value - whole.value) <= AGREED


def test_path_shaped_tree_has_the_answers_of_the_chain():
    rng = np.random.default_rng(7)
    a, b = histograms(rng, 4, 12), histograms(rng, 4, 12)
    tree = fe.Tree(np.arange(12) - 1, np.ones(12))
    ours, chains_ = (fe.sinkhorn(a, b, space, reg=0.4, tol=FINE) for space in (tree, fe.Chain(12)))
    np.testing.assert_allclose(ours.value, chains_.value, rtol=0, atol=12 * AGREED)
    np.testing.assert_allclose(ours.grad_a, chains_.grad_a, rtol=0, atol=12 * AGREED)


@pytest.mark.parametrize("reg", [20_000.0, 1.0])
def test_long_chain_takes_memory_in_its_length_only(reg):
    n = 100_000
    a, b = histograms(np.random.default_rng(8), 2, n)
    space = fe.Chain(n)
    fe.sinkhorn(a[:10], a[:10], fe.Chain(10), reg=1.0)
    tracemalloc.start()
    result = fe.sinkhorn(a, b, space, reg=reg, max_iter=1, tol=10.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.converged
    assert peak < 2_000 * n  # bytes; the matrix would take 800,000 a bin


@pytest.mark.parametrize(
    "space",
    [fe.Chain(50), fe.Ring(50), fe.Tree(np.arange(50) // 3 - (np.arange(50) == 0), np.ones(50))],
    ids=["chain", "ring", "tree"],
)
@pytest.mark.parametrize("reg", [5.0, 0.05])
def test_row_on_a_space_has_the_same_bits_in_any_batch_and_with_any_threads(space, reg):
    rng = np.random.default_rng(9)
    a, b = histograms(rng, 41, 50), histograms(rng, 41, 50)
    before = fe.get_num_threads()
    try:
        fe.set_num_threads(1)
        whole = fe.sinkhorn(a, b, space, reg=reg, tol=0.05)
        fe.set_num_threads(3)
        again = fe.sinkhorn(a, b, space, reg=reg, tol=0.05)
    finally:
        fe.set_num_threads(before)
    single = [fe.sinkhorn(x, y, space, reg=reg, tol=0.05) for x, y in zip(a, b, strict=True)]
    for name in ("value", "regularised_value", "grad_a", "n_iter", "marginal_error"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(again, name))
        np.testing.assert_array_equal(getattr(whole, name), [getattr(result, name) for result in single])

"""Barycentres: of least cost by POT's linear program, proved by their gradient, on chains, rings and trees."""

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastemd as fe
from fastemd import reference
from fastemd.spaces import Chain, Ring, Tree
from tests.support.strategies import histogram_pair, spaces
from tests.support.tolerance import tolerance

STAR = Tree([-1, 0, 0, 0], [0, 1, 1, 1], bins=[1, 2, 3])


@st.composite
def tables(draw, most=6):
    """A space, a few histograms on it with some mass, of mass 1, and their weights."""
    space = draw(spaces(10))
    rows = [draw(histogram_pair(space.n, np.float64))[0] for _ in range(draw(st.integers(1, most)))]
    rows = np.array([row / row.max() if row.max() > 0 else np.ones(space.n) for row in rows])
    weights = draw(st.one_of(st.none(), st.lists(st.integers(1, 5), min_size=len(rows), max_size=len(rows))))
    return space, rows / rows.sum(axis=1, keepdims=True), weights


def slack(space, rows):
    """What sums over all edges and rows of mass 1 may be off by; the factor covers the roundings of solvers."""
    return tolerance(np.float64, 100 * max(space.n, space.m, len(rows)), 1.0, float(space.lengths.sum()) + 1.0)


def shares_of(weights, rows):
    shares = np.ones(len(rows)) if weights is None else np.array(weights, dtype=float)
    return shares / shares.sum()


def cost(x, space, rows, shares, rho):
    """The weighted distance of x to the rows, by the reference."""
    return shares @ np.array([reference.emd(row, x, space, rho=rho, mass="normalize") for row in rows])


@settings(max_examples=60)
@given(tables())
def test_barycentre_costs_what_the_linear_program_of_pot_finds(table):
    space, rows, weights = table
    found = fe.barycenter(rows, space, weights=weights)
    shares = shares_of(weights, rows)
    within = slack(space, rows)
    assert np.all(found.histogram >= 0)
    assert abs(found.histogram.sum() - 1.0) <= tolerance(np.float64, 100 * space.n, 1.0, 1.0)
    assert abs(found.value - cost(found.histogram, space, rows, shares, 1)) <= within
    if len(rows) > 1 and space.n > 1 and space.diameter > 0:
        best = np.maximum(ot.lp.barycenter(rows.T.copy(), space.cost_matrix(), shares), 0)
        # The interior point method of the program stops at a relative accuracy of its own, so it may lie above.
        assert found.value <= cost(best, space, rows, shares, 1) + within


@settings(max_examples=60)
@given(tables(), st.sampled_from([1, 2]))
def test_gradient_and_gap_prove_the_value(table, rho):
    space, rows, weights = table
    found = fe.barycenter(rows, space, weights=weights, rho=rho)
    shares = shares_of(weights, rows)
    within = slack(space, rows)
    assert 0 <= found.gap <= within
    least = found.gradient.min()
    assert found.gradient @ found.histogram - least <= within
    for other in (np.eye(space.n)[0], np.full(space.n, 1 / space.n), shares @ rows, rows[0]):
        line = found.value + found.gradient @ (other - found.histogram)
        assert cost(other, space, rows, shares, rho) >= line - within


@pytest.mark.parametrize("space", [Chain(7), Ring(7), Tree([-1, 0, 0, 1, 1, 2, 2], [0, 1, 2, 1, 3, 1, 1])])
def test_at_rho_2_it_is_the_mean(space):
    rows = np.random.default_rng(0).dirichlet(np.ones(7), 5)
    found = fe.barycenter(rows, space, rho=2, weights=[1, 2, 3, 4, 0])
    np.testing.assert_allclose(found.histogram, np.array([1, 2, 3, 4]) / 10 @ rows[:4], rtol=tolerance(float, 7, 1, 1))


def test_at_rho_1_it_is_the_median_of_points_on_a_chain():
    points = np.eye(9)[[0, 2, 3, 8, 8]]
    np.testing.assert_array_equal(fe.barycenter(points, Chain(9)).histogram, np.eye(9)[3])


def test_medians_of_flows_that_are_no_histogram_give_way():
    rows = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1.0]])  # the median of each leaf is 0
    found = fe.barycenter(rows, STAR)
    assert abs(found.histogram.sum() - 1.0) <= tolerance(float, 3, 1, 1)
    assert abs(found.value - 4 / 3) <= tolerance(float, 3, 1, 3)


@pytest.mark.parametrize("shape", ["path", "star", "caterpillar", "random"])
@pytest.mark.parametrize("equal", [True, False])
def test_gap_of_many_rows_on_a_large_tree_is_closed(shape, equal):
    rng = np.random.default_rng(5)
    n = 120
    v = np.arange(n)
    parent = {
        "path": v - 1,
        "star": np.where(v == 0, -1, 0),
        "caterpillar": np.where(v == 0, -1, np.where(v % 2, v - 1, v - 2)),
        "random": np.concatenate([[-1], rng.integers(0, np.arange(1, n))]),
    }[shape]
    tree = Tree(parent, rng.uniform(0.1, 2, n), np.setdiff1d(v, parent) if shape != "path" else None)
    rows = rng.dirichlet(np.full(tree.n, 0.3), 150)
    found = fe.barycenter(rows, tree, weights=None if equal else rng.uniform(0, 1, 150))
    assert found.gap <= slack(tree, rows)


def test_ties_of_weights_that_rounding_breaks_cost_no_mass_on_a_ring():
    rows = np.array([[1.0, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [1, 0, 0], [0, 1, 0]])
    rng = np.random.default_rng(4)
    for _ in range(100):
        space = Ring(lengths=rng.uniform(1, 900, 3))
        table = rows[:, rng.permutation(3)]
        found = fe.barycenter(table, space, weights=[1, 3, 4, 1, 1])
        assert abs(found.histogram.sum() - 1.0) <= tolerance(float, 3, 1, 1)


def test_leading_axes_are_a_batch_and_answers_have_the_dtype():
    rng = np.random.default_rng(1)
    for space in (Chain(5), Ring(5), Tree([-1, 0, 0, 1, 1], [0, 1, 1, 1, 1])):
        rows = rng.dirichlet(np.ones(5), (2, 3, 4)).astype(np.float32)
        found = fe.barycenter(rows, space)
        assert found.histogram.shape == found.gradient.shape == (2, 3, 5)
        assert found.value.shape == found.gap.shape == (2, 3)
        assert {x.dtype for x in vars(found).values()} == {np.dtype(np.float32)}
        alone = fe.barycenter(rows[1, 2], space)
        np.testing.assert_array_equal(alone.histogram, found.histogram[1, 2])
        assert isinstance(alone.value, np.float32)


def test_normalize_divides_rows_and_empty_tables_have_an_empty_barycentre():
    rows = np.array([[2, 0, 0], [0, 0, 5], [0, 0, 1]])
    np.testing.assert_array_equal(fe.barycenter(rows, Chain(3), mass="normalize").histogram, [0, 0, 1])
    for space in (Chain(3), Ring(3), STAR):
        found = fe.barycenter(np.zeros((2, 3)), space)
        assert found.value == found.gap == 0
        np.testing.assert_array_equal(found.histogram, np.zeros(3))


def test_kind_of_array_is_the_callers():
    torch = pytest.importorskip("torch")
    found = fe.barycenter(torch.eye(3), Chain(3))
    assert isinstance(found.histogram, torch.Tensor)
    assert found.histogram.tolist() == [0.0, 1.0, 0.0]


def test_inputs_are_not_modified():
    rows, weights = np.eye(3), np.array([1.0, 2.0, 3.0])
    rows.flags.writeable = weights.flags.writeable = False
    fe.barycenter(rows, STAR, weights=weights)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"rho": 1.5}, ValueError, "rho is 1.5. Needed: 1 .* or 2"),
        ({"mass": "root"}, ValueError, "mass is 'root'"),
        ({"weights": [1, 2]}, ValueError, r"weights has shape \(2,\). Needed: \(3,\)"),
        ({"weights": [1, -2, 1]}, ValueError, r"weights\[1\] is -2"),
        ({"weights": [0, 0, 0]}, ValueError, "sum above 0"),
        ({"A": [1.0, 0.0, 0.0]}, ValueError, r"try \[A\]"),
        ({"A": np.zeros((0, 3))}, ValueError, "no rows"),
        ({"A": [[1, 0, 0], [1, np.nan, 0]]}, ValueError, r"A\[1, 1\] is nan \(row 1, bin 1\)"),
        ({"A": [[1, 0, 0], [2, -1, 0]]}, ValueError, r"A\[1, 1\] is -1"),
        ({"A": [[1, 0, 0], [2, 0, 0.0]]}, ValueError, r"A\[1\] \(row 1\) has mass 2 and A\[0\] \(row 0\) has mass 1"),
        ({"A": [[1, 0, 0], [0, 0, 0.0]], "mass": "normalize"}, ValueError, r"A\[1\] \(row 1\) has mass 0"),
        ({"space": 3}, TypeError, "space is of type int"),
    ],
)
def test_bad_input_is_named(arguments, error, says):
    arguments = {"A": np.eye(3), "space": Chain(3)} | arguments
    with pytest.raises(error, match=says):
        fe.barycenter(arguments.pop("A"), arguments.pop("space"), **arguments)


def test_bad_table_is_nan_where_it_is_not_checked():
    rows = np.array([np.eye(3), np.eye(3), np.eye(3)])
    rows[1, 2, 0], rows[2, 0, 0] = np.nan, 2.0
    found = fe.barycenter(rows, Chain(3), check=False)
    np.testing.assert_array_equal(np.isnan(found.value), [False, True, True])
    np.testing.assert_array_equal(np.isnan(found.histogram[:, 0]), [False, True, True])

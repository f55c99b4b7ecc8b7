"""Distances that must not cancel, and positions that float64 does not hold."""

import numpy as np
import pytest
from hypothesis import given

import fastemd as fe
from fastemd.spaces import Chain, Ring, Tree
from tests.support.strategies import rings, trees
from tests.support.tolerance import tolerance


def test_short_edges_below_a_long_stem_keep_their_length():
    tree = Tree([-1, 0, 1, 1], [0, 1e9, 1e-9, 3e-9], bins=[2, 3])
    np.testing.assert_allclose(tree.cost_matrix()[0, 1], 4e-9, rtol=tolerance(np.float64, 2, 1.0, 1.0))


def test_plan_of_sinkhorn_below_a_long_stem_has_its_marginals():
    tree = Tree([-1, 0, 1, 1], [0, 1e9, 1e-9, 3e-9], bins=[2, 3])
    result = fe.sinkhorn([0.75, 0.25], [0.25, 0.75], tree, reg=1e-9, plan=True)
    assert result.converged
    assert abs(result.plan.sum(axis=1) - [0.75, 0.25]).max() <= 1e-8


def test_short_edges_of_a_long_ring_keep_their_length():
    ring = Ring(lengths=[1e9, 1e-9, 3e-9, 1e9])
    matrix = ring.cost_matrix()
    np.testing.assert_allclose(matrix[1, 3], 4e-9, rtol=tolerance(np.float64, 2, 1.0, 1.0))
    np.testing.assert_allclose(matrix[1, 2], 1e-9, rtol=tolerance(np.float64, 2, 1.0, 1.0))


@given(trees())
def test_distances_on_a_tree_are_lengths_of_paths(tree):
    parent, length = tree.parent, tree.length

    def path(v):
        nodes = [v]
        while parent[nodes[-1]] >= 0:
            nodes.append(parent[nodes[-1]])
        return nodes

    matrix = tree.cost_matrix()
    slack = tolerance(np.float64, tree.n_nodes, 1.0, length.sum())
    for i, u in enumerate(tree.bins):
        for j, v in enumerate(tree.bins):
            apart = set(path(u)) ^ set(path(v))
            assert abs(matrix[i, j] - sum(length[k] for k in apart)) <= slack


@given(rings())
def test_distances_on_a_ring_are_the_shorter_way(ring):
    matrix, slack = ring.cost_matrix(), tolerance(np.float64, ring.n, 1.0, ring.lengths.sum())
    for i in range(ring.n):
        for j in range(i, ring.n):
            inner = ring.lengths[i:j].sum()
            assert abs(matrix[i, j] - min(inner, ring.lengths.sum() - inner)) <= slack


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_differences_of_large_whole_numbers_are_exact(dtype):
    start = 1_700_000_000_000_000_000
    chain = Chain(positions=(start + np.array([0, 1000, 5000])).astype(dtype))
    np.testing.assert_array_equal(chain.lengths, [1000, 4000])
    np.testing.assert_array_equal(chain.cost_matrix()[0], [0, 1000, 5000])
    assert chain.diameter == 5000
    assert chain == Chain(positions=[start, start + 1000, start + 5000])


@pytest.mark.parametrize(
    ("positions", "lengths"),
    [
        (np.array(["2020-01-01", "2020-01-05", "2021-01-01"], "M8[D]"), [4, 362]),
        (np.array(["2020-01-01T00:00", "2020-01-01T01:30"], "M8[m]"), [90]),
        (np.array([0, 1, 5], "m8[ns]") + np.timedelta64(10**18, "ns"), [1, 4]),
    ],
)
def test_dates_and_durations_count_in_their_unit(positions, lengths):
    np.testing.assert_array_equal(Chain(positions=positions).lengths, lengths)


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (np.array(["2020-01-01", "NaT"], "M8[D]"), r"positions\[1\] is NaT"),
        ([2**60, 2**60], r"positions\[1\] is 1152921504606846976, after positions\[0\]"),
        (np.array([0, 2**64 - 1], np.uint64), "at most 2\\*\\*63 - 1; subtract the first"),
        ([-(2**62) - 2**62, 2**62], "a span below 2\\*\\*63"),
    ],
)
def test_positions_without_exact_differences_are_refused(positions, message):
    with pytest.raises(ValueError, match=message):
        Chain(positions=positions)

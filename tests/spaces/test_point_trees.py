"""Trees over points: their distances are never below the Euclidean ones, equal points are at distance 0."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from fastemd.spaces import Tree
from fastemd.spaces.point_trees import BRANCHES
from tests.support.tolerance import tolerance

METHODS = pytest.mark.parametrize("method", ["quadtree", "cluster"])


@st.composite
def points(draw):
    """A few points in a few dimensions, some of them equal."""
    d = draw(st.integers(1, 4))
    coordinate = st.integers(0, 3) if draw(st.booleans()) else st.floats(-1e3, 1e3)
    rows = draw(st.lists(st.lists(coordinate, min_size=d, max_size=d), min_size=1, max_size=15))
    return np.array(rows, dtype=float)


@METHODS
@given(points(), st.integers(0, 3))
def test_distances_are_never_below_the_euclidean_ones(method, X, seed):
    tree = Tree.from_points(X, method=method, seed=seed)
    assert tree.n == len(X)
    tree_distance, distance = tree.cost_matrix(), cdist(X, X)
    # A quadtree does not tell points apart that are closer than its smallest cell.
    assert np.all(tree_distance >= distance - tolerance(float, 10, 1, distance.max()))
    same = (X[:, None] == X).all(axis=-1)
    assert np.all(tree_distance[same] == 0.0)
    assert np.all(tree_distance[~same] > 0.0)


@METHODS
def test_seed_decides_the_tree(method):
    X = np.random.default_rng(0).random((40, 3))
    trees = [Tree.from_points(X, method=method, seed=seed) for seed in (1, 1, 2)]
    assert trees[0] == trees[1]
    assert trees[0] != trees[2]
    assert Tree.from_points(X, method=method, seed=np.random.default_rng(1)) == trees[0]


def test_quadtree_is_above_the_euclidean_distance_by_dimensions_times_levels_in_the_mean():
    X = np.random.default_rng(3).random((30, 2))
    distance = cdist(X, X)
    near = distance[distance > 0].min()
    mean = np.mean([Tree.from_points(X, seed=seed).cost_matrix() for seed in range(40)], axis=0)
    levels = np.log2(distance.max() / near) + 2
    assert np.all(mean <= 2 * levels * distance * 2)  # twice over, since 40 shifts are no mean


def test_clusters_divide_into_few():
    tree = Tree.from_points(np.random.default_rng(0).random((500, 2)), method="cluster", seed=0)
    inner = np.setdiff1d(tree.parent, [-1])
    clusters = [v for v in range(tree.n_nodes) if v in set(inner)]
    children = np.bincount(tree.parent[[v for v in clusters if v != tree.root]])
    assert children.max() <= BRANCHES


@METHODS
def test_outliers_far_away_are_no_deeper_than_they_have_to(method):
    X = np.array([[0.0], [1e-12], [1.0], [1e9]])
    matrix = Tree.from_points(X, method=method, seed=0).cost_matrix()
    assert matrix[0, 1] < matrix[0, 2] < matrix[0, 3]


@pytest.mark.parametrize(
    ("X", "error", "says"),
    [
        ([1.0, 2.0], ValueError, r"try X.reshape\(-1, 1\)"),
        (np.zeros((0, 2)), ValueError, r"X has shape \(0, 2\)"),
        ([[1.0, np.nan]], ValueError, r"X\[0, 1\] is nan"),
        ([["a"]], TypeError, "X has dtype"),
    ],
)
def test_bad_points_are_named(X, error, says):
    with pytest.raises(error, match=says):
        Tree.from_points(X)


def test_bad_options_are_named():
    with pytest.raises(ValueError, match="method is 'ball'"):
        Tree.from_points([[1.0]], method="ball")
    with pytest.raises(TypeError, match="seed is 'one'"):
        Tree.from_points([[1.0]], seed="one")

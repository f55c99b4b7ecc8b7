"""The mean over trees, and its bound by the Euclidean distance."""

import numpy as np
import ot
import pytest

import fastemd as fe
from tests.support.tolerance import tolerance

X = np.random.default_rng(0).random((15, 2))
A, B = np.random.default_rng(1).dirichlet(np.ones(15), (2, 4))


@pytest.mark.parametrize("method", ["quadtree", "cluster"])
def test_it_is_the_mean_and_never_below_the_exact_distance(method):
    trees = [fe.Tree.from_points(X, method=method, seed=seed) for seed in range(5)]
    found = fe.tree_sliced(A, B, trees)
    slack = tolerance(float, 30, 1, sum(tree.lengths.sum() for tree in trees))
    np.testing.assert_allclose(found, np.mean([fe.emd(A, B, tree) for tree in trees], axis=0), rtol=0, atol=slack)
    cost = ot.dist(X, X, metric="euclidean")
    for a, b, value in zip(A, B, found, strict=True):
        assert value >= ot.emd2(a, b, cost) - slack


def test_one_pair_is_a_scalar_of_the_dtype():
    trees = [fe.Tree.from_points(X, seed=seed) for seed in range(3)]
    found = fe.tree_sliced(A[0].astype(np.float32), B[0].astype(np.float32), trees)
    assert isinstance(found, np.float32)


@pytest.mark.parametrize(
    ("trees", "error", "says"),
    [
        (fe.Chain(15), TypeError, r"try \[trees\]"),
        ([], ValueError, "trees is empty"),
        (3, TypeError, "trees is of type int"),
        ([fe.Chain(15), 3], TypeError, r"trees\[1\] is of type int"),
        ([fe.Chain(15), fe.Chain(4)], ValueError, r"trees\[1\] has 4 bins and trees\[0\] has 15"),
    ],
)
def test_bad_trees_are_named(trees, error, says):
    with pytest.raises(error, match=says):
        fe.tree_sliced(A, B, trees)

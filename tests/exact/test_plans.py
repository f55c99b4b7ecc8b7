"""Plans of the kernels: couplings, sparse, of least cost; of one pair and of the rows of a batch."""

import numpy as np
import pytest
from hypothesis import given
from scipy.sparse import csr_array

import fastemd as fe
from fastemd import reference
from fastemd.spaces import Chain, Ring, Tree
from tests.support.kernel_problems import calls, moved, total_mass, value_slack
from tests.support.reference_problems import close

BATCHES = (((), ()), ((3,), (3,)), ((), (2,)), ((2, 1), (2,)))


@given(calls(batches=BATCHES, policies=("equal", "normalize")))
def test_plan_is_a_sparse_coupling_whose_cost_is_the_value(call):
    space, a, b, mass = call
    batch = np.broadcast_shapes(a.shape[:-1], b.shape[:-1])
    plans = fe.plan(a, b, space, mass=mass)
    if batch:
        assert (plans.shape, plans.dtype) == (batch, object)
    else:
        plans = np.array([plans], dtype=object)[0:1].reshape(())
    p, q = (np.broadcast_to(x.astype(np.float64), (*batch, space.n)) for x in (a, b))
    if mass == "normalize":
        p, q = (x / x.sum(axis=-1, keepdims=True) for x in (p, q))
    value = np.asarray(reference.emd(a, b, space, mass=mass))
    largest = total_mass(a, b, mass)
    for row in np.ndindex(batch):
        plan = plans[row]
        assert isinstance(plan, csr_array)
        assert plan.shape == (space.n, space.n)
        assert plan.nnz <= 2 * space.n - 1
        assert np.all(plan.data > 0)
        # float16 and float32 rows need not hold equal mass: what is left over stays unmatched.
        within = moved(space, largest) + abs(p[row].sum() - q[row].sum())
        close(plan.diagonal(), np.minimum(p[row], q[row]), within)
        close(plan.sum(axis=1), p[row], within)
        close(plan.sum(axis=0), q[row], within)
        cost = np.sum(plan.toarray() * space.cost_matrix())
        close(cost, value[row], value_slack(space, largest, 1) + within * float(space.lengths.sum()))


def test_plan_of_one_pair_is_an_array_and_of_a_batch_an_array_of_them():
    assert isinstance(fe.plan([1.0, 0.0], [0.0, 1.0], Chain(2)), csr_array)
    plans = fe.plan([[1.0, 0.0]], [0.0, 1.0], Chain(2))
    assert plans.shape == (1,)
    assert isinstance(plans[0], csr_array)


@pytest.mark.parametrize("space", [Chain(3), Ring(3), Tree([-1, 0, 0], [0, 1, 1])])
def test_bad_row_has_no_plan_where_it_is_not_checked(space):
    a = np.array([[1.0, 0, 0], [np.nan, 0, 0], [0, 2.0, 0]])
    plans = fe.plan(a, [0.0, 0.0, 1.0], space, check=False)
    assert [plan is None for plan in plans] == [False, True, True]
    assert fe.plan(a[1], [0.0, 0.0, 1.0], space, check=False) is None
    np.testing.assert_array_equal(plans[0].toarray(), np.array([[0, 0, 1], [0, 0, 0], [0, 0, 0]]))


def test_plan_of_rows_without_mass_is_empty():
    assert fe.plan(np.zeros(4), np.zeros(4), Ring(4)).nnz == 0


def test_plan_of_a_deep_tree_does_not_recurse():
    n = 100_000
    path = Tree(np.arange(-1, n - 1), np.ones(n))
    a, b = np.zeros(n), np.zeros(n)
    a[0], b[-1] = 1.0, 1.0
    plan = fe.plan(a, b, path)
    assert plan.nnz == 1
    assert plan[0, n - 1] == 1.0


def test_plan_never_crosses_an_edge_in_both_directions():
    rng = np.random.default_rng(3)
    n = 300
    tree = Tree(np.concatenate([[-1], rng.integers(0, np.arange(1, n))]), rng.integers(0, 4, n).astype(float))
    a = rng.integers(0, 5, n).astype(float)
    b = rng.permutation(a)
    plan = fe.plan(a, b, tree)
    assert plan.nnz <= 2 * n - 1
    assert np.sum(plan.toarray() * tree.cost_matrix()) == fe.emd(a, b, tree)

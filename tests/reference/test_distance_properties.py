"""The reference has the properties of a distance, and its plans cost what it says."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from fastemd import reference
from fastemd.spaces import Chain, Ring, Tree
from tests.support.reference_problems import close, exponents, problems, slack

# --- Properties of a distance -----------------------------------------------------------------------------------------


@given(problems(), exponents)
def test_distance_is_symmetric_and_zero_from_a_row_to_itself(problem, rho):
    space, a, b = problem
    close(reference.emd(b, a, space, rho=rho), reference.emd(a, b, space, rho=rho), slack(space, a.sum(), rho))
    assert reference.emd(a, a, space, rho=rho) == 0.0
    close(reference.potential(a, a, space, rho=rho), 0.0, slack(space, 1.0))


@given(problems(), st.data())
def test_detour_over_a_third_row_is_no_shorter(problem, data):
    space, a, b = problem
    c = np.array(data.draw(st.permutations(a.tolist()), label="third row"))
    detour = reference.emd(a, c, space) + reference.emd(c, b, space)
    assert reference.emd(a, b, space) <= detour + slack(space, a.sum())


@given(problems(), exponents)
def test_mass_scales_the_value_by_its_power_rho(problem, rho):
    space, a, b = problem
    value = reference.emd(a, b, space, rho=rho)
    close(reference.emd(4 * a, 4 * b, space, rho=rho), 4**rho * value, slack(space, 4 * a.sum(), rho))


@given(problems(), exponents)
def test_length_scales_the_value_and_the_gradient(problem, rho):
    space, a, b = problem
    if isinstance(space, Chain):
        wider = Chain(positions=4 * space.positions)
    elif isinstance(space, Ring):
        wider = Ring(lengths=4 * space.lengths)
    else:
        wider = Tree(space.parent, 4 * space.length, bins=space.bins)
    value, gradient = reference.emd_value_and_grad(a, b, space, rho=rho)
    scaled_value, scaled_gradient = reference.emd_value_and_grad(a, b, wider, rho=rho)
    assert scaled_value == 4 * value
    np.testing.assert_array_equal(scaled_gradient, 4 * gradient)


@given(problems(Tree), exponents, st.data())
def test_numbering_of_nodes_and_bins_does_not_matter(problem, rho, data):
    tree, a, b = problem
    number = np.array(data.draw(st.permutations(range(tree.n_nodes)), label="new number of each node"))
    order = np.array(data.draw(st.permutations(range(tree.n)), label="order of the bins"))
    parent, length = np.empty(tree.n_nodes, dtype=int), np.empty(tree.n_nodes)
    parent[number] = np.where(tree.parent < 0, -1, number[tree.parent])
    length[number] = tree.length
    renumbered = Tree(parent, length, bins=number[tree.bins][order])
    expected = reference.emd(a, b, tree, rho=rho)
    close(reference.emd(a[order], b[order], renumbered, rho=rho), expected, slack(tree, a.sum(), rho))


@given(problems(Chain), exponents)
def test_path_is_a_chain(problem, rho):
    chain, a, b = problem
    path = Tree(np.append(np.arange(1, chain.n), -1), np.append(chain.lengths, 0.0))
    value, gradient = reference.emd_value_and_grad(a, b, chain, rho=rho)
    path_value, path_gradient = reference.emd_value_and_grad(a, b, path, rho=rho)
    close(path_value, value, slack(chain, a.sum(), rho))
    np.testing.assert_array_equal(path_gradient, gradient)
    np.testing.assert_array_equal(reference.flow(a, b, path)[:-1], reference.flow(a, b, chain))


@given(problems(Chain), exponents, st.floats(0.0, 10.0))
def test_ring_is_no_longer_than_the_chain_it_closes(problem, rho, closing):
    chain, a, b = problem
    ring = Ring(lengths=np.append(chain.lengths, closing))
    assert reference.emd(a, b, ring, rho=rho) <= reference.emd(a, b, chain, rho=rho) + slack(ring, a.sum(), rho)


@given(problems(Chain))
def test_ring_closed_by_the_longest_way_is_the_chain(problem):
    chain, a, b = problem
    ring = Ring(lengths=np.append(chain.lengths, chain.diameter + 1))
    close(reference.emd(a, b, ring), reference.emd(a, b, chain), slack(ring, a.sum()))


@given(problems(Ring), exponents, st.data())
def test_ring_edge_of_length_zero_can_be_contracted(problem, rho, data):
    ring, a, b = problem
    assume(ring.n > 1)
    e = data.draw(st.integers(0, ring.n - 2), label="edge")
    lengths = ring.lengths.copy()
    lengths[e] = 0.0
    left, right = np.delete(a, e), np.delete(b, e)
    left[e] += a[e]
    right[e] += b[e]
    contracted = Ring(lengths=np.delete(lengths, e))
    expected = reference.emd(a, b, Ring(lengths=lengths), rho=rho)
    close(reference.emd(left, right, contracted, rho=rho), expected, slack(ring, a.sum(), rho))


@given(problems(Tree), exponents, st.data())
def test_tree_edge_of_length_zero_can_be_contracted(problem, rho, data):
    tree, a, b = problem
    assume(tree.n_nodes > 1)
    v = data.draw(st.sampled_from(np.flatnonzero(tree.parent >= 0).tolist()), label="node below the edge")
    above, length = tree.parent[v], tree.length.copy()
    length[v] = 0.0
    expected = reference.emd(a, b, Tree(tree.parent, length, bins=tree.bins), rho=rho)
    # Without its children, and with its bin moved up, v is a leaf that nothing reaches.
    parent = np.where(tree.parent == v, above, tree.parent)
    bins, at_v, at_above = tree.bins.copy(), tree.bins == v, tree.bins == above
    if at_v.any() and at_above.any():
        a, b = (np.where(at_v, 0.0, row + at_above * row[at_v]) for row in (a, b))
    else:
        bins[at_v] = above
    close(reference.emd(a, b, Tree(parent, length, bins=bins), rho=rho), expected, slack(tree, a.sum(), rho))


# --- Plans ------------------------------------------------------------------------------------------------------------


@given(problems())
def test_plan_is_a_sparse_coupling_whose_cost_is_the_value(problem):
    space, a, b = problem
    plan = reference.plan(a, b, space)
    assert plan.shape == (space.n, space.n)
    assert plan.nnz <= 2 * space.n - 1
    assert np.all(plan.data > 0)
    np.testing.assert_array_equal(plan.diagonal(), np.minimum(a, b))
    close(plan.sum(axis=1), a, slack(space, a.sum(), length=1.0))
    close(plan.sum(axis=0), b, slack(space, a.sum(), length=1.0))
    close(np.sum(plan.toarray() * space.cost_matrix()), reference.emd(a, b, space), slack(space, a.sum()))


def test_plans_of_a_batch_are_the_plans_of_its_rows():
    a, b = np.array([[[2, 0, 1]], [[0, 3, 0]]]), np.array([[1, 1, 1], [0, 0, 3]])
    plans = reference.plan(a, b, Chain(3), mass="normalize")
    assert plans.shape == (2, 2)
    for i, j in np.ndindex(2, 2):
        alone = reference.plan(a[i, 0] / 3, b[j] / 3, Chain(3))
        np.testing.assert_array_equal(plans[i, j].toarray(), alone.toarray())


@given(problems(Chain), st.data())
def test_plan_books_a_surplus_at_the_root(problem, data):
    chain, a, b = problem
    a = a * np.array(data.draw(st.lists(st.sampled_from([0, 1, 3]), min_size=chain.n, max_size=chain.n), label="x"))
    plan = reference.plan(a, b, chain, mass="root")
    cost, mass = np.sum(plan.toarray() * chain.cost_matrix()), max(a.sum(), b.sum())
    close(cost, reference.emd(a, b, chain, mass="root"), slack(chain, mass))
    close(plan.sum(axis=1)[:-1], a[:-1], slack(chain, mass, length=1.0))
    close(plan.sum(axis=0)[:-1], b[:-1], slack(chain, mass, length=1.0))
    assert plan.nnz <= 2 * chain.n - 1


def test_plan_leaves_out_a_surplus_whose_root_is_no_bin():
    tree = Tree([-1, 0, 0], [0, 1, 1], bins=[1, 2])
    np.testing.assert_array_equal(reference.plan([3, 0], [0, 1], tree, mass="root").toarray(), [[0, 1], [0, 0]])

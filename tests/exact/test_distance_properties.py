"""The kernels have the properties of a distance, and their gradients prove themselves."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import fastemd as fe
from fastemd.spaces import Chain, Ring, Tree
from tests.support.kernel_problems import calls, exponents, moved, total_mass, value_slack
from tests.support.reference_problems import close, dot

ROWS = (((9,), (9,)), ((), (5,)))


def problems(kind=None):
    """Batches in float64, so that nothing but the kernel rounds."""
    return calls(kind, "float64", batches=ROWS)


def slack(space, a, b, rho=1.0):
    return value_slack(space, total_mass(a, b), rho)


# --- Properties of a distance -----------------------------------------------------------------------------------------


@given(problems(), exponents)
def test_distance_is_symmetric_and_zero_from_a_row_to_itself(call, rho):
    space, a, b, _ = call
    close(fe.emd(b, a, space, rho=rho), fe.emd(a, b, space, rho=rho), slack(space, a, b, rho))
    np.testing.assert_array_equal(fe.emd(a, a, space, rho=rho), 0.0)


@given(problems(), st.integers(0, 99))
def test_detour_over_a_third_row_is_no_shorter(call, seed):
    space, a, b, _ = call
    c = np.random.default_rng(seed).permuted(a, axis=-1)
    assert np.all(fe.emd(a, b, space) <= fe.emd(a, c, space) + fe.emd(c, b, space) + slack(space, a, b))


@given(problems(), exponents)
def test_mass_scales_the_value_by_its_power_rho(call, rho):
    space, a, b, _ = call
    value = fe.emd(a, b, space, rho=rho)
    close(fe.emd(4 * a, 4 * b, space, rho=rho), 4.0**rho * value, 4.0**rho * slack(space, a, b, rho))


@given(problems(), exponents)
def test_length_scales_the_value_and_the_gradient(call, rho):
    space, a, b, _ = call
    if isinstance(space, Chain):
        wider = Chain(positions=4 * space.positions)
    elif isinstance(space, Ring):
        wider = Ring(lengths=4 * space.lengths)
    else:
        wider = Tree(space.parent, 4 * space.length, bins=space.bins)
    value, grad = fe.emd_value_and_grad(a, b, space, rho=rho)
    wider_value, wider_grad = fe.emd_value_and_grad(a, b, wider, rho=rho)
    np.testing.assert_array_equal(wider_value, 4 * value)
    np.testing.assert_array_equal(wider_grad, 4 * grad)


@given(problems(Chain), exponents, st.floats(0.0, 10.0))
def test_ring_is_no_longer_than_the_chain_it_closes(call, rho, closing):
    chain, a, b, _ = call
    ring = Ring(lengths=np.append(chain.lengths, closing))
    assert np.all(fe.emd(a, b, ring, rho=rho) <= fe.emd(a, b, chain, rho=rho) + slack(ring, a, b, rho))


@given(problems(Chain), exponents)
def test_path_is_a_chain_bit_for_bit_where_sums_are_exact(call, rho):
    chain, a, b, _ = call
    path = Tree(np.append(np.arange(1, chain.n), -1), np.append(chain.lengths, 0.0))
    value, grad = fe.emd_value_and_grad(a, b, chain, rho=rho)
    path_value, path_grad = fe.emd_value_and_grad(a, b, path, rho=rho)
    close(path_value, value, slack(chain, a, b, rho))
    close(path_grad, grad, rho * moved(chain, total_mass(a, b) ** (rho - 1), float(chain.lengths.sum())))
    np.testing.assert_array_equal(fe.flow(a, b, path)[..., :-1], fe.flow(a, b, chain))


@given(problems(Ring), exponents, st.data())
def test_ring_edge_of_length_zero_can_be_contracted(call, rho, data):
    ring, a, b, _ = call
    assume(ring.n > 1)
    e = data.draw(st.integers(0, ring.n - 2), label="edge")
    lengths = ring.lengths.copy()
    lengths[e] = 0.0
    left, right = np.delete(a, e, axis=-1), np.delete(b, e, axis=-1)
    left[..., e] += a[..., e]
    right[..., e] += b[..., e]
    expected = fe.emd(a, b, Ring(lengths=lengths), rho=rho)
    close(fe.emd(left, right, Ring(lengths=np.delete(lengths, e)), rho=rho), expected, slack(ring, a, b, rho))


@given(problems(Tree), exponents, st.data())
def test_tree_node_on_an_edge_changes_nothing(call, rho, data):
    tree, a, b, _ = call
    assume(tree.n_nodes > 1)
    v = data.draw(st.sampled_from(np.flatnonzero(tree.parent >= 0).tolist()), label="node below the edge")
    new = tree.n_nodes
    parent, length = np.append(tree.parent, tree.parent[v]), np.append(tree.length, 0.0)
    parent[v] = new  # an edge of length zero between the new node and the parent
    longer = Tree(parent, length, bins=tree.bins)
    close(fe.emd(a, b, longer, rho=rho), fe.emd(a, b, tree, rho=rho), slack(tree, a, b, rho))


@given(problems(Tree), exponents, st.integers(0, 99))
def test_numbering_of_nodes_and_bins_does_not_matter(call, rho, seed):
    tree, a, b, _ = call
    rng = np.random.default_rng(seed)
    number, order = rng.permutation(tree.n_nodes), rng.permutation(tree.n)
    parent, length = np.empty(tree.n_nodes, dtype=int), np.empty(tree.n_nodes)
    parent[number] = np.where(tree.parent < 0, -1, number[tree.parent])
    length[number] = tree.length
    renumbered = Tree(parent, length, bins=number[tree.bins][order])
    value = fe.emd(a[..., order], b[..., order], renumbered, rho=rho)
    close(value, fe.emd(a, b, tree, rho=rho), slack(tree, a, b, rho))
    phi = fe.flow(a[..., order], b[..., order], renumbered)[..., number]
    close(phi, fe.flow(a, b, tree), moved(tree, total_mass(a, b)))


@given(problems(), exponents)
def test_value_is_what_the_flows_cost_and_what_the_length_gradient_says(call, rho):
    space, a, b, _ = call
    value, by_length = fe.emd_value_and_grad(a, b, space, rho=rho, wrt="length")
    close(dot(by_length, space.lengths), value, slack(space, a, b, rho))
    if rho == 1:
        np.testing.assert_array_equal(np.abs(fe.flow(a, b, space)), by_length)


# --- Gradients --------------------------------------------------------------------------------------------------------


@given(problems(), st.booleans())
def test_potential_at_rho_1_proves_the_value_optimal(call, centred):
    space, a, b, _ = call
    value, f = fe.emd_value_and_grad(a, b, space, centred=centred)
    steps = np.abs(f[..., :, np.newaxis] - f[..., np.newaxis, :])
    assert np.all(steps <= space.cost_matrix() + moved(space, 1.0, float(space.lengths.sum())))
    imbalance = np.abs(np.sum(a - b, axis=-1)) * np.abs(f).max(initial=0.0)
    assert np.all(np.abs(dot(f, a - b) - value) <= slack(space, a, b) + imbalance)


@given(problems(), exponents, st.integers(0, 99))
def test_gradient_supports_the_value_from_below(call, rho, seed):
    space, a, b, _ = call
    value, f = fe.emd_value_and_grad(a, b, space, rho=rho)
    other = np.random.default_rng(seed).permuted(a, axis=-1)
    there = fe.emd(other, b, space, rho=rho)
    assert np.all(there >= value + dot(f, other - a) - 4 * slack(space, a, b, rho))


@given(problems(), exponents)
def test_centred_gradient_sums_to_zero_and_differs_by_a_constant(call, rho):
    space, a, b, _ = call
    centred = fe.potential(a, b, space, rho=rho)
    loose = fe.potential(a, b, space, rho=rho, centred=False)
    within = rho * moved(space, total_mass(a, b) ** (rho - 1), float(space.lengths.sum()))
    close(centred.mean(axis=-1), 0.0, within)
    close(loose - loose.mean(axis=-1, keepdims=True), centred, within)


@given(problems(), st.sampled_from([2, 3.0, 4.0]), st.data())
def test_gradient_at_larger_rho_is_that_of_finite_differences(call, rho, data):
    space, a, b, _ = call
    a, b = (1.0 + x / x.sum(axis=-1, keepdims=True) for x in (a, b))
    a, b = (x / x.sum(axis=-1, keepdims=True) for x in (a, b))
    i, j = (data.draw(st.integers(0, space.n - 1), label=name) for name in ("from", "to"))
    step = np.finfo(np.float64).eps ** (1 / 3) / space.n
    way = step * (np.eye(space.n)[j] - np.eye(space.n)[i])
    slope = (fe.emd(a + way, b, space, rho=rho) - fe.emd(a - way, b, space, rho=rho)) / (2 * step)
    f = fe.potential(a, b, space, rho=rho)
    # A flow moves by at most 2 a unit of the way, flows are at most 1, and the third derivative of x**rho is at most
    # rho**3 there; the circulation of a ring makes the third derivative of its value at most thrice as large.
    truncation = 3 * (2 * rho) ** 3 * step**2 * float(space.lengths.sum()) / 6
    close(f[..., j] - f[..., i], slope, truncation + slack(space, a, b, rho) / step)


@given(problems(), st.sampled_from([1, 2, 3.0]))
def test_normalized_value_does_not_change_along_the_row_itself(call, rho):
    space, a, b, _ = call
    for wrt, x in (("a", a), ("b", b)):
        _, grad = fe.emd_value_and_grad(a, 3 * b, space, rho=rho, wrt=wrt, mass="normalize", centred=False)
        close(dot(grad, x), 0.0, rho * moved(space, 1.0, float(space.lengths.sum())))


@pytest.mark.parametrize("rows", [1, 8, 9])
def test_edges_without_flow_have_no_slope_on_chains_and_trees(rows):
    a, b = np.tile([1.0, 0, 0, 1.0, 0], (rows, 1)), np.tile([0, 1.0, 0, 0, 1.0], (rows, 1))
    expected = np.tile([2.0, 1.0, 1.0, 1.0, 0.0], (rows, 1))
    np.testing.assert_array_equal(fe.potential(a, b, Chain(5), centred=False), expected)
    path = Tree([1, 2, 3, 4, -1], [1, 1, 1, 1, 0])
    np.testing.assert_array_equal(fe.potential(a, b, path, centred=False), expected)


@pytest.mark.parametrize("rows", [1, 8, 9])
def test_edges_without_flow_share_what_closes_a_ring(rows):
    ring = Ring(lengths=[1.0, 2.0, 1.0, 1.0, 1.0])
    a, b = np.tile([1.0, 0, 0, 2, 0], (rows, 1)), np.tile([0, 0, 2.0, 0, 1], (rows, 1))
    # Prefixes 1, 1, -1, 1, 0: the median is 1, and two slopes of -1 leave 2 to idle edges of lengths 1, 2 and 1.
    np.testing.assert_array_equal(fe.flow(a, b, ring), np.tile([0.0, 0, -2, 0, -1], (rows, 1)))
    f = fe.potential(a, b, ring, centred=False)
    np.testing.assert_array_equal(f, np.tile([0.0, -0.5, -1.5, -0.5, -1.0], (rows, 1)))


def test_ring_takes_the_lower_of_two_medians():
    np.testing.assert_array_equal(fe.flow([1, 0, 1, 0], [0, 1, 0, 1], Ring(4)), [1, 0, 1, 0])


@pytest.mark.parametrize("rho", [1, 1.5, 2])
def test_ring_whose_lengths_are_all_zero_costs_nothing(rho):
    ring = Ring(lengths=[0.0, 0.0, 0.0])
    value, grad = fe.emd_value_and_grad([1, 0, 0], [0, 0, 1], ring, rho=rho)
    assert value == 0.0
    np.testing.assert_array_equal(grad, 0.0)
    np.testing.assert_array_equal(fe.flow([1, 0, 0], [0, 0, 1], ring), [1, 1, 0])

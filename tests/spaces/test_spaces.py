"""Chains, rings and trees: what they hold, how far their bins lie apart, and what they refuse."""

import copy
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastemd.spaces import Chain, Ring, Space, Tree
from tests.support.strategies import chains, histogram_pairs, rings, spaces, trees
from tests.support.tolerance import tolerance


def edge_ends(space):
    """Pairs of vertices that the edges join, out of the definition of each kind."""
    if isinstance(space, Chain):
        return [(e, e + 1) for e in range(space.n - 1)]
    if isinstance(space, Ring):
        return [(e, (e + 1) % space.n) for e in range(space.n)]
    return [(v, int(p) if p >= 0 else v) for v, p in enumerate(space.parent)]


def shortest_ways(space):
    """Distance of every pair of bins by Floyd and Warshall, over all vertices."""
    size = space.n_nodes if isinstance(space, Tree) else space.n
    ways = np.where(np.eye(size, dtype=bool), 0.0, np.inf)
    for (u, v), length in zip(edge_ends(space), space.lengths, strict=True):
        ways[u, v] = ways[v, u] = min(ways[u, v], length)
    for k in range(size):
        ways = np.minimum(ways, ways[:, [k]] + ways[k])
    bins = space.bins if isinstance(space, Tree) else np.arange(space.n)
    return ways[np.ix_(bins, bins)]


def rounding(space):
    """What a distance may be off by: positions round as numbers as large as the largest of them."""
    reach = np.sum(space.lengths)
    if isinstance(space, Chain):
        reach += np.abs(space.positions).max()
    return tolerance(np.float64, space.m + 1, 1.0, reach)


def awkward_trees():
    """Trees of 400,000 nodes that break recursion, or sweeps level by level."""
    n = 400_000
    v = np.arange(n)
    rng = np.random.default_rng(0)
    return {
        "path": v - 1,
        "path from the other end": np.append(v[1:], -1),
        "star": np.where(v == 0, -1, 0),
        "caterpillar": np.where(v % 2, v - 1, np.maximum(v - 2, -1)),
        "random": np.append(-1, rng.integers(0, v[1:])),
    }


# --- Distances --------------------------------------------------------------------------------------------------------


@given(spaces())
def test_cost_matrix_holds_the_shortest_ways(space):
    cost = space.cost_matrix()
    assert cost.dtype == np.float64
    assert cost.shape == (space.n, space.n)
    np.testing.assert_allclose(cost, shortest_ways(space), rtol=0, atol=rounding(space))


@given(spaces())
def test_cost_matrix_is_symmetric_without_negatives_and_zero_on_its_diagonal(space):
    cost = space.cost_matrix()
    assert np.array_equal(cost, cost.T)
    assert np.all(cost >= 0)
    assert not np.diag(cost).any()


@given(spaces())
def test_diameter_is_the_largest_entry_of_cost_matrix(space):
    assert type(space.diameter) is float
    assert space.diameter == pytest.approx(space.cost_matrix().max(), rel=0, abs=rounding(space))


@given(trees())
def test_bins_joined_by_edges_of_length_zero_are_exactly_zero_apart(tree):
    flat = Tree(tree.parent, np.zeros(tree.n_nodes), tree.bins)
    assert not flat.cost_matrix().any()
    assert flat.diameter == 0


def test_zero_edge_that_closes_a_ring_leaves_its_ends_zero_apart():
    assert Ring(lengths=[0.1, 0.2, 0.3, 0.0]).cost_matrix()[0, 3] == 0


def test_ring_goes_the_shorter_way_round():
    expected = [[0, 1, 3, 2], [1, 0, 2, 3], [3, 2, 0, 5], [2, 3, 5, 0]]
    assert Ring(lengths=[1, 2, 6, 2]).cost_matrix().tolist() == expected


def test_distances_of_a_small_tree_by_hand():
    #      2
    #   5/ | \1     bins: 4, 1, 2
    #   0  3  1
    #  7|
    #   4
    tree = Tree([2, 2, -1, 2, 0], [5, 1, 0, 9, 7], bins=[4, 1, 2])
    assert tree.cost_matrix().tolist() == [[0, 13, 12], [13, 0, 1], [12, 1, 0]]
    assert tree.diameter == 13


def test_diameter_of_a_tree_counts_ways_between_bins_only():
    assert Tree([-1, 0, 0, 0], [0, 1, 2, 100], bins=[1, 2]).diameter == 3
    assert Tree([-1, 0, 0, 0], [0, 1, 2, 100], bins=[3]).diameter == 0


def test_diameter_of_a_tree_may_end_in_an_inner_node():
    assert Tree([-1, 0, 1], [0, 2, 3], bins=[0, 1]).diameter == 2


# --- What a space holds -----------------------------------------------------------------------------------------------


def test_chain_of_n_bins_lies_on_whole_numbers():
    chain = Chain(4)
    assert (chain.kind, chain.n, chain.m, chain.diameter) == ("chain", 4, 3, 3.0)
    assert chain.positions.tolist() == [0, 1, 2, 3]
    assert chain.lengths.tolist() == [1, 1, 1]
    assert chain.arrays.length is chain.lengths


def test_lengths_of_a_chain_are_the_gaps_of_its_positions():
    chain = Chain(positions=[-2, 1, 1.5])
    assert chain.n == 3
    assert chain.lengths.tolist() == [3, 0.5]
    assert chain == Chain(3, positions=[-2, 1, 1.5])


def test_ring_of_n_bins_has_n_edges_of_length_one():
    ring = Ring(4)
    assert (ring.kind, ring.n, ring.m, ring.diameter) == ("ring", 4, 4, 2.0)
    assert ring.lengths.tolist() == [1, 1, 1, 1]
    assert ring == Ring(lengths=[1, 1, 1, 1]) == Ring(4, lengths=np.ones(4, dtype=np.float32))
    assert ring.arrays.length is ring.lengths


def test_tree_has_an_edge_above_each_node_and_none_above_the_root():
    tree = Tree([1, -1, 1], [2, 9, 3])
    assert (tree.kind, tree.n, tree.m, tree.n_nodes, tree.root) == ("tree", 3, 3, 3, 1)
    assert tree.lengths.tolist() == [2, 0, 3]
    assert tree.length is tree.lengths
    assert tree.bins.tolist() == [0, 1, 2]
    assert tree.labels is None
    assert tree.bin_labels is None


def test_dtypes_are_those_documented():
    chain, tree = Chain(positions=[0, 2]), Tree(np.array([0, 0], np.uint8), [0, 1], np.array([1], np.int16))
    assert chain.positions.dtype == chain.lengths.dtype == Ring(lengths=[1]).lengths.dtype == np.float64
    assert tree.length.dtype == np.float64
    assert tree.parent.dtype == tree.bins.dtype == np.intp
    assert {array.dtype for array in tree.arrays} == {np.dtype(np.intp), np.dtype(np.float64)}


def test_root_that_is_its_own_parent_is_the_same_as_minus_one():
    assert Tree([1, 1, 1], [1, 0, 2]) == Tree([1, -1, 1], [1, 0, 2])
    assert Tree([1, 1, 1], [1, 0, 2]).parent.tolist() == [1, -1, 1]


@pytest.mark.parametrize("ignored", [7.0, -1.0, np.nan, np.inf])
def test_length_of_the_root_is_ignored(ignored):
    assert Tree([-1, 0], [ignored, 1]) == Tree([-1, 0], [0, 1])


def test_bin_labels_are_the_labels_of_the_bins():
    tree = Tree([-1, 0, 0], [0, 1, 1], bins=[2, 0], labels=np.array(["root", "left", "right"]))
    assert tree.labels == ("root", "left", "right")
    assert {type(label) for label in tree.labels} == {str}
    assert tree.bin_labels == ("right", "root")


@pytest.mark.parametrize(
    "space", [Chain(1), Chain(positions=[5]), Ring(1), Tree([-1], [0]), Tree([0], [3], [0], ["x"])]
)
def test_one_bin_is_a_space(space):
    assert space.n == 1
    assert space.diameter == 0
    assert space.cost_matrix().tolist() == [[0]]
    assert len(space.lengths) == space.m == (0 if space.kind == "chain" else 1)
    assert isinstance(space, Space)


@given(trees())
def test_arrays_put_each_subtree_in_a_row(tree):
    up, length, place, edge = tree.arrays
    n = tree.n_nodes
    assert sorted(edge) == list(range(n))
    assert edge[tree.root] == up[0] == length[0] == 0
    assert np.array_equal(place, edge[tree.bins])
    assert np.array_equal(length[edge], tree.length)
    below = np.arange(n) != tree.root
    assert np.array_equal(up[edge[below]], edge[tree.parent[below]])
    assert np.all(up[1:] < np.arange(1, n))
    # Depth first: a node's parent is the node before it, or one of that node's ancestors.
    for k in range(1, n):
        ancestor = k - 1
        while ancestor != up[k]:
            assert ancestor != 0
            ancestor = up[ancestor]


def test_siblings_keep_their_order_in_arrays():
    tree = Tree([3, 3, 3, -1, 0, 0], np.ones(6))
    assert np.argsort(tree.arrays.edge).tolist() == [3, 0, 4, 5, 1, 2]


@given(trees())
def test_arrays_are_made_once(tree):
    assert tree.arrays is tree.arrays


# --- Immutable, equal by content, copied and pickled ------------------------------------------------------------------


def arrays_of(space):
    content = [value for value in vars(space).values() if isinstance(value, np.ndarray)]
    return [*content, *space.arrays]


@given(spaces())
def test_arrays_cannot_be_written(space):
    for array in arrays_of(space):
        assert not array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        space.lengths[...] = 1


@pytest.mark.parametrize("space", [Chain(3), Ring(3), Tree([-1, 0], [0, 1])])
@pytest.mark.parametrize("name", ["n", "lengths", "diameter", "anything"])
def test_attributes_cannot_be_set_or_deleted(space, name):
    with pytest.raises(AttributeError, match=f"{name} cannot be set.*immutable.*new {type(space).__name__}"):
        setattr(space, name, 1)
    with pytest.raises(AttributeError, match="immutable"):
        delattr(space, name)


def test_arrays_are_copied_from_the_user():
    positions, lengths = np.array([0.0, 1.0]), np.array([1.0, 2.0])
    parent, bins = np.array([0, 0], dtype=np.intp), np.array([1, 0], dtype=np.intp)
    spaces = Chain(positions=positions), Ring(lengths=lengths), Tree(parent, lengths, bins)
    before = copy.deepcopy(pickle.dumps(spaces))
    assert all(array.flags.writeable for array in (positions, lengths, parent, bins))
    assert lengths.tolist() == [1, 2]
    assert parent.tolist() == [0, 0]
    for array in (positions, lengths, parent, bins):
        array[...] = 77
    assert spaces == pickle.loads(before)


@given(spaces())
def test_spaces_survive_pickle_and_copy(space):
    _ = space.arrays, space.diameter, hash(space)
    for twin in (pickle.loads(pickle.dumps(space)), copy.copy(space), copy.deepcopy(space)):
        assert type(twin) is type(space)
        assert twin == space
        assert hash(twin) == hash(space)
        assert repr(twin) == repr(space)
        assert not any(array.flags.writeable for array in arrays_of(twin))


def test_pickle_leaves_out_what_can_be_computed():
    tree = Tree(np.arange(1000) - 1, np.ones(1000))
    fresh = len(pickle.dumps(tree))
    _ = tree.arrays, tree.diameter, hash(tree)
    assert len(pickle.dumps(tree)) == fresh


def test_spaces_differ_where_their_content_differs():
    different = [
        Chain(3),
        Chain(4),
        Chain(positions=[0, 1, 3]),
        Chain(positions=[1, 2, 3]),
        Ring(3),
        Ring(lengths=[1, 1, 2]),
        Tree([-1, 0, 0], [0, 1, 1]),
        Tree([-1, 0, 1], [0, 1, 1]),
        Tree([-1, 0, 0], [0, 1, 2]),
        Tree([-1, 0, 0], [0, 1, 1], bins=[2, 1]),
        Tree([-1, 0, 0], [0, 1, 1], bins=[1, 2]),
        Tree([-1, 0, 0], [0, 1, 1], labels=["a", "b", "c"]),
        Tree([-1, 0, 0], [0, 1, 1], labels=["a", "b", "d"]),
    ]
    for i, one in enumerate(different):
        for j, other in enumerate(different):
            assert (one == other) == (i == j)
    assert len(set(different)) == len(different)
    assert Chain(3) != "Chain(3)"


def test_negative_zero_is_zero():
    for one, other in [
        (Chain(positions=[-0.0, 1]), Chain(2)),
        (Ring(lengths=[-0.0, 1]), Ring(lengths=[0.0, 1])),
        (Tree([-1, 0], [0, -0.0]), Tree([-1, 0], [0, 0.0])),
    ]:
        assert one == other
        assert hash(one) == hash(other)


@pytest.mark.parametrize(
    ("space", "text"),
    [
        (Chain(5), "Chain(5)"),
        (Chain(positions=[0, 1, 2.5]), "<Chain of 3 bins from 0 to 2.5>"),
        (Ring(5), "Ring(5)"),
        (Ring(lengths=[0.5, 1]), "<Ring of 2 bins, 1.5 around>"),
        (Tree([-1, 0, 0], [0, 1, 1], bins=[1, 2]), "<Tree of 2 bins on 3 nodes>"),
    ],
)
def test_repr_tells_kind_and_size(space, text):
    assert repr(space) == text


@given(spaces())
def test_repr_stays_short(space):
    assert len(repr(space)) < 80


def test_importing_spaces_brings_in_numpy_alone():
    code = "import sys, fastemd.spaces; print(sorted({m.split('.')[0] for m in sys.modules} & set(sys.argv[1:])))"
    heavy = ["numba", "scipy", "torch", "jax", "dask"]
    shown = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


# --- Size -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "parent"), awkward_trees().items())
def test_large_trees_of_any_depth_are_built_and_measured(shape, parent):
    n = len(parent)
    tree = Tree(parent, np.ones(n), bins=[0, n - 1, n // 2])
    assert len(tree.arrays.up) == n
    assert tree.diameter == tree.cost_matrix().max()
    if shape.startswith("path"):
        assert tree.diameter == n - 1


def test_path_of_a_million_nodes_builds_in_seconds():
    start = time.perf_counter()
    tree = Tree(np.arange(1_000_000) - 1, np.ones(1_000_000))
    assert tree.diameter == 999_999
    assert len(tree.arrays.up) == 1_000_000
    assert time.perf_counter() - start < 20  # under 1 s where nothing else runs; recursion or levels take minutes


def test_cycle_of_many_nodes_is_found_and_not_written_out():
    n = 100_000
    with pytest.raises(ValueError, match=r"^.{40,300}$"):
        Tree([-1, *range(2, n), 1], np.ones(n))


# --- What is refused --------------------------------------------------------------------------------------------------

HUGE = np.finfo(np.float64).max
GOOD_PARENT, GOOD_LENGTH = [-1, 0, 0], [0, 1, 1]

REFUSED = {
    "chain without bins": (lambda: Chain(0), ValueError, r"n is 0.*at least 1"),
    "chain of negative size": (lambda: Chain(-3), ValueError, r"n is -3.*at least 1"),
    "chain of fractional size": (lambda: Chain(2.0), TypeError, r"n is of type float.*an int"),
    "chain of boolean size": (lambda: Chain(True), TypeError, r"n is of type bool.*an int"),
    "chain of numpy boolean size": (lambda: Chain(np.True_), TypeError, r"n is of type bool.*an int"),
    "chain of positions by place": (lambda: Chain([0, 1]), TypeError, r"n is of type list.*positions=x"),
    "chain of nothing": (lambda: Chain(), TypeError, r"neither n nor positions.*Chain\(5\)"),
    "chain that disagrees": (lambda: Chain(3, positions=[0, 1]), ValueError, r"n is 3 but positions holds 2.*leave n"),
    "no positions": (lambda: Chain(positions=[]), ValueError, r"positions is empty.*at least one"),
    "equal positions": (
        lambda: Chain(positions=[0, 1, 1, 0]),
        ValueError,
        r"positions\[2\] is 1.0, after positions\[1\] = 1.0.*strictly increasing.*numpy.unique",
    ),
    "falling positions": (lambda: Chain(positions=[0, 2, 1]), ValueError, r"positions\[2\] is 1.0.*increasing"),
    "falling from the start": (lambda: Chain(positions=[1, 0]), ValueError, r"positions\[1\] is 0.0.*increasing"),
    "NaN position": (lambda: Chain(positions=[0, 1, np.nan]), ValueError, r"positions\[2\] is nan.*finite"),
    "infinite position": (lambda: Chain(positions=[-np.inf, 1]), ValueError, r"positions\[0\] is -inf.*finite"),
    "infinite span": (lambda: Chain(positions=[-HUGE, HUGE]), ValueError, r"positions reach.*finite span.*divide"),
    "positions on two axes": (
        lambda: Chain(positions=[[0, 1]]),
        ValueError,
        r"positions has shape \(1, 2\).*one axis.*ravel",
    ),
    "a lone position": (lambda: Chain(positions=3.0), ValueError, r"positions has shape \(\)"),
    "complex positions": (
        lambda: Chain(positions=[0, 1j]),
        TypeError,
        r"positions has dtype complex128.*real.*asarray",
    ),
    "boolean positions": (lambda: Chain(positions=[False, True]), TypeError, r"positions has dtype bool"),
    "positions in words": (lambda: Chain(positions=["0", "1"]), TypeError, r"positions has dtype <U1"),
    "positions of objects": (lambda: Chain(positions=[0, None]), TypeError, r"positions has dtype object"),
    "ragged positions": (lambda: Chain(positions=[[0], [1, 2]]), ValueError, r"positions cannot be read as an array"),
    "ring without bins": (lambda: Ring(0), ValueError, r"n is 0.*at least 1"),
    "ring of nothing": (lambda: Ring(), TypeError, r"neither n nor lengths.*Ring\(360\)"),
    "ring of lengths by place": (lambda: Ring([1, 1]), TypeError, r"n is of type list.*lengths=l"),
    "ring that disagrees": (lambda: Ring(3, lengths=[1, 1]), ValueError, r"n is 3 but lengths holds 2.*leave n out"),
    "ring without lengths": (lambda: Ring(lengths=[]), ValueError, r"lengths is empty"),
    "negative length of a ring": (lambda: Ring(lengths=[1, -2, -3]), ValueError, r"lengths\[1\] is -2.0.*not negative"),
    "NaN length of a ring": (lambda: Ring(lengths=[1, np.nan]), ValueError, r"lengths\[1\] is nan.*finite.*set it to"),
    "ring without end": (lambda: Ring(lengths=[HUGE, HUGE]), ValueError, r"lengths sum to inf.*finite total.*divide"),
    "complex lengths": (lambda: Ring(lengths=[1j]), TypeError, r"lengths has dtype complex128"),
    "no nodes": (lambda: Tree([], []), ValueError, r"parent is empty.*at least one"),
    "cycle beside the root": (
        lambda: Tree([-1, 0, 4, 2, 3, 4], np.ones(6)),
        ValueError,
        r"cycle, 2 -> 4 -> 3 -> 2, so that node 2 never reaches the root.*parent outside",
    ),
    "node that hangs on a cycle": (
        lambda: Tree([-1, 2, 3, 2], np.ones(4)),
        ValueError,
        r"cycle, 2 -> 3 -> 2, so that node 1 never",
    ),
    "no root": (lambda: Tree([1, 2, 1], np.ones(3)), ValueError, r"no root.*1 -> 2 -> 1.*parent\[root\] = -1"),
    "two roots": (lambda: Tree([-1, 0, -1, 3], np.ones(4)), ValueError, r"3 roots, nodes 0 and 2 first.*exactly one"),
    "parent too large": (
        lambda: Tree([-1, 0, 3, 9], np.ones(3 + 1)),
        ValueError,
        r"parent\[3\] is 9, and the 4 nodes are numbered from 0 to 3.*number the nodes from 0",
    ),
    "parent one too large": (lambda: Tree([-1, 2], np.ones(2)), ValueError, r"parent\[1\] is 2"),
    "parent below minus one": (lambda: Tree([-2, 0], np.ones(2)), ValueError, r"parent\[0\] is -2.*-1 at the root"),
    "parent beyond intp": (
        lambda: Tree(np.array([0, 2**64 - 1], np.uint64), np.ones(2)),
        ValueError,
        r"parent\[1\] is 18446744073709551615",
    ),
    "fractional parents": (lambda: Tree([-1.0, 0.0], [0, 1]), TypeError, r"parent has dtype float64.*whole.*asarray"),
    "boolean parents": (lambda: Tree([False, False], [0, 1]), TypeError, r"parent has dtype bool"),
    "root by None": (lambda: Tree([None, 0], [0, 1]), TypeError, r"parent has dtype object.*-1 at the root"),
    "parents on two axes": (lambda: Tree([[-1, 0]], [0, 1]), ValueError, r"parent has shape \(1, 2\).*one axis"),
    "too few lengths": (lambda: Tree(GOOD_PARENT, [1, 1]), ValueError, r"length holds 2 numbers for 3 nodes"),
    "too many lengths": (lambda: Tree(GOOD_PARENT, [1] * 4), ValueError, r"length holds 4 numbers for 3 nodes"),
    "negative length": (lambda: Tree(GOOD_PARENT, [0, 1, -1]), ValueError, r"length\[2\] is -1.0.*absolute value"),
    "NaN length": (lambda: Tree(GOOD_PARENT, [0, np.nan, -1]), ValueError, r"length\[1\] is nan.*set it to a number"),
    "infinite length": (lambda: Tree(GOOD_PARENT, [0, np.inf, 1]), ValueError, r"length\[1\] is inf.*finite"),
    "tree without end": (lambda: Tree(GOOD_PARENT, [0, HUGE, HUGE]), ValueError, r"length sum to inf"),
    "complex length": (lambda: Tree(GOOD_PARENT, [0, 1, 1j]), TypeError, r"length has dtype complex128"),
    "one length for all": (lambda: Tree(GOOD_PARENT, 1.0), ValueError, r"length has shape \(\).*one for each node"),
    "no bins": (lambda: Tree(GOOD_PARENT, GOOD_LENGTH, []), ValueError, r"bins is empty.*at least one bin"),
    "bin too large": (lambda: Tree(GOOD_PARENT, GOOD_LENGTH, [0, 3]), ValueError, r"bins\[1\] is 3, and the 3 nodes"),
    "negative bin": (lambda: Tree(GOOD_PARENT, GOOD_LENGTH, [0, -1]), ValueError, r"bins\[1\] is -1.*from 0 to 2"),
    "bin twice": (
        lambda: Tree(GOOD_PARENT, GOOD_LENGTH, [2, 0, 2, 0]),
        ValueError,
        r"bins\[2\] is node 2, which bins\[0\] is already.*edge of length 0",
    ),
    "bins by mask": (lambda: Tree(GOOD_PARENT, GOOD_LENGTH, [True, False, True]), TypeError, r"bins has dtype bool"),
    "fractional bins": (lambda: Tree(GOOD_PARENT, GOOD_LENGTH, [1.0]), TypeError, r"bins has dtype float64.*whole"),
    "too few labels": (
        lambda: Tree(GOOD_PARENT, GOOD_LENGTH, [1, 2], labels=["a", "b"]),
        ValueError,
        r"labels holds 2 names for 3 nodes.*inner nodes included",
    ),
    "labels that are no strings": (
        lambda: Tree(GOOD_PARENT, GOOD_LENGTH, labels=["a", "b", 3]),
        TypeError,
        r"labels\[2\] is of type int.*convert with str",
    ),
    "labels in one string": (lambda: Tree(GOOD_PARENT, GOOD_LENGTH, labels="abc"), TypeError, r"labels is 'abc'.*list"),
    "labels by number": (lambda: Tree(GOOD_PARENT, GOOD_LENGTH, labels=3), TypeError, r"labels is 3.*sequence"),
}


@pytest.mark.parametrize(("build", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_with_argument_finding_and_mend(build, error, message):
    with pytest.raises(error, match=message) as raised:
        build()
    assert type(raised.value) is error
    assert "Needed: " in str(raised.value)


@given(trees(max_nodes=12), st.data())
def test_tree_with_a_node_hung_below_itself_is_refused(tree, data):
    v = data.draw(st.integers(0, tree.n_nodes - 1))
    descendants = [v]
    for u in descendants:
        descendants += np.flatnonzero(tree.parent == u).tolist()
    parent = tree.parent.copy()
    parent[v] = data.draw(st.sampled_from(descendants[1:] or [tree.n_nodes]))
    with pytest.raises(ValueError, match="parent"):
        Tree(parent, tree.length)


# --- The strategies that other tests draw from ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "int64"])
@pytest.mark.parametrize("batch", [(), (3,), (0,), (2, 1)])
@settings(max_examples=25)
@given(data=st.data())
def test_drawn_pairs_of_histograms_hold_equal_mass(dtype, batch, data):
    space = data.draw(st.one_of(chains(), rings(), trees()))
    a, b = data.draw(histogram_pairs(space, dtype, batch))
    assert a.shape == b.shape == (*batch, space.n)
    assert a.dtype == b.dtype == np.dtype(dtype)
    masses = a.sum(axis=-1, dtype=np.float64), b.sum(axis=-1, dtype=np.float64)
    assert np.all(masses[0] > 0)
    eps = float(np.finfo(dtype if a.dtype.kind == "f" else np.float64).eps)
    assert np.all(np.abs(masses[0] - masses[1]) <= min(8 * space.n * eps, eps**0.5) * np.maximum(*masses))


@example(Tree([-1, 0, 0], [0, 1, 2], bins=[2, 1]))
@given(trees())
def test_renumbering_the_nodes_of_a_tree_leaves_its_distances(tree):
    number = np.random.default_rng(tree.n_nodes).permutation(tree.n_nodes)
    parent, length = np.empty_like(tree.parent), np.empty_like(tree.length)
    parent[number] = np.where(tree.parent < 0, -1, number[tree.parent])
    length[number] = tree.length
    twin = Tree(parent, length, number[tree.bins])
    np.testing.assert_allclose(twin.cost_matrix(), tree.cost_matrix(), rtol=0, atol=rounding(tree))

"""Trees out of edges, sparse graphs, linkages and paths, and the hierarchies that are shipped."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

from fastemd.data import FILES, table
from fastemd.spaces import Tree, builders
from tests.support.strategies import trees
from tests.support.tolerance import tolerance

METHODS = ["single", "complete", "average", "weighted", "ward"]


def edges_of(tree, data=None):
    """Edges of a tree and their lengths; in any order and direction where `data` draws one."""
    edges = [(int(p), v) for v, p in enumerate(tree.parent) if p >= 0]
    lengths = [tree.length[v] for _, v in edges]
    if data is None:
        return edges, lengths
    order = data.draw(st.permutations(range(len(edges))))
    turned = data.draw(st.lists(st.booleans(), min_size=len(edges), max_size=len(edges)))
    edges = [edge[::-1] if turn else edge for edge, turn in zip(edges, turned, strict=True)]
    return [edges[e] for e in order], [lengths[e] for e in order]


def rounding(tree):
    """What a distance on the tree may be off by."""
    return tolerance(np.float64, tree.n_nodes, 1.0, tree.length.sum())


# --- Edges ------------------------------------------------------------------------------------------------------------


@given(trees(), st.data())
def test_a_tree_comes_back_from_its_edges_in_any_order_and_direction(tree, data):
    edges, lengths = edges_of(tree, data)
    assert Tree.from_edges(edges, lengths, root=tree.root, bins=tree.bins) == tree
    pairs = np.array(edges, dtype=np.int32).reshape(-1, 2)
    assert Tree.from_edges(pairs, lengths, root=tree.root, bins=tree.bins) == tree


@given(trees(), st.data())
def test_hanging_a_tree_on_another_root_leaves_its_distances(tree, data):
    edges, lengths = edges_of(tree)
    root = data.draw(st.integers(0, tree.n_nodes - 1))
    hung = Tree.from_edges(edges, lengths, root=root, bins=tree.bins)
    assert hung.root == root
    np.testing.assert_allclose(hung.cost_matrix(), tree.cost_matrix(), rtol=0, atol=rounding(tree))


@given(trees())
def test_pairs_of_parent_and_child_need_no_root(tree):
    edges, lengths = edges_of(tree)
    assert Tree.from_edges(edges, lengths, bins=tree.bins) == tree


@given(trees(), st.data())
def test_names_stand_for_nodes(tree, data):
    edges, lengths = edges_of(tree, data)
    if not edges:
        return
    named = [(f"node {u}", f"node {v}") for u, v in edges]
    bins = [f"node {v}" for v in tree.bins]
    built = Tree.from_edges(named, lengths, root=f"node {tree.root}", bins=iter(bins))
    assert built.labels[built.root] == f"node {tree.root}"
    assert list(built.bin_labels) == bins
    np.testing.assert_allclose(built.cost_matrix(), tree.cost_matrix(), rtol=0, atol=rounding(tree))


def test_edges_have_length_one_by_default():
    assert Tree.from_edges([(0, 1), (0, 2)]) == Tree([-1, 0, 0], [0, 1, 1])


def test_root_is_the_node_that_is_never_second_else_the_first_named():
    assert Tree.from_edges([(2, 0), (3, 2), (2, 1)]).root == 3
    assert Tree.from_edges([(2, 0), (2, 3), (1, 3)]).root == 2
    assert Tree.from_edges([("b", "c"), ("a", "c")]).labels[0] == "b"
    assert Tree.from_edges([("b", "c"), ("a", "c")]).root == 0


def test_names_are_numbered_as_they_come_up_and_may_be_any_hashable():
    tree = Tree.from_edges([(("a", 1), "x"), (("a", 1), frozenset("y"))], bins=[frozenset("y"), "x"])
    assert tree.labels == ("('a', 1)", "x", "frozenset({'y'})")
    assert tree.bins.tolist() == [2, 1]
    assert Tree.from_edges(np.array([["pet", "dog"]])).labels == ("pet", "dog")


def test_labels_given_replace_names():
    assert Tree.from_edges([("a", "b")], labels=["A", "B"]).labels == ("A", "B")
    assert Tree.from_edges([(0, 1)], labels=["A", "B"]).labels == ("A", "B")
    assert Tree.from_edges([(0, 1)]).labels is None


def test_no_edges_make_a_tree_of_one_node():
    for edges in ([], np.empty((0, 2), dtype=int)):
        assert Tree.from_edges(edges) == Tree.from_edges(edges, [], root=0) == Tree([-1], [0])


def test_a_path_of_many_edges_is_built_without_recursion():
    n = 200_000
    edges = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)[::-1]
    assert Tree.from_edges(edges).diameter == n - 1


# --- Sparse graphs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["coo_array", "csr_array", "csc_matrix", "lil_array"])
@pytest.mark.parametrize("triangles", ["upper", "lower", "either", "both"])
@given(tree=trees(max_nodes=12), data=st.data())
def test_a_tree_comes_back_from_its_sparse_graph(form, triangles, tree, data):
    length = np.maximum(tree.length, 1.0)  # lil and the like drop stored zeros
    tree = Tree(tree.parent, length, tree.bins)
    edges, lengths = edges_of(tree, data)
    u, v = np.array(edges, dtype=int).reshape(-1, 2).T
    if triangles == "upper":
        u, v = np.minimum(u, v), np.maximum(u, v)
    elif triangles == "lower":
        u, v = np.maximum(u, v), np.minimum(u, v)
    elif triangles == "both":
        u, v, lengths = np.append(u, v), np.append(v, u), np.append(lengths, lengths)
    graph = getattr(sparse, form)(sparse.coo_array((lengths, (u, v)), shape=(tree.n_nodes, tree.n_nodes)))
    before = graph.copy()
    assert Tree.from_sparse(graph, root=tree.root, bins=tree.bins) == tree
    assert (graph != before).nnz == 0


def test_stored_zeros_are_edges_of_length_zero():
    graph = sparse.coo_array(([0.0, 2.0], ([0, 1], [1, 2])), shape=(3, 3))
    assert Tree.from_sparse(graph) == Tree([-1, 0, 1], [0, 0, 2])


def test_entries_stored_twice_are_added_up_as_scipy_does():
    graph = sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(2, 2))
    assert Tree.from_sparse(graph).length.tolist() == [0, 3]


def test_a_minimum_spanning_tree_is_a_tree():
    points = np.random.default_rng(0).normal(size=(30, 2))
    gaps = np.linalg.norm(points[:, None] - points, axis=-1)
    spanning = sparse.csgraph.minimum_spanning_tree(gaps)
    tree = Tree.from_sparse(spanning, root=7, labels=[str(i) for i in range(30)])
    assert tree.root == 7
    assert tree.bin_labels[3] == "3"
    ways = sparse.csgraph.shortest_path(spanning, directed=False)
    np.testing.assert_allclose(tree.cost_matrix(), ways, rtol=0, atol=rounding(tree))


def test_a_graph_of_one_node_is_a_tree():
    assert Tree.from_sparse(sparse.coo_array((1, 1))) == Tree([-1], [0])


# --- Linkages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_leaves_of_a_linkage_lie_apart_by_their_cophenetic_distance(method, seed):
    Z = linkage(np.random.default_rng(seed).normal(size=(15, 3)), method)
    tree = Tree.from_linkage(Z)
    assert (tree.n, tree.n_nodes, tree.root) == (15, 29, 28)
    np.testing.assert_allclose(tree.cost_matrix(), squareform(cophenet(Z)), rtol=0, atol=rounding(tree))


def test_leaves_of_a_linkage_carry_the_labels_and_inner_nodes_none():
    tree = Tree.from_linkage([[0, 1, 2, 2], [2, 3, 6, 3]], labels=["a", "b", "c"])
    assert tree.labels == ("a", "b", "c", "", "")
    assert tree.bin_labels == ("a", "b", "c")


def test_merges_at_equal_heights_make_edges_of_length_zero():
    tree = Tree.from_linkage([[0, 1, 2.0, 2], [2, 3, 2.0, 3]])
    assert tree.length.tolist() == [1, 1, 1, 0, 0]


def test_a_linkage_without_merges_is_one_leaf():
    assert Tree.from_linkage(np.empty((0, 4)), labels=["alone"]) == Tree([-1], [0], labels=["alone"])


# --- Paths ------------------------------------------------------------------------------------------------------------


def test_paths_are_bins_in_their_order_on_inner_nodes_too():
    tree = Tree.from_paths(["animal/dog/pug", "animal/cat", "animal/dog"])
    assert tree.labels == ("animal", "dog", "pug", "cat")
    assert tree.bin_labels == ("pug", "cat", "dog")
    assert tree.parent.tolist() == [-1, 0, 1, 0]
    assert tree.cost_matrix().tolist() == [[0, 3, 1], [3, 0, 2], [1, 2, 0]]


def test_a_root_without_a_name_joins_paths_that_share_nothing():
    tree = Tree.from_paths(["b/x", "a/x"])
    assert tree.labels == ("", "b", "x", "a", "x")
    assert tree.diameter == 4
    assert Tree.from_paths(["a", "b"]).labels == ("", "a", "b")


def test_equal_names_under_different_parents_are_different_nodes():
    assert Tree.from_paths(["r/a/x", "r/b/x"]).n_nodes == 5


def test_one_component_is_a_tree_of_one_node():
    assert Tree.from_paths(["all"]) == Tree.from_paths(["all"], lengths=[]) == Tree([-1], [0], labels=["all"])
    assert Tree.from_paths(["all"], lengths=3) == Tree([-1], [0], labels=["all"])


def test_paths_are_split_at_sep():
    assert Tree.from_paths(["a::b/c"], sep="::").labels == ("a", "b/c")


def test_lengths_of_paths_are_one_for_all_or_one_per_level():
    paths = ["r/a/x", "r/b"]
    assert Tree.from_paths(iter(paths), lengths=2).length.tolist() == [0, 2, 2, 2]
    assert Tree.from_paths(paths, lengths=[5, 1]).length.tolist() == [0, 5, 1, 5]
    assert Tree.from_paths(paths, lengths=(5, 1, 77)).length.tolist() == [0, 5, 1, 5]


@given(trees(max_nodes=12))
def test_a_tree_comes_back_from_the_paths_of_its_nodes(tree):
    paths = []
    for v in tree.bins:
        route = []
        while v >= 0:
            route.append(str(v))
            v = tree.parent[v]
        paths.append("/".join(route[::-1]))
    unit = Tree(tree.parent, np.ones(tree.n_nodes), tree.bins)
    assert Tree.from_paths(paths).cost_matrix().tolist() == unit.cost_matrix().tolist()


# --- Shipped hierarchies ----------------------------------------------------------------------------------------------


def test_imagenet_1k_has_1000_leaves_on_1808_nodes():
    tree = Tree.imagenet()
    assert (tree.n, tree.n_nodes) == (1000, 1808)
    assert not np.isin(tree.bins, tree.parent).any()
    assert np.delete(tree.length, tree.root).tolist() == [1] * 1807
    assert tree.labels[tree.root] == "entity"
    assert tree == Tree.imagenet("1k")


def test_imagenet_classes_come_in_the_usual_order():
    labels = Tree.imagenet().bin_labels
    assert [labels[k] for k in (0, 1, 207, 281, 999)] == [
        "tench",
        "goldfish",
        "golden retriever",
        "tabby",
        "toilet tissue",
    ]
    for which in ("1k", "21k"):
        wnid, bins = table(f"imagenet{which}_tree")["wnid"], builders.imagenet(which).bins
        assert sorted(wnid[v] for v in bins) == [wnid[v] for v in bins]


def test_related_classes_lie_closer_than_unrelated_ones():
    tree = Tree.imagenet()
    cost, labels = tree.cost_matrix(), tree.bin_labels
    retriever, labrador, plane = (labels.index(k) for k in ("golden retriever", "Labrador retriever", "airliner"))
    assert cost[retriever, labrador] == 2
    assert cost[retriever, plane] > 10


def test_imagenet_21k_has_21841_classes_on_23460_nodes():
    tree = Tree.imagenet("21k")
    assert (tree.n, tree.n_nodes) == (21841, 23460)
    assert np.isin(tree.bins, tree.parent).any()


def test_every_wordnet_noun_is_a_bin_in_the_order_of_the_table():
    tree = Tree.wordnet_nouns()
    assert (tree.n, tree.n_nodes, tree.root) == (82115, 82115, 0)
    assert list(tree.labels) == table("wordnet_noun_tree")["name"]


def test_every_tagged_sense_is_a_node_of_the_noun_tree():
    senses = table("wordnet_noun_senses")
    assert len(senses["wnid"]) == 16959
    assert len(set(senses["lemma"])) == 11908
    assert min(map(int, senses["count"])) > 0
    assert set(senses["wnid"]) <= set(table("wordnet_noun_tree")["wnid"])


@pytest.mark.parametrize("name", FILES)
def test_shipped_tables_have_columns_of_equal_length(name):
    columns = table(name)
    assert "wnid" in columns
    assert len({len(cells) for cells in columns.values()}) == 1
    assert all(wnid[0] == "n" and len(wnid) == 9 for wnid in columns["wnid"])


# --- What is refused --------------------------------------------------------------------------------------------------


def graph(entries, n=3):
    """Sparse graph of entries (u, v): length."""
    rows, columns = zip(*entries, strict=True)
    return sparse.coo_array((list(entries.values()), (rows, columns)), shape=(n, n))


MERGES = [[0, 1, 2.0, 2], [2, 3, 6.0, 3]]

REFUSED = {
    "numbered edges in a cycle": (
        lambda: Tree.from_edges([(0, 1), (2, 3), (1, 0)]),
        ValueError,
        r"edges close a cycle: number 2, of 1 and 0,.*n_nodes - 1 edges.*minimum_spanning_tree",
    ),
    "named edges in a cycle": (
        lambda: Tree.from_edges([("a", "b"), ("b", "c"), ("c", "a")]),
        ValueError,
        r"edges close a cycle: number 2, of 'c' and 'a'",
    ),
    "as many names as a tree, in a cycle": (
        lambda: Tree.from_edges([("a", "b"), ("c", "d"), ("d", "c")]),
        ValueError,
        r"edges close a cycle: number 2, of 'd' and 'c'",
    ),
    "edge from a node to itself": (lambda: Tree.from_edges([(0, 1), (1, 1)]), ValueError, r"number 1, of 1 and 1"),
    "edges that fall apart": (
        lambda: Tree.from_edges([("a", "b"), ("c", "d")]),
        ValueError,
        r"edges fall apart: no way leads from node 'a' to node 'c'.*join the parts",
    ),
    "node number beyond the tree": (
        lambda: Tree.from_edges([(0, 1), (1, 3)]),
        ValueError,
        r"edges\[1\] names node 3, but the 3 nodes of a tree of 2 edges are numbered from 0 to 2.*such as strings",
    ),
    "negative node number": (lambda: Tree.from_edges([(0, 1), (-1, 0)]), ValueError, r"edges\[1\] names node -1"),
    "node number beyond 64 bits": (lambda: Tree.from_edges([(0, 2**70)]), ValueError, r"edges\[0\] names node 1180591"),
    "fractional node number": (
        lambda: Tree.from_edges(np.array([[0.0, 1.0]])),
        TypeError,
        r"edges\[0\] names a node by the float 0.0.*ints from 0, strings",
    ),
    "boolean node": (lambda: Tree.from_edges([(False, True)]), TypeError, r"edges\[0\] names a node by the bool"),
    "node that cannot be hashed": (lambda: Tree.from_edges([("a", ["b"])]), TypeError, r"by the list \['b'\]"),
    "edges of three": (lambda: Tree.from_edges([(0, 1, 2.0)]), ValueError, r"edges\[0\] is \(0, 1, 2.0\).*lengths="),
    "edges that are no pairs": (lambda: Tree.from_edges([(0, 1), 5]), ValueError, r"edges\[1\] is 5.*pair"),
    "edges that are strings of two": (lambda: Tree.from_edges(["ab"]), ValueError, r"edges\[0\] is 'ab'.*pair"),
    "array of three columns": (lambda: Tree.from_edges(np.eye(3, dtype=int)), ValueError, r"edges has shape \(3, 3\)"),
    "array of one axis": (
        lambda: Tree.from_edges(np.arange(4)),
        ValueError,
        r"edges has shape \(4,\).*\(n_nodes - 1, 2",
    ),
    "edges in a string": (lambda: Tree.from_edges("ab"), TypeError, r"edges is 'ab'.*pairs"),
    "edges by number": (lambda: Tree.from_edges(5), TypeError, r"edges is 5.*sequence of pairs"),
    "too few lengths": (lambda: Tree.from_edges([(0, 1), (1, 2)], [1]), ValueError, r"lengths holds 1.*for 2 edges"),
    "lengths of no edges": (lambda: Tree.from_edges([], [1]), ValueError, r"lengths holds 1 numbers for 0 edges"),
    "negative length": (lambda: Tree.from_edges([(0, 1), (1, 2)], [1, -1]), ValueError, r"lengths\[1\] is -1.0"),
    "root beyond the tree": (lambda: Tree.from_edges([(0, 1)], root=2), ValueError, r"root is 2.*2 nodes, 0 to 1"),
    "negative root": (lambda: Tree.from_edges([(0, 1)], root=-1), ValueError, r"root is -1.*0 to 1"),
    "root by name among numbers": (lambda: Tree.from_edges([(0, 1)], root="a"), TypeError, r"root is 'a'.*an int"),
    "boolean root": (lambda: Tree.from_edges([(0, 1)], root=True), TypeError, r"root is True.*an int"),
    "root that no edge names": (lambda: Tree.from_edges([("a", "b")], root="c"), ValueError, r"root is 'c', which no"),
    "root that cannot be hashed": (lambda: Tree.from_edges([("a", "b")], root=[]), ValueError, r"root is \[\]"),
    "bin that no edge names": (
        lambda: Tree.from_edges([("a", "b")], bins=["a", "c"]),
        ValueError,
        r"bins\[1\] is 'c', which no edge names.*stands in edges",
    ),
    "bins in a string": (lambda: Tree.from_edges([("a", "b")], bins="ab"), TypeError, r"bins is 'ab'.*list"),
    "dense graph": (lambda: Tree.from_sparse(np.eye(3)), TypeError, r"graph is of type ndarray.*coo_array\(graph\)"),
    "oblong graph": (lambda: Tree.from_sparse(sparse.coo_array((2, 3))), ValueError, r"graph has shape \(2, 3\)"),
    "graph without nodes": (
        lambda: Tree.from_sparse(sparse.coo_array((0, 0))),
        ValueError,
        r"graph has shape \(0, 0\)",
    ),
    "graph with a loop": (
        lambda: Tree.from_sparse(graph({(0, 1): 1, (2, 2): 1})),
        ValueError,
        r"graph\[2, 2\] joins a node to itself.*setdiag",
    ),
    "graph with a cycle": (
        lambda: Tree.from_sparse(graph({(0, 1): 1, (1, 2): 1, (2, 0): 1})),
        ValueError,
        r"the edges of graph close a cycle: number 2, of 1 and 2",
    ),
    "graph that falls apart": (
        lambda: Tree.from_sparse(graph({(0, 1): 1})),
        ValueError,
        r"the edges of graph fall apart: no way leads from node 0 to node 2",
    ),
    "graph with a cycle that falls apart": (
        lambda: Tree.from_sparse(graph({(0, 1): 1, (1, 2): 1, (2, 0): 1}, 4)),
        ValueError,
        r"the edges of graph close a cycle",
    ),
    "triangles that disagree": (
        lambda: Tree.from_sparse(graph({(0, 1): 1, (1, 2): 2, (2, 1): 3})),
        ValueError,
        r"graph\[1, 2\] and graph\[2, 1\] are .*same length in both triangles.*triu",
    ),
    "negative entry": (lambda: Tree.from_sparse(graph({(0, 1): 1, (1, 2): -2})), ValueError, r"graph.data\[1\] is -2"),
    "complex entries": (lambda: Tree.from_sparse(graph({(0, 1): 1j, (1, 2): 1})), TypeError, r"graph.data has dtype"),
    "root beyond the graph": (lambda: Tree.from_sparse(graph({(0, 1): 1}, 2), root=2), ValueError, r"root is 2"),
    "linkage of three columns": (lambda: Tree.from_linkage([[0, 1, 2]]), ValueError, r"Z has shape \(1, 3\).*linkage"),
    "linkage in words": (lambda: Tree.from_linkage([["0", "1", "2", "2"]]), TypeError, r"Z has dtype <U1.*linkage"),
    "linkage that merges what is not there": (
        lambda: Tree.from_linkage([[0, 1, 2, 2], [2, 4, 6, 3]]),
        ValueError,
        r"Z\[1, 1\] is 4.*leaf, below 3,.*below 4",
    ),
    "linkage that merges negatives": (lambda: Tree.from_linkage([[0, -1, 2, 2]]), ValueError, r"Z\[0, 1\] is -1"),
    "linkage that merges halves": (lambda: Tree.from_linkage([[0.5, 1, 2, 2]]), ValueError, r"Z\[0, 0\] is 0.5"),
    "linkage that merges NaN": (lambda: Tree.from_linkage([[np.nan, 1, 2, 2]]), ValueError, r"Z\[0, 0\] is nan"),
    "linkage that merges twice": (
        lambda: Tree.from_linkage([[0, 1, 2, 2], [1, 3, 6, 3]]),
        ValueError,
        r"Z merges cluster 1 2 times.*once",
    ),
    "linkage that falls": (
        lambda: Tree.from_linkage([[0, 1, 2, 2], [2, 3, 1.5, 3]]),
        ValueError,
        r"Z\[1, 2\] is 1.5.*not below 2.0.*'average'",
    ),
    "linkage of negative height": (lambda: Tree.from_linkage([[0, 1, -2, 2]]), ValueError, r"Z\[0, 2\] is -2.*below 0"),
    "linkage of NaN height": (lambda: Tree.from_linkage([[0, 1, np.nan, 2]]), ValueError, r"Z\[0, 2\] is nan.*finite"),
    "linkage of infinite height": (lambda: Tree.from_linkage([[0, 1, np.inf, 2]]), ValueError, r"Z\[0, 2\] is inf"),
    "labels for inner nodes": (
        lambda: Tree.from_linkage(MERGES, labels=["x"] * 5),
        ValueError,
        r"5 names for 3 leaves",
    ),
    "labels in one string": (lambda: Tree.from_linkage(MERGES, labels="abc"), TypeError, r"labels is 'abc'.*list"),
    "labels that are numbers": (
        lambda: Tree.from_linkage(MERGES, labels=[1, 2, 3]),
        TypeError,
        r"labels\[0\] is of type",
    ),
    "no paths": (lambda: Tree.from_paths([]), ValueError, r"paths is empty.*at least one"),
    "a lone path": (lambda: Tree.from_paths("a/b"), TypeError, r"paths is 'a/b'.*list"),
    "path that is no string": (
        lambda: Tree.from_paths(["a", ("a", "b")]),
        TypeError,
        r"paths\[1\] is of type tuple.*join",
    ),
    "path from the top": (lambda: Tree.from_paths(["a", "/a/b"]), ValueError, r"paths\[1\] is '/a/b'.*empty.*strip"),
    "path with a hole": (lambda: Tree.from_paths(["a//b"]), ValueError, r"paths\[0\] is 'a//b'.*empty component"),
    "empty path": (lambda: Tree.from_paths([""]), ValueError, r"paths\[0\] is ''.*empty component"),
    "path twice": (lambda: Tree.from_paths(["a", "b", "a"]), ValueError, r"paths\[2\] is 'a', as is paths\[0\].*once"),
    "sep of nothing": (lambda: Tree.from_paths(["a"], sep=""), TypeError, r"sep is ''.*at least one character"),
    "sep that is no string": (lambda: Tree.from_paths(["a"], sep=None), TypeError, r"sep is None"),
    "fewer lengths than levels": (
        lambda: Tree.from_paths(["a/b/c"], lengths=[1]),
        ValueError,
        r"lengths holds 1 numbers for 2 levels",
    ),
    "no lengths for levels": (lambda: Tree.from_paths(["a/b"], lengths=[]), ValueError, r"lengths is empty"),
    "negative length of levels": (lambda: Tree.from_paths(["a/b"], lengths=-1), ValueError, r"lengths\[0\] is -1.0"),
    "lengths in words": (lambda: Tree.from_paths(["a/b"], lengths="1"), TypeError, r"lengths has dtype <U1"),
    "lengths on two axes": (lambda: Tree.from_paths(["a/b"], lengths=[[1]]), ValueError, r"lengths has shape \(1, 1\)"),
    "unknown ImageNet": (lambda: Tree.imagenet("22k"), ValueError, r"which is '22k'.*'1k', '21k'"),
    "ImageNet by number": (lambda: Tree.imagenet(1000), TypeError, r"which is of type int.*'1k', '21k'"),
    "unknown table": (lambda: table("verbs"), ValueError, r"name is 'verbs'.*'wordnet_noun_senses'"),
}


@pytest.mark.parametrize(("build", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_with_argument_finding_and_mend(build, error, message):
    with pytest.raises(error, match=message) as raised:
        build()
    assert type(raised.value) is error
    assert "Needed: " in str(raised.value)


def test_centroid_linkage_that_inverts_is_refused():
    triangle = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.9]])
    with pytest.raises(ValueError, match=r"Z\[1, 2\].*not below.*never fall"):
        Tree.from_linkage(linkage(triangle, "centroid"))

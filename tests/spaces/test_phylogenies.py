"""Trees from Newick and from trees of other libraries."""

import sys

import networkx as nx
import numpy as np
import pytest
import skbio

from fastemd import Tree
from tests.support.errors import rejects

NEWICK = "((a:1,b:2)ab:0.5,c:3);"
WANTED = Tree([-1, 0, 1, 1, 0], [0, 0.5, 1, 2, 3], bins=[2, 3, 4], labels=["", "ab", "a", "b", "c"])


def test_newick_comes_as_text_or_in_a_file(tmp_path):
    assert Tree.from_newick(NEWICK) == WANTED
    (tmp_path / "tree.nwk").write_text(NEWICK)
    assert Tree.from_newick(tmp_path / "tree.nwk") == WANTED
    assert Tree.from_newick(str(tmp_path / "tree.nwk")) == WANTED


def test_trees_of_scikit_bio_dendropy_and_networkx():
    import io

    import dendropy

    from fastemd.spaces.phylogenies import parts_of

    assert Tree.from_skbio(skbio.TreeNode.read(io.StringIO(NEWICK))) == WANTED
    assert Tree(*parts_of(dendropy.Tree.get(data=NEWICK, schema="newick"), None)) == WANTED
    graph = nx.DiGraph()
    for v, w, length in ((0, "ab", 0.5), ("ab", "a", 1), ("ab", "b", 2), (0, "c", 3)):
        graph.add_edge(v, w, length=length)
    found = Tree.from_networkx(graph)
    assert found.bin_labels == ("c", "a", "b")
    np.testing.assert_array_equal(found.cost_matrix(), [[0, 4.5, 5.5], [4.5, 0, 3], [5.5, 3, 0]])
    assert Tree.from_networkx(graph.to_undirected(), root=0).diameter == 5.5
    weighted = nx.relabel_nodes(graph, {})
    nx.set_edge_attributes(weighted, 2.0, "w")
    assert Tree.from_networkx(weighted, weight="w").diameter == 6


def test_a_caterpillar_is_read_without_recursion():
    tips = 3 * sys.getrecursionlimit()
    text = "(" * (tips - 1) + "t0:1" + "".join(f",t{i}:1):0.5" for i in range(1, tips))
    tree = Tree.from_newick(text.removesuffix(":0.5") + ";")
    assert tree.n == tips
    assert tree.bin_labels[:2] == ("t0", "t1")


def test_branches_without_length_are_named_and_can_be_set():
    text = "3 of 4 branches have no length: those above number 1, 'a', 'c'"
    rejects(ValueError, lambda: Tree.from_newick("((a,b:2),c);"), text, "default_length=0.0")
    assert Tree.from_newick("((a,b:2),c);", default_length=1.0).length.tolist() == [0, 1, 1, 2, 1]


def test_what_is_no_tree_is_refused(tmp_path, monkeypatch):
    for bad in ("(((", "(a,b", ""):
        with pytest.raises((ValueError, FileNotFoundError), match="Needed"):
            Tree.from_newick(bad)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        Tree.from_newick(tmp_path / "none.nwk")
    rejects(ValueError, lambda: Tree.from_networkx(nx.cycle_graph(3)), "3 nodes and 3 edges")
    parted = nx.Graph([(0, 1), (2, 3), (3, 4), (4, 2)])
    rejects(ValueError, lambda: Tree.from_networkx(parted), "joins no way from 0 to 2")
    rejects(ValueError, lambda: Tree.from_networkx(nx.path_graph(3), root=7), "root is 7")
    rejects(ValueError, lambda: Tree.from_networkx(nx.path_graph(3)), "2 of 2 branches have no length")
    monkeypatch.setitem(sys.modules, "treeswift", None)
    with pytest.raises(ImportError, match=r"pip install 'fastemd\[bio\]'"):
        Tree.from_newick(NEWICK)

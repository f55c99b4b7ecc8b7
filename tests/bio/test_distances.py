"""UniFrac is scikit-bio's, on drawn trees and on the study that scikit-bio ships, from every kind of table and tree."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skbio
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csr_matrix
from scipy.spatial.distance import squareform
from skbio.diversity import beta_diversity

import fastemd as fe
from fastemd import Tree
from fastemd.pairs import tiles
from tests.support.errors import rejects
from tests.support.tolerance import tolerance

STUDY = Path(skbio.__file__).parent / "diversity" / "beta" / "tests" / "data" / "qiime-191-tt"
METHODS = ["weighted", "weighted_normalized", "unweighted"]


def phylogeny(rng, nodes):
    """A Tree, the same as a TreeNode, and the names of its tips."""
    parent = [-1, *(int(rng.integers(0, v)) for v in range(1, nodes))]
    tips = sorted(set(range(nodes)) - set(parent))
    labels = [f"n{v}" for v in range(nodes)]
    tree = Tree(parent, rng.random(nodes), bins=tips, labels=labels)
    linked = [skbio.TreeNode(name=labels[v], length=float(tree.length[v])) for v in range(nodes)]
    for v in range(1, nodes):
        linked[parent[v]].append(linked[v])
    return tree, linked[0], [labels[v] for v in tips]


def scikit_bio(counts, tree, taxa, method):
    name = "unweighted_unifrac" if method == "unweighted" else "weighted_unifrac"
    options = {"normalized": True} if method == "weighted_normalized" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own deprecated parts
        return beta_diversity(name, counts, tree=tree, taxa=taxa, validate=False, **options).data


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from(METHODS), st.integers(3, 60), st.sampled_from([0.3, 3.0]))
def test_distances_are_those_of_scikit_bio(seed, method, nodes, mean):
    rng = np.random.default_rng(seed)
    tree, node, taxa = phylogeny(rng, nodes)
    counts = rng.poisson(mean, (9, len(taxa)))
    counts[np.arange(9), rng.integers(0, len(taxa), 9)] += 1
    wanted = scikit_bio(counts, node, taxa, method)
    near = {"rtol": 0, "atol": tolerance(np.float64, nodes, 1, float(tree.length.sum()))}
    shares = counts / counts.sum(axis=1, keepdims=True)
    for table in (counts, shares, csr_matrix(counts), coo_array(shares)):
        np.testing.assert_allclose(fe.unifrac(table, tree, taxa=taxa, method=method), wanted, **near)
    order = rng.permutation(len(taxa))
    mixed = fe.unifrac(counts[:, order], node, taxa=[taxa[k] for k in order], method=method)
    np.testing.assert_allclose(mixed, wanted, **near)
    flat = fe.unifrac(counts, tree, taxa=taxa, method=method, condensed=True)
    np.testing.assert_allclose(flat, squareform(wanted, checks=False), **near)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sparse", [False, True])
def test_both_ways_to_compute_a_tile_agree(method, sparse, monkeypatch):
    rng = np.random.default_rng(1)
    tree, node, taxa = phylogeny(rng, 80)
    counts = rng.poisson(1.0, (210, len(taxa)))
    counts[:, 0] += 1
    monkeypatch.setattr("fastemd.bio.branches.SPARSE_TERM", 0 if sparse else 1e9)
    monkeypatch.setattr(tiles, "LARGEST", tiles.GRAIN)
    found = fe.unifrac(counts, tree, taxa=taxa, method=method)
    np.testing.assert_array_equal(found, found.T)
    wanted = scikit_bio(counts[:30], node, taxa, method)
    np.testing.assert_allclose(found[:30, :30], wanted, atol=tolerance(np.float64, 80, 1, float(tree.length.sum())))


@pytest.mark.parametrize("method", METHODS)
def test_the_published_matrices_of_a_real_study(method):
    counts = pd.read_csv(STUDY / "otu-table.tsv", sep="\t", skiprows=1, index_col=0).T
    counts.columns = counts.columns.map(str)
    published = skbio.DistanceMatrix.read(
        str(STUDY / f"{method}_unifrac_dm.txt".replace("weighted_unifrac", "weighted_unifrac"))
    )
    published = published.filter(list(counts.index))
    names = list(published.ids)
    for tree in (STUDY / "tree.nwk", (STUDY / "tree.nwk").read_text(), skbio.TreeNode.read(str(STUDY / "tree.nwk"))):
        found = fe.unifrac(counts, tree, method=method)
        assert list(found.index) == list(found.columns) == list(counts.index)
        np.testing.assert_allclose(found.loc[names, names], published.data, rtol=0, atol=1e-12)  # printed to 12 digits
    assert skbio.DistanceMatrix(found.to_numpy(), ids=found.index)["f1", "f2"] == found.loc["f1", "f2"]


def plain_generalized(p, q, length, alpha):
    both = p + q
    weight = length * np.where(both > 0, both, 1) ** alpha * (both > 0)
    return (weight * abs(p - q) / np.where(both > 0, both, 1)).sum() / weight.sum()


@pytest.mark.parametrize("alpha", [0, 0.5, 1])
def test_generalized_unifrac_is_its_formula_and_at_one_the_normalized(alpha):
    rng = np.random.default_rng(2)
    tree, _, taxa = phylogeny(rng, 40)
    counts = rng.poisson(1.0, (7, len(taxa)))
    counts[:, 0] += 1
    found = fe.unifrac(counts, tree, taxa=taxa, method="generalized", alpha=alpha)
    below = fe.embed(counts.astype(float), tree, mass="normalize") / np.where(tree.length > 0, tree.length, 1)
    for i, j in np.ndindex(7, 7):
        wanted = plain_generalized(below[i], below[j], tree.length, alpha) if i != j else 0
        assert abs(found[i, j] - wanted) <= tolerance(np.float64, 40, 1, 1)
    if alpha == 1:
        normalized = fe.unifrac(counts, tree, taxa=taxa, method="weighted_normalized")
        np.testing.assert_allclose(found, normalized, atol=tolerance(np.float64, 40, 1, 1))


def test_tables_of_other_libraries_are_turned_the_right_way_round():
    biom = pytest.importorskip("biom", reason="biom-format is not installed")
    rng = np.random.default_rng(3)
    tree, _, taxa = phylogeny(rng, 20)
    counts = rng.poisson(2.0, (4, len(taxa))) + 1
    samples = ["s1", "s2", "s3", "s4"]
    wanted = fe.unifrac(counts, tree, taxa=taxa)
    table = biom.Table(counts.T.astype(float), taxa, samples)
    frame = pd.DataFrame(counts, index=samples, columns=taxa)
    annotated = type("AnnData", (), {"X": csr_matrix(counts), "obs_names": frame.index, "var_names": frame.columns})()
    for each in (table, frame, annotated):
        found = fe.unifrac(each, tree)
        assert list(found.index) == samples
        np.testing.assert_allclose(found, wanted, atol=tolerance(np.float64, 20, 1, 20))


NEWICK = "((a:1,b:2):0.5,c:3);"


def test_what_is_wrong_with_a_table_or_tree_is_named():
    counts = np.array([[1, 2, 0], [0, 1, 1]])
    taxa = ["a", "b", "c"]
    rejects(ValueError, lambda: fe.unifrac(counts, NEWICK), "whose columns have no names", "taxa=")
    rejects(ValueError, lambda: fe.unifrac(counts, NEWICK, taxa=["a", "b"]), "taxa has 2 names", "a name for each")
    text = "2 of 3 taxa of the table are no tips of the tree: 'x', 'y'"
    rejects(ValueError, lambda: fe.unifrac(counts, NEWICK, taxa=["a", "x", "y"]), text, "drop those columns")
    rejects(ValueError, lambda: fe.unifrac(counts, NEWICK, taxa=["a", "a", "c"]), "table has 1 names", "'a'")
    rejects(ValueError, lambda: fe.unifrac(counts, "((a:1,a:2):1,(b:1,c:1):1);", taxa=taxa), "tree has 1 names", "'a'")
    rejects(ValueError, lambda: fe.unifrac(counts, "((a:1,b):0.5,c:3);", taxa=taxa), "1 of 4 branches", "above 'b'")
    assert fe.unifrac(counts, "((a:1,b):0.5,c:3);", taxa=taxa, default_length=2)[0, 1] > 0
    rejects(ValueError, lambda: fe.unifrac(-counts, NEWICK, taxa=taxa), "table[0, 0] is -1")
    rejects(ValueError, lambda: fe.unifrac(csr_matrix(counts * np.nan), NEWICK, taxa=taxa), "is nan")
    frame = pd.DataFrame(counts, index=["x", "y"], columns=taxa)
    frame.loc["y"] = 0
    rejects(ValueError, lambda: fe.unifrac(frame, NEWICK), "1 of 2 samples are empty: 'y'", "drop those samples")
    rejects(ValueError, lambda: fe.unifrac(counts * 0, NEWICK, taxa=taxa), "2 of 2 samples are empty: row 0, row 1")
    rejects(ValueError, lambda: fe.unifrac(counts, NEWICK, taxa=taxa, method="x"), "method is 'x'", "'unweighted'")
    rejects(ValueError, lambda: fe.unifrac(counts, NEWICK, taxa=taxa, alpha=0.5), "alpha is 0.5")
    for alpha in (None, 2, "x"):
        rejects(
            ValueError,
            lambda alpha=alpha: fe.unifrac(counts, NEWICK, taxa=taxa, method="generalized", alpha=alpha),
            "alpha is",
        )
    rejects(TypeError, lambda: fe.unifrac(counts, 5, taxa=taxa), "tree is of type int")
    rejects(ValueError, lambda: fe.unifrac(counts, Tree([-1, 0, 0, 0], np.ones(4)), taxa=taxa), "tree has no labels")

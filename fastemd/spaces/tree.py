"""The tree: bins on the nodes of a tree, or on some of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import builders, phylogenies, point_trees, preorder, validation
from .base import Space, TreeArrays


class Tree(Space):
    """Nodes hanging from a root, all or some of which are bins: classes under their hypernyms, taxa, clusters.

    Edge v is the one above node v, so m = n_nodes; the root has no edge, and its entry in `lengths`, in every flow and
    in every length gradient is 0. Flow through an edge is positive where mass moves towards the root. Any shape and any
    depth will do: a path of a million nodes builds in about a second.

    Parameters
    ----------
    parent : array_like of int, shape (n_nodes,)
        Parent of each node. Exactly one node, the root, has -1 or itself.
    length : array_like, shape (n_nodes,)
        Length of the edge above each node, finite and not negative. The root's entry is ignored.
    bins : array_like of int, shape (n,), optional
        Node of each bin, no node twice. By default every node is a bin, in order.
    labels : sequence of str, length n_nodes, optional
        Names of the nodes.

    Attributes
    ----------
    parent : ndarray, shape (n_nodes,), intp
        Parent of each node, -1 at the root.
    length, lengths : ndarray, shape (n_nodes,), float64
        The same array under two names: length of the edge above each node, 0 at the root.
    bins : ndarray, shape (n,), intp
    labels : tuple of str, or None
    root, n_nodes : int

    Raises
    ------
    TypeError, ValueError
        If `parent` is no tree (a cycle, no root or several, a number out of range), if a length is negative or not
        finite, if `bins` are out of range or name a node twice, or if an argument has the wrong size or dtype.

    Examples
    --------
    >>> from fastemd.spaces import Tree
    >>> pets = Tree([-1, 0, 0, 1, 1], [0, 1, 3, 1, 1], bins=[3, 4, 2], labels=["pet", "dog", "cat", "pug", "collie"])
    >>> pets
    <Tree of 3 bins on 5 nodes>
    >>> pets.bin_labels
    ('pug', 'collie', 'cat')
    >>> pets.cost_matrix()
    array([[0., 2., 5.],
           [2., 0., 5.],
           [5., 5., 0.]])
    """

    kind = "tree"
    _content = ("parent", "length", "bins", "labels")
    parent: np.ndarray
    length: np.ndarray
    bins: np.ndarray
    labels: tuple[str, ...] | None
    root: int
    n_nodes: int
    _order: np.ndarray

    def __init__(
        self,
        parent: ArrayLike,
        length: ArrayLike,
        bins: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        parent, root = validation.tree_parents(parent)
        bins = validation.tree_bins(bins, len(parent))
        labels = validation.tree_labels(labels, len(parent))
        length = validation.edge_lengths(length, len(parent), "length", "node", root, labels)
        order = preorder.order(parent, root)
        validation.no_cycle(parent, order)
        self._freeze(parent=parent, length=length, lengths=length, bins=bins, _order=order)
        self._freeze(labels=labels, root=root, n=len(bins), m=len(parent), n_nodes=len(parent))

    def __repr__(self) -> str:
        return f"<Tree of {self.n} bins on {self.n_nodes} nodes>"

    @property
    def bin_labels(self) -> tuple[str, ...] | None:
        """Names of the bins; None where the tree has no labels."""
        return None if self.labels is None else tuple(self.labels[v] for v in self.bins)

    @cached_property
    def arrays(self) -> TreeArrays:
        """The arrays that kernels read."""
        edge = np.empty_like(self._order)
        edge[self._order] = np.arange(self.n_nodes)
        up = edge[self.parent[self._order]]
        up[0] = 0
        arrays = TreeArrays(up, self.length[self._order], edge[self.bins], edge)
        for array in arrays:
            array.flags.writeable = False
        return arrays

    @cached_property
    def subtrees(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Subtrees as ranges of depth-first positions.

        The bin at each position (n where there is none), and for each edge the first position below it and the last
        plus 1 (0 at the root, which has no edge).
        """
        up, _, place, edge = self.arrays
        return preorder.subtrees(up, place, edge)

    @cached_property
    def diameter(self) -> float:
        """Largest distance of two bins; O(n_nodes)."""
        return preorder.diameter(self.arrays.up, self.arrays.length, self.arrays.place)

    def cost_matrix(self) -> np.ndarray:
        """Distance of every pair of bins: float64 of shape (n, n); O(n_nodes + n ** 2) time."""
        return preorder.distances(self.arrays.up, self.arrays.length, self.arrays.place)

    @classmethod
    def from_edges(
        cls,
        edges: Iterable[tuple[Hashable, Hashable]] | np.ndarray,
        lengths: ArrayLike | None = None,
        *,
        root: Hashable | None = None,
        bins: Iterable[Hashable] | None = None,
        labels: Sequence[str] | None = None,
    ) -> Tree:
        """Build from pairs of nodes, undirected; see `fastemd.spaces.builders.from_edges` for the parameters.

        >>> Tree.from_edges([("animal", "dog"), ("animal", "cat"), ("dog", "pug")], bins=["pug", "cat"]).diameter
        3.0
        """
        return cls(*builders.from_edges(edges, lengths, root=root, bins=bins, labels=labels))

    @classmethod
    def from_sparse(
        cls, graph: Any, *, root: int = 0, bins: ArrayLike | None = None, labels: Sequence[str] | None = None
    ) -> Tree:
        """Build from a scipy.sparse graph whose entries are lengths; see `fastemd.spaces.builders.from_sparse`.

        >>> from scipy.sparse import coo_array
        >>> Tree.from_sparse(coo_array(([2.0, 3.0], ([0, 0], [1, 2])), shape=(3, 3))).length
        array([0., 2., 3.])
        """
        return cls(*builders.from_sparse(graph, root=root, bins=bins, labels=labels))

    @classmethod
    def from_linkage(cls, Z: ArrayLike, *, labels: Sequence[str] | None = None) -> Tree:
        """Build from a scipy.cluster.hierarchy linkage: leaves are bins, their distance the cophenetic one.

        See `fastemd.spaces.builders.from_linkage` for the parameters.

        >>> Tree.from_linkage([[0, 1, 2.0, 2], [2, 3, 6.0, 3]]).cost_matrix()
        array([[0., 2., 6.],
               [2., 0., 6.],
               [6., 6., 0.]])
        """
        return cls(*builders.from_linkage(Z, labels=labels))

    @classmethod
    def from_paths(cls, paths: Iterable[str], *, sep: str = "/", lengths: float | Sequence[float] = 1.0) -> Tree:
        """Build from paths such as "animal/dog/pug", each of them a bin; see `fastemd.spaces.builders.from_paths`.

        >>> Tree.from_paths(["animal/dog/pug", "animal/dog", "animal/cat"]).bin_labels
        ('pug', 'dog', 'cat')
        """
        return cls(*builders.from_paths(paths, sep=sep, lengths=lengths))

    @classmethod
    def from_newick(cls, tree: str | PathLike[str], *, default_length: float | None = None) -> Tree:
        """Build from Newick or the path of a Newick file, tips are the bins; see `fastemd.spaces.phylogenies.newick`.

        >>> Tree.from_newick("((a:1,b:2):0.5,c:3);").bin_labels
        ('a', 'b', 'c')
        """
        return cls(*phylogenies.newick(tree, default_length))

    @classmethod
    def from_skbio(cls, tree: Any, *, default_length: float | None = None) -> Tree:
        """Build from a `skbio.TreeNode`, tips are the bins; see `fastemd.spaces.phylogenies.newick`."""
        return cls(*phylogenies.skbio(tree, default_length))

    @classmethod
    def from_networkx(
        cls, graph: Any, *, root: Any = None, weight: str = "length", default_length: float | None = None
    ) -> Tree:
        """Build from a networkx graph, tips are the bins; see `fastemd.spaces.phylogenies.networkx`."""
        return cls(*phylogenies.networkx(graph, root, weight, default_length))

    @classmethod
    def from_points(cls, X: ArrayLike, *, method: str = "quadtree", seed: Any = None) -> Tree:
        """Build over points, each a bin; distances are never below the Euclidean ones.

        See `fastemd.spaces.point_trees.from_points` for the parameters.

        >>> Tree.from_points([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0]], seed=0).n
        3
        """
        return cls(*point_trees.from_points(X, method=method, seed=seed))

    @classmethod
    def imagenet(cls, which: str = "1k") -> Tree:
        """The ImageNet classes ("1k" or "21k") under their WordNet hypernyms; see `fastemd.spaces.builders.imagenet`.

        >>> Tree.imagenet()
        <Tree of 1000 bins on 1808 nodes>
        """
        return cls(*builders.imagenet(which))

    @classmethod
    def wordnet_nouns(cls) -> Tree:
        """Every noun synset of WordNet 3.0, each a bin; see `fastemd.spaces.builders.wordnet_nouns`."""
        return cls(*builders.wordnet_nouns())

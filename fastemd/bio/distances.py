"""UniFrac: distances of communities along the branches of a phylogeny."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..arrays import bad_rows
from ..arrays.inputs import one_of
from ..pairs import matrix, store
from ..pairs.tables import Table, table_of
from ..pairs.validation import memory_limit as checked_limit
from ..spaces.chain import Chain
from ..spaces.phylogenies import parts_of
from ..spaces.tree import Tree
from .branches import ways
from .tables import counts_of, places

METHODS = ("weighted", "weighted_normalized", "unweighted", "generalized")


def unifrac(
    table: Any,
    tree: Any,
    *,
    method: str = "weighted",
    alpha: float | None = None,
    taxa: Any = None,
    condensed: bool = False,
    default_length: float | None = None,
    out: Any = None,
    memory_limit: int | None = None,
    progress: bool | None = None,
) -> Any:
    """UniFrac distances between all samples of a table.

    With p and q the shares of two samples below branch e of length l_e:

    - "weighted": ``sum(l * abs(p - q))``, the Earth Mover's Distance on the tree;
    - "weighted_normalized": that over ``sum(l * (p + q))``;
    - "unweighted": the length of the branches that lead to taxa of one sample only, over that of the branches that lead
      to any;
    - "generalized": ``sum(l * (p + q) ** alpha * abs(p - q) / (p + q)) / sum(l * (p + q) ** alpha)``.

    Parameters
    ----------
    table : pandas or polars DataFrame, biom Table, AnnData, scipy.sparse array, or array_like, shape (samples, taxa)
        Counts or shares, not negative; both give the same answer. A biom table has samples in columns, and is turned.
    tree : str, path, skbio.TreeNode, dendropy or ete tree, networkx graph, or fastemd.Tree
        Newick or the path of a Newick file, or a tree with named tips. Taxa are matched to tips by name; tips that the
        table lacks have no effect.
    method : {"weighted", "weighted_normalized", "unweighted", "generalized"}, optional
    alpha : float, optional
        Of "generalized", from 0 to 1: how much branches with large shares count.
    taxa : sequence of str, optional
        Names of the columns, for a table without names.
    condensed : bool, optional
        True: the upper triangle, as scipy's ``squareform`` has it.
    default_length : float, optional
        Length of branches that have none; by default they are an error.
    out : ndarray, numpy.memmap or zarr array of float64, optional
        Receives the distances, tile by tile; a run that is interrupted is resumed, as by `fastemd.pairwise`.
    memory_limit : int, optional
        Bytes of scratch at most; 2**30 by default.
    progress : bool, optional
        As of `fastemd.pairwise`.

    Returns
    -------
    ndarray of float64, shape (samples, samples), or DataFrame
        `out`, if it was given. A DataFrame with the samples' names, where the table has them;
        ``skbio.DistanceMatrix(found, ids=found.index)``
        makes scikit-bio's object of it.

    Raises
    ------
    TypeError, ValueError
        For taxa that are no tips (named and counted), names that come twice, branches without length, negative or
        non-finite counts, and empty samples (named).
    ImportError
        If Newick comes and treeswift is not installed: ``pip install 'fastemd[bio]'``.

    Notes
    -----
    Time O(nonzeros * depth) for the shares below the branches, and for each pair the branches that both samples reach
    or, where most are, all of them. Sparse tables are never made dense.

    References
    ----------
    C. Lozupone, R. Knight, Appl. Environ. Microbiol. 71 (2005), and 73 (2007), weighted. J. Chen et al., Bioinformatics
    28 (2012), generalized. S. Evans, F. Matsen, J. R. Stat. Soc. B 74 (2012): weighted UniFrac is the Earth Mover's
    Distance.

    Examples
    --------
    >>> import fastemd as fe
    >>> counts = [[3, 1, 0], [0, 1, 3]]
    >>> tree = fe.Tree.from_edges([("root", "ab"), ("ab", "a"), ("ab", "b"), ("root", "c")], bins=["a", "b", "c"])
    >>> fe.unifrac(counts, tree, taxa=["a", "b", "c"])
    array([[0.  , 2.25],
           [2.25, 0.  ]])
    >>> fe.unifrac(counts, tree, taxa=["a", "b", "c"], method="unweighted")
    array([[0. , 0.5],
           [0.5, 0. ]])
    """
    one_of(method, METHODS, "method")
    alpha = _alpha(alpha, method)
    limit = checked_limit(memory_limit)
    counts = counts_of(table, taxa)
    space = tree if isinstance(tree, Tree) else Tree(*parts_of(tree, default_length))
    rows = _rows(counts.rows, places(space, counts.taxa), space, counts.samples)
    way = ways(rows, space, method, alpha, limit)
    count = len(rows)
    target = store.output(out, matrix.shape_of(count, count, condensed), np.dtype(np.float64))
    options = {"method": method, "alpha": alpha, "shape": (count, count)}
    key = functools.partial(store.digest, [rows.rows], space, options)
    matrix.fill(target, way, count, count, True, condensed, limit, key, progress)
    if out is not None or condensed:
        return target
    if counts.samples is None:
        return target
    import pandas

    return pandas.DataFrame(target, index=counts.samples, columns=counts.samples)


def _alpha(alpha: float | None, method: str) -> float:
    if method != "generalized":
        if alpha is not None:
            raise ValueError(f"alpha is {alpha!r}, and method is {method!r}. Needed: alpha with 'generalized' only.")
        return 1.0
    if isinstance(alpha, bool) or not isinstance(alpha, int | float | np.number) or not 0.0 <= float(alpha) <= 1.0:
        raise ValueError(f"alpha is {alpha!r}. Needed with method='generalized': a number from 0 to 1, such as 0.5.")
    return float(alpha)


def _rows(rows: Any, bins: np.ndarray, space: Tree, samples: Any) -> Table:
    """Return the counts as sparse rows on the bins of the tree, checked, with the factors that make shares of them."""
    from scipy.sparse import csr_array, issparse

    if not issparse(rows):
        rows = csr_array(np.asarray(table_of(rows, "table", Chain(len(bins))).rows, np.float64))
    taken = csr_array(rows.tocsr(), dtype=np.float64)
    taken = csr_array((taken.data, bins[taken.indices], taken.indptr), shape=(taken.shape[0], space.n))
    found = table_of(taken, "table", space)
    empty = np.flatnonzero(~(found.mass > 0))
    if empty.size:
        names = [repr(samples[k]) if samples is not None else f"row {k}" for k in empty[:5]]
        raise ValueError(
            f"{len(empty)} of {len(found)} samples are empty: {', '.join(names)}{', ...' if empty[5:].size else ''}. "
            "Needed: a count in each; drop those samples."
        )
    bad_rows.check_mass(found.mass, "table", "")
    found.scale = 1.0 / found.mass
    return found

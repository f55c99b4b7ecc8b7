"""From an argument to a space, and from named columns to its bins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..bio.tables import places
from ..spaces import Chain, Ring, Tree
from ..spaces.base import Space
from .tables import NamedTable

SHIPPED = ("imagenet-1k", "imagenet-21k", "wordnet-nouns")
NAMED = ("chain", "ring", *SHIPPED)
DENSE = 0.25  # share of a tree's bins from which on rows are kept dense


def read_space(text: str, table: NamedTable, default_length: float | None) -> tuple[Space, bool]:
    """Return a space, and whether it is a phylogeny, whose default method is UniFrac.

    Parameters
    ----------
    text : str
        "chain" or "ring" of as many bins as the table has columns, the name of a shipped tree, or the path of a file:
        Newick, or a table of edges, .csv or .tsv, with columns parent, child and perhaps length.
    table : NamedTable
    default_length : float or None
        Length of branches that have none.

    Raises
    ------
    OSError, TypeError, ValueError
        If there is no such file, or it holds no tree.
    """
    if text in ("chain", "ring"):
        return (Chain if text == "chain" else Ring)(table.rows.shape[1]), False
    if text in SHIPPED:
        return Tree.wordnet_nouns() if text == "wordnet-nouns" else Tree.imagenet(text.removeprefix("imagenet-")), False
    path = Path(text)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {text!r}. Needed: the path of a tree, or one of {', '.join(NAMED)}.")
    if path.suffix.lower() in (".csv", ".tsv"):
        return _edges(text, table, "," if path.suffix.lower() == ".csv" else "\t"), False
    return Tree.from_newick(path, default_length=default_length), True


def _edges(path: str, table: NamedTable, separator: str) -> Tree:
    """Read a table of edges; all nodes are bins where the columns of the histograms are named, else the leaves."""
    import pandas

    frame = pandas.read_csv(path, sep=separator, dtype={"parent": str, "child": str})
    missing = [name for name in ("parent", "child") if name not in frame.columns]
    if missing:
        raise ValueError(
            f"{path} has columns {', '.join(map(repr, frame.columns))}. Needed: parent and child, and length where "
            "edges are not all as long."
        )
    parents = set(frame["parent"])
    leaves = [name for name in frame["child"] if name not in parents]
    return Tree.from_edges(frame, bins=None if table.bins is not None else leaves)


def placed(table: NamedTable, space: Space, path: str) -> Any:
    """Return the rows of a table on the bins of a space; named columns go to the bins of their names.

    Raises
    ------
    ValueError
        If columns have names that are no bins, or if there are more or fewer columns than bins.
    """
    labels = getattr(space, "bin_labels", None)
    if table.bins is None or labels is None:
        if table.rows.shape[1] != space.n:
            raise ValueError(
                f"{path} has {table.rows.shape[1]} columns, and {space!r} has {space.n} bins. Needed: a column for "
                "each bin, in their order, or columns with the names of bins; --taxa FILE names them."
            )
        return table.rows
    bins = places(space, table.bins)  # type: ignore[arg-type]  # only trees have labels
    if len(bins) == space.n and (bins == np.arange(space.n)).all():
        return table.rows
    from scipy.sparse import csr_array, issparse

    if not issparse(table.rows) and len(bins) >= DENSE * space.n:
        dense = np.zeros((len(table.rows), space.n), table.rows.dtype)
        dense[:, bins] = table.rows
        return dense
    rows = csr_array(table.rows)
    return csr_array((rows.data, bins[rows.indices], rows.indptr), shape=(rows.shape[0], space.n))

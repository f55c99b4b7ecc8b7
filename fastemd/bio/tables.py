"""From tables of counts of several kinds to rows of samples, and the names of samples and taxa."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..arrays.frames import PACKAGES
from ..arrays.host import package_of
from ..spaces.tree import Tree


class Counts(NamedTuple):
    """Rows of samples, dense or sparse, with the names of their columns and, where there are any, of the rows."""

    rows: Any
    taxa: list[str]
    samples: Sequence[Any] | None


def counts_of(table: Any, taxa: Any) -> Counts:
    """Return the counts of a table, samples in rows."""
    package = package_of(table)
    if package == "biom":
        return Counts(table.matrix_data.T.tocsr(), [*table.ids(axis="observation")], [*table.ids(axis="sample")])
    if hasattr(table, "obs_names") and hasattr(table, "var_names") and hasattr(table, "X"):
        return Counts(table.X, [str(name) for name in table.var_names], [*table.obs_names])
    if package in PACKAGES:
        samples = list(table.index) if package == "pandas" else None
        return Counts(table, [str(name) for name in table.columns], samples)
    if taxa is None:
        raise ValueError(
            f"table is of type {type(table).__name__}, whose columns have no names. Needed: taxa=, the name of the tip "
            "of each column; or a pandas DataFrame or biom table."
        )
    names = [str(name) for name in taxa]
    shape = np.shape(table) if not hasattr(table, "shape") else table.shape
    if len(shape) != 2 or shape[1] != len(names):
        raise ValueError(
            f"table has shape {tuple(shape)} and taxa has {len(names)} names. Needed: samples in rows, and a name for "
            "each column."
        )
    return Counts(table, names, None)


def places(tree: Tree, taxa: list[str]) -> np.ndarray:
    """Return the bin of each taxon."""
    labels = tree.bin_labels
    if labels is None:
        raise ValueError("tree has no labels. Needed: the names of its tips; build it with labels=.")
    _refuse_duplicates(taxa, "table", "taxa")
    bins = {label: i for i, label in enumerate(labels)}
    wanted = set(taxa)
    if len(bins) < len(labels):
        _refuse_duplicates([label for label in labels if label in wanted], "tree", "tips")
    missing = [name for name in taxa if name not in bins]
    if missing:
        some = ", ".join(map(repr, missing[:5])) + (", ..." if missing[5:] else "")
        raise ValueError(
            f"{len(missing)} of {len(taxa)} taxa of the table are no tips of the tree: {some}. Needed: a tip of that "
            "name for each column; drop those columns, or rename them."
        )
    return np.array([bins[name] for name in taxa], np.intp)


def _refuse_duplicates(names: Sequence[str], where: str, what: str) -> None:
    seen: set[str] = set()
    twice = [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
    if twice:
        some = ", ".join(map(repr, sorted(set(twice))[:5]))
        raise ValueError(
            f"{where} has {len(set(twice))} names of {what} more than once: {some}. Needed: each once; add up the "
            "columns of a taxon, or rename the tips."
        )

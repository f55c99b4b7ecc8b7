"""All pairs of WordNet's nouns, and the nearest of some: rows of senses on the noun tree, never made dense."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.sparse import csr_array

import fastemd as fe
from fastemd.data import table

from . import packages
from .cases import Array

SHOWN = ("dog", "violin", "doctor", "river", "bank", "star")  # whose neighbours are listed
NEAR = 6
DRAWN = 48  # nouns in the picture of all pairs


@dataclass(frozen=True)
class Neighbours:
    """What was computed, and how long it took.

    Attributes
    ----------
    nouns, nodes, pairs : int
    pairs_seconds, nearest_seconds : float
        All pairs into a condensed matrix of float32, and the ``NEAR`` nearest of all nouns.
    nearest : dict of str to list of (str, float)
        Of each noun of ``SHOWN``.
    drawn : list of str
        Nouns in the order of a clustering.
    matrix : ndarray, shape (len(drawn), len(drawn))
        Their distances, in steps in the noun tree.
    """

    nouns: int
    nodes: int
    pairs: int
    pairs_seconds: float
    nearest_seconds: float
    nearest: dict[str, list[tuple[str, float]]]
    drawn: list[str]
    matrix: Array


def noun_rows(count: int | None = None) -> tuple[fe.Tree, list[str], csr_array]:
    """Return the noun tree, nouns from the most used on, and how often each of their senses was tagged."""
    tree = fe.Tree.wordnet_nouns()
    number = {wnid: i for i, wnid in enumerate(table("wordnet_noun_tree")["wnid"])}
    senses = table("wordnet_noun_senses")
    row = {lemma: i for i, lemma in enumerate(dict.fromkeys(senses["lemma"]))}
    entries = [row[lemma] for lemma in senses["lemma"]], [number[wnid] for wnid in senses["wnid"]]
    rows = csr_array((np.array(senses["count"], float), entries), shape=(len(row), tree.n))
    order = np.argsort(-rows.sum(axis=1), kind="stable")[:count]
    names = list(row)
    return tree, [names[i] for i in order], rows[order]


def compute(quick: bool) -> Neighbours:
    """Compute all pairs and all neighbours; of 2,000 nouns in a quick run."""
    tree, nouns, rows = noun_rows(2000 if quick else None)
    begin = time.perf_counter()
    pairs = fe.pairwise(rows, space=tree, mass="normalize", condensed=True, dtype=np.float32)
    between = time.perf_counter()
    distances, indices = fe.nearest(rows, rows, space=tree, k=NEAR + 1, mass="normalize")
    end = time.perf_counter()
    nearest = {}
    for noun in SHOWN:
        if noun in nouns:
            i = nouns.index(noun)
            found = zip(indices[i], distances[i], strict=True)
            nearest[noun] = [(nouns[j], float(distance)) for j, distance in found if j != i][:NEAR]
    first = rows[:DRAWN]
    ordered = leaves_list(
        linkage(fe.pairwise(first, space=tree, mass="normalize", condensed=True), "average", optimal_ordering=True)
    )
    matrix = fe.pairwise(first[ordered], space=tree, mass="normalize")
    drawn = [nouns[i] for i in ordered]
    return Neighbours(
        len(nouns), tree.n_nodes, len(pairs), between - begin, end - between, nearest, drawn, np.asarray(matrix)
    )


def lines(found: Neighbours) -> Any:
    """Return a rich.table.Table of the nearest nouns."""
    rows = packages.load("rich.table").Table(
        title=f"Nearest nouns: {found.nouns:,} rows of senses on the noun tree of {found.nodes:,} nodes",
        title_justify="left",
        title_style="bold",
        caption=f"{found.pairs:,} pairs in {found.pairs_seconds:.2g} s, the {NEAR} nearest of all nouns in "
        f"{found.nearest_seconds:.2g} s; in brackets: steps in the tree.",
        caption_justify="left",
        pad_edge=False,
    )
    rows.add_column("noun", no_wrap=True)
    rows.add_column("its nearest, the nearest first")
    for noun, near in found.nearest.items():
        rows.add_row(noun, ", ".join(f"{other} ({distance:.2g})" for other, distance in near))
    return rows


def figures(found: Neighbours) -> dict[str, Any]:
    """Return what was computed, in the types of JSON, the matrix aside."""
    kept = ("nouns", "nodes", "pairs", "pairs_seconds", "nearest_seconds", "nearest")
    return {name: getattr(found, name) for name in kept}


def draw(found: Neighbours, path: Path) -> None:
    """Draw the distances of the nouns that are used most, in the order of a clustering."""
    figure = packages.load("matplotlib.figure").Figure(figsize=(11, 9.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(found.matrix, cmap="cividis_r")
    places = range(len(found.drawn))
    axes.set_xticks(places, found.drawn, rotation=90, fontsize=9)
    axes.set_yticks(places, found.drawn, fontsize=9)
    figure.colorbar(image, ax=axes, label="Earth Mover's Distance, steps in the noun tree", shrink=0.8)
    figure.suptitle(f"All pairs: the {len(found.drawn)} nouns that are used most, clustered", fontweight="bold")
    axes.set_title(
        f"a noun is a histogram of its senses; all {found.pairs:,} pairs of {found.nouns:,} nouns took "
        f"{found.pairs_seconds:.2g} s",
        fontsize=9,
        color="0.35",
    )
    figure.savefig(path)

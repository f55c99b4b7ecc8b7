"""Real histograms to compare solvers on: grey levels and hues of photographs, and senses of nouns.

A case is a space and pairs of histograms of mass 1. The first pair is the one that pictures show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastemd.data import table
from fastemd.reference.flows import Space
from fastemd.spaces import Chain, Ring, Tree

from . import packages

Array = np.ndarray[Any, Any]

PATCH = 64  # pixels along a side
STEP = 16  # pixels from one patch to the next
PHOTOGRAPHS = ("china.jpg", "flower.jpg")
EXAMPLE = (("china.jpg", 80, 160), ("flower.jpg", 96, 144))  # a pagoda's roof and a flower's edge
SENSES = 4  # that a noun must have been tagged with


@dataclass(frozen=True)
class Case:
    """Pairs of histograms on a space.

    Attributes
    ----------
    name, title : str
    unit : str
        What the edges' lengths count.
    space : Space
    a, b : ndarray, shape (pairs, n), float64
        Histograms of mass 1; no pair holds the same one twice.
    labels : pair of str
        What the two histograms of the first pair are of.
    patches : pair of ndarray, shape (PATCH, PATCH, 3), uint8; or None
        Where the first pair comes from a photograph.
    """

    name: str
    title: str
    unit: str
    space: Space
    a: Array
    b: Array
    labels: tuple[str, str]
    patches: tuple[Array, Array] | None = None


def grey(pairs: int, seed: int) -> Case:
    """Grey levels, 0 to 255, of patches of two photographs."""
    return _photographs("grey", "Grey levels of photographs", "grey levels", Chain(256), grey_levels, pairs, seed)


def hue(pairs: int, seed: int) -> Case:
    """Hues, 0 to 359 degrees, of patches of two photographs."""
    return _photographs("hue", "Hues of photographs", "degrees", Ring(360), hues, pairs, seed)


def nouns(pairs: int, seed: int) -> Case:
    """How often each sense of a noun was tagged, on the tree that WordNet's hypernyms span over all these senses."""
    words, histograms, space = noun_senses()
    a, b = _pairs(histograms, pairs, seed, example=(words.index("star"), words.index("sun")))
    return Case("nouns", "Senses of WordNet nouns", "steps in the noun tree", space, a, b, ("star", "sun"))


CASES: dict[str, Callable[[int, int], Case]] = {"grey": grey, "hue": hue, "nouns": nouns}


def grey_levels(image: Array) -> tuple[Array, Array]:
    """Return the grey level of each pixel by ITU-R BT.601, and its weight, 1."""
    level = np.rint(image @ np.array([0.299, 0.587, 0.114])).astype(np.intp)
    return level, np.ones(level.shape)


def hues(image: Array) -> tuple[Array, Array]:
    """Return the hue of each pixel in whole degrees, and its weight.

    The hue of a grey pixel is noise. The weight, saturation times value, is the range of its three colours: 0 for grey.
    """
    red, green, blue = np.moveaxis(image / 255, -1, 0)
    value = np.max(image, axis=-1) / 255
    chroma = value - np.min(image, axis=-1) / 255
    divisor = np.where(chroma > 0, chroma, 1.0)
    sector = np.where(
        value == red,
        (green - blue) / divisor % 6,
        np.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    return (sector * 60).astype(np.intp) % 360, chroma


def noun_senses() -> tuple[list[str], Array, Tree]:
    """Return nouns with several senses, the distribution of each over its senses, and the tree of all senses.

    Returns
    -------
    words : list of str
        The nouns of WordNet that were tagged with at least four different senses.
    histograms : ndarray, shape (words, n), float64
    tree : Tree
        The n senses are its bins. All hypernyms of theirs are nodes, and the topmost, "entity", is the root.
    """
    counts: dict[str, dict[str, int]] = {}
    senses = table("wordnet_noun_senses")
    for word, sense, count in zip(senses["lemma"], senses["wnid"], senses["count"], strict=True):
        counts.setdefault(word, {})[sense] = int(count)
    counts = {word: tagged for word, tagged in counts.items() if len(tagged) >= SENSES}

    hierarchy = table("wordnet_noun_tree")
    above = dict(zip(hierarchy["wnid"], hierarchy["parent"], strict=True))
    spanned = set()
    for tagged in counts.values():
        for sense in tagged:
            while sense and sense not in spanned:
                spanned.add(sense)
                sense = above[sense]

    rows = [row for row in zip(*hierarchy.values(), strict=True) if row[0] in spanned]
    node = {wnid: v for v, (wnid, _, _) in enumerate(rows)}
    used = sorted({node[sense] for tagged in counts.values() for sense in tagged})
    number = {v: i for i, v in enumerate(used)}
    histograms = np.zeros((len(counts), len(used)))
    for row, tagged in zip(histograms, counts.values(), strict=True):
        for sense, times in tagged.items():
            row[number[node[sense]]] = times / sum(tagged.values())
    tree = Tree(
        [node.get(parent, -1) for _, parent, _ in rows], np.ones(len(rows)), used, [name for _, _, name in rows]
    )
    return list(counts), histograms, tree


def _photographs(
    name: str,
    title: str,
    unit: str,
    space: Space,
    measure: Callable[[Array], tuple[Array, Array]],
    pairs: int,
    seed: int,
) -> Case:
    """Histograms of what is measured in patches of the photographs that scikit-learn ships."""
    patches = {}
    histograms = []
    for photograph, image in zip(
        PHOTOGRAPHS, packages.load("sklearn.datasets").load_sample_images().images, strict=True
    ):
        value, weight = measure(image)
        rows, columns = (range(0, size - PATCH + 1, STEP) for size in value.shape)
        for y, x in ((y, x) for y in rows for x in columns):
            here = slice(y, y + PATCH), slice(x, x + PATCH)
            histogram = np.bincount(value[here].ravel(), weight[here].ravel(), minlength=space.n)
            if histogram.any():  # else the patch has no hue at all
                histograms.append(histogram / histogram.sum())
                patches[photograph, y, x] = image[here]
    rows_of = {place: row for row, place in enumerate(patches)}
    example = rows_of[EXAMPLE[0]], rows_of[EXAMPLE[1]]
    a, b = _pairs(np.array(histograms), pairs, seed, example)
    return Case(name, title, unit, space, a, b, PHOTOGRAPHS, (patches[EXAMPLE[0]], patches[EXAMPLE[1]]))


def _pairs(histograms: Array, pairs: int, seed: int, example: tuple[int, int]) -> tuple[Array, Array]:
    """Return both sides of the example and of pairs drawn at random.

    Pairs of equal histograms are left out: no error is relative to their distance, 0.
    """
    drawn = np.random.default_rng(seed).integers(len(histograms), size=(2, pairs))
    drawn[:, 0] = example
    a, b = histograms[drawn]
    different = np.any(a != b, axis=1)
    return a[different], b[different]

"""Glosses of WordNet's nouns, sorted into classes that lie on the tree of nouns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

import fastemd as fe
from fastemd.data import table

PLACE = Path("/usr/share/wordnet/data.noun")


class Noun(NamedTuple):
    """A synset: its lemmas, as words separated by spaces, and its gloss without the examples."""

    lemmas: tuple[str, ...]
    gloss: str


class Task(NamedTuple):
    """The classification task.

    Attributes
    ----------
    tree : fe.Tree
        Its bins are the classes; every edge of WordNet has length 1.
    glosses : list of list of str
        The words of each gloss that count.
    members : list of ndarray
        For each class the indices of its glosses.
    masked : frozenset of str
        The words of the names of all classes, which count nowhere.
    named : float
        Share of the glosses that hold a name of their class, before it was masked.
    """

    tree: fe.Tree
    glosses: list[list[str]]
    members: list[np.ndarray]
    masked: frozenset[str]
    named: float


def nouns(path: Path = PLACE) -> dict[str, Noun]:
    """Read WordNet's ``data.noun``: synsets by wnid.

    Raises
    ------
    FileNotFoundError
        If there is no such file; the text says how to get it.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"There is no file {path}. Needed: data.noun of WordNet 3.0, with the glosses. On Debian and Ubuntu: "
            "apt-get install wordnet-base. Elsewhere: unpack WordNet-3.0.tar.gz from wordnet.princeton.edu, and name "
            "the file with --data FILE"
        )
    with path.open(encoding="utf-8") as file:
        found = dict(_noun(line) for line in file if not line.startswith("  "))
    unknown = set(table("wordnet_noun_tree")["wnid"]) - found.keys()
    if unknown:
        raise ValueError(
            f"{path} lacks {len(unknown)} synsets of WordNet 3.0, {min(unknown)} first. Needed: data.noun of that "
            "version, as synsets have other numbers in others"
        )
    return found


def _noun(line: str) -> tuple[str, Noun]:
    fields, _, gloss = line.partition("|")
    offset, _, _, count, *rest = fields.split()
    lemmas = tuple(word.replace("_", " ") for word in rest[: 2 * int(count, 16) : 2])
    return f"n{offset}", Noun(lemmas, re.split(r';?\s*"', gloss, maxsplit=1)[0].strip())


def words(text: str) -> list[str]:
    """Return the words of a text in small letters, a plural as its singular as far as endings tell."""
    return [_singular(word) for word in re.findall(r"[^\W_]+", text.lower())]


def _singular(word: str) -> str:
    if len(word) < 4 or word.endswith(("ss", "us", "is")):
        return word
    for ending, own in (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("sses", "ss"), ("xes", "x"), ("s", "")):
        if word.endswith(ending):
            return word.removesuffix(ending) + own
    return word


def cut(parent: np.ndarray, least: int) -> np.ndarray:
    """Lowest nodes with `least` nodes or more below them: none lies below another.

    Parameters
    ----------
    parent : ndarray of int, shape (n_nodes,)
        Parents, each before its children; -1 at the root.
    least : int

    Returns
    -------
    ndarray of int
        In ascending order.
    """
    below = np.zeros(len(parent), int)
    for v in range(len(parent) - 1, 0, -1):
        below[parent[v]] += below[v] + 1
    large = np.flatnonzero(below >= least)
    return np.setdiff1d(large, parent[large])


def task(path: Path = PLACE, *, least: int = 40, at_most: int | None = None) -> Task:
    """Make classes of the lowest synsets with at least so many below them, whose glosses are to be told apart.

    Parameters
    ----------
    path : Path
        Of ``data.noun``.
    least : int
        Glosses that a class needs.
    at_most : int, optional
        So many classes, neighbours in the tree, instead of all.
    """
    found, columns = nouns(path), table("wordnet_noun_tree")
    row = {wnid: v for v, wnid in enumerate(columns["wnid"])}
    parent = np.array([row.get(wnid, -1) for wnid in columns["parent"]])
    classes = cut(parent, least)[:at_most]
    names = [[words(lemma) for lemma in found[columns["wnid"][v]].lemmas] for v in classes]
    masked = frozenset(word for lemmas in names for lemma in lemmas for word in lemma)
    under = _class_above(parent, classes)
    rows = np.flatnonzero(under >= 0)
    texts = [words(found[columns["wnid"][v]].gloss) for v in rows]
    named = np.mean([_holds(text, names[c]) for text, c in zip(texts, under[rows], strict=True)])
    silent = masked | set(words(" ".join(ENGLISH_STOP_WORDS)))
    glosses = [[word for word in text if word not in silent] for text in texts]
    members = [np.flatnonzero(under[rows] == c) for c in range(len(classes))]
    return Task(_class_tree(parent, classes, columns["name"]), glosses, members, masked, float(named))


def _class_above(parent: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the number of the class above each node; -1 where there is none, and for classes themselves."""
    number = np.full(len(parent), -1)
    number[classes] = np.arange(len(classes))
    above = np.full(len(parent), -1)
    for v in range(1, len(parent)):
        above[v] = max(above[parent[v]], number[parent[v]])
    return above


def _holds(text: Sequence[str], lemmas: Iterable[Sequence[str]]) -> bool:
    text = f" {' '.join(text)} "
    return any(f" {' '.join(lemma)} " in text for lemma in lemmas)


def _class_tree(parent: np.ndarray, classes: np.ndarray, names: Sequence[str]) -> fe.Tree:
    """Return the tree of some nodes and all that is above them."""
    kept = np.zeros(len(parent), bool)
    for v in classes:
        while v >= 0 and not kept[v]:
            kept[v], v = True, parent[v]
    nodes = np.flatnonzero(kept)
    place = np.full(len(parent) + 1, -1)
    place[nodes] = np.arange(len(nodes))
    return fe.Tree(place[parent[nodes]], np.ones(len(nodes)), place[classes], [names[v] for v in nodes])


def drawn(members: Sequence[np.ndarray], counts: Sequence[int], rng: np.random.Generator) -> list[np.ndarray]:
    """Draw parts without a gloss in common, each with so many glosses of every class.

    Returns
    -------
    list of ndarray of int
        One for each of `counts`, of shape (classes, count).
    """
    least = min(map(len, members))
    if least < sum(counts):
        raise ValueError(
            f"A class has {least} glosses. Needed: {sum(counts)}, for parts of {', '.join(map(str, counts))}"
        )
    taken = np.stack([rng.permutation(glosses)[: sum(counts)] for glosses in members])
    return np.split(taken, np.cumsum(counts)[:-1], axis=1)


def features(glosses: Sequence[Sequence[str]], train: np.ndarray, *others: np.ndarray) -> list[csr_array]:
    """Weigh the words of glosses by TF-IDF as the training part has them.

    Returns
    -------
    list of csr_array
        One for `train` and each of the others: rows of norm 1, or 0 where no word is known. Glosses are in the order of
        the flattened indices.
    """
    vectorizer = TfidfVectorizer(analyzer=list, sublinear_tf=True, dtype=np.float32)
    vectorizer.fit([glosses[i] for i in train.flat])
    return [csr_array(vectorizer.transform([glosses[i] for i in part.flat])) for part in (train, *others)]

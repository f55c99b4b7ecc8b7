"""A file like WordNet's data.noun, and trees to try losses on."""

import numpy as np
from hypothesis import strategies as st

import fastemd as fe
from fastemd.data import table


def line(wnid, lemmas, gloss):
    words = " ".join(f"{lemma} 0" for lemma in lemmas)
    return f"{wnid[1:]} 03 n {len(lemmas):02x} {words} 001 @ 00001740 n 0000 | {gloss}  "


def write_database(path):
    """Write all synsets with their names, and made-up glosses that tell of their neighbourhood."""
    rng, columns = np.random.default_rng(0), table("wordnet_noun_tree")
    lines = ["  1 This is the licence."]
    for row, (wnid, name, words) in enumerate(
        zip(columns["wnid"], columns["name"], rng.integers(0, 3, (len(columns["wnid"]), 4)), strict=True)
    ):
        gloss = " ".join(f"w{row // 50 + k}x" for k in words)
        lines.append(line(wnid, [name.replace(" ", "_"), "second_Lemma"], f'{gloss}; "an example"; "another"'))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@st.composite
def parents(draw, most=30):
    """Parents of a tree in an order in which each stands before its children."""
    n = draw(st.integers(2, most))
    return np.array([-1, *(draw(st.integers(0, v - 1)) for v in range(1, n))])


@st.composite
def class_trees(draw):
    """Trees whose bins are their leaves."""
    parent = draw(parents())
    leaves = np.setdiff1d(np.arange(len(parent)), parent)
    return fe.Tree(parent, np.ones(len(parent)), leaves)


def path_up(parent, v):
    """Nodes from one up to the root."""
    path = [v]
    while parent[path[-1]] >= 0:
        path.append(parent[path[-1]])
    return path

"""
Nearest words by their meanings
===============================

A noun is a histogram on WordNet's tree of 82,115 meanings: how often each of its meanings is used. The Earth Mover's
Distance of two nouns is how far along the tree one has to carry the one's meanings to make the other's.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse import csr_array

import fastemd as fe
from fastemd.data import table

tree = fe.Tree.wordnet_nouns()
number = {name: i for i, name in enumerate(table("wordnet_noun_tree")["wnid"])}
senses = table("wordnet_noun_senses")
lemmas = list(dict.fromkeys(senses["lemma"]))
row = {lemma: i for i, lemma in enumerate(lemmas)}
entries = [row[lemma] for lemma in senses["lemma"]], [number[name] for name in senses["wnid"]]
words = csr_array((np.array(senses["count"], float), entries), shape=(len(lemmas), tree.n))
print(f"{words.shape[0]:,} nouns on a tree of {tree.n:,} meanings, {words.nnz:,} numbers that are not 0")

# %%
# The rows stay sparse. Ten neighbours of each of six nouns:
QUERIES = ["piano", "coffee", "wolf", "river", "justice", "bank"]
begin = time.perf_counter()
distances, indices = fe.nearest(words[[row[w] for w in QUERIES]], words, space=tree, k=8, mass="normalize")
print(f"{time.perf_counter() - begin:.2f} s")
for query, found in zip(QUERIES, indices, strict=True):
    print(f"{query:>8}:", ", ".join(lemmas[i] for i in found if lemmas[i] != query))

# %%
# All pairs of a few nouns, and the tree that average linkage makes of them.
from scipy.cluster.hierarchy import dendrogram, linkage

SOME = ["dog", "cat", "wolf", "horse", "oak", "rose", "tulip", "piano", "violin", "drum", "car", "truck", "boat", "tea"]
pairs = fe.pairwise(words[[row[w] for w in SOME]], space=tree, mass="normalize", condensed=True)
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
dendrogram(
    linkage(pairs, "average"), labels=SOME, orientation="right", ax=ax, color_threshold=0, above_threshold_color="k"
)
ax.set_xlabel("Earth Mover's Distance, edges of WordNet")

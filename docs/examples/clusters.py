"""
Clusters of an embedding
========================

`fastemd.embed` turns histograms into vectors whose L1 distance is the Earth Mover's Distance. Whatever works on vectors
then works on histograms: here DBSCAN and a projection by scikit-learn.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import DBSCAN
from sklearn.datasets import load_digits
from sklearn.manifold import MDS

import fastemd as fe

# %%
# A digit's ink by column is a histogram on a chain of eight bins, and so is its ink by row. Three digits, 60 of each:
digits = load_digits()
chosen = np.concatenate([np.flatnonzero(digits.target == digit)[:60] for digit in (0, 1, 7)])
images, target = digits.images[chosen], digits.target[chosen]
by_column, by_row = images.sum(axis=1), images.sum(axis=2)
chain = fe.Chain(8)
vectors = np.hstack([fe.embed(ink, chain, mass="normalize") for ink in (by_column, by_row)])
print("vectors:", vectors.shape)

# %%
# Their L1 distance is the sum of the two Earth Mover's Distances.
apart = abs(vectors[0] - vectors[1]).sum()
emd = sum(fe.emd(ink[0], ink[1], chain, mass="normalize") for ink in (by_column, by_row))
print(f"L1 {apart:.6f}, EMD {emd:.6f}")

# %%
# DBSCAN needs a distance within which rows are neighbours; -1 are rows that belong to no cluster.
clusters = DBSCAN(eps=0.35, min_samples=5, metric="manhattan").fit_predict(vectors)
for cluster in np.unique(clusters):
    counts = {int(digit): int((target[clusters == cluster] == digit).sum()) for digit in (0, 1, 7)}
    print(f"cluster {cluster:>2}: digits {counts}")

# %%
# The same distances in the plane, by multidimensional scaling.
pairs = sum(fe.pairwise(ink, space=chain, mass="normalize") for ink in (by_column, by_row))
places = MDS(2, metric="precomputed", random_state=0, n_init=1, init="random").fit_transform(pairs)
figure, ax = plt.subplots(figsize=(5, 4.5), layout="constrained")
for digit, colour in zip((0, 1, 7), ("#0072B2", "#E69F00", "#009E73"), strict=True):
    ax.scatter(*places[target == digit].T, c=colour, s=18, label=f"digit {digit}")
ax.set(xticks=[], yticks=[], aspect="equal")
ax.legend()

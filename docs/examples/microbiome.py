"""
UniFrac of a study, and its principal coordinates
=================================================

The study, qiime-191-tt, is the one that scikit-bio ships with its tests. Weighted UniFrac is the Earth
Mover's Distance on the phylogeny.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import skbio

import fastemd as fe

study = Path(skbio.__file__).parent / "diversity/beta/tests/data/qiime-191-tt"
table = pd.read_csv(study / "otu-table.tsv", sep="\t", skiprows=1, index_col=0).T
print(f"{table.shape[0]} samples, {table.shape[1]} taxa")

# %%
# From the table and the Newick file to the matrix, with the names of the samples:
distances = fe.unifrac(table, study / "tree.nwk", method="weighted_normalized")
print(distances.round(3).iloc[:4, :4])

# %%
# It is what scikit-bio has published for this study.
published = skbio.DistanceMatrix.read(str(study / "weighted_normalized_unifrac_dm.txt"))
expected = published.filter(distances.index).data
print(f"largest difference: {abs(distances.to_numpy() - expected).max():.1e}")

# %%
# Principal coordinates, by scikit-bio.
from skbio.stats.ordination import pcoa

places = pcoa(
    skbio.DistanceMatrix(distances.to_numpy(), ids=list(distances.index)), dimensions=2, warn_neg_eigval=False
)
figure, ax = plt.subplots(figsize=(5.5, 4.5), layout="constrained")
ax.scatter(*places.samples.to_numpy()[:, :2].T, c="#0072B2")
for name, x, y in zip(distances.index, *places.samples.to_numpy()[:, :2].T, strict=True):
    ax.annotate(name, (x, y), xytext=(4, 3), textcoords="offset points", fontsize="small")
share = 100 * np.asarray(places.proportion_explained)[:2]
ax.set(xlabel=f"PC 1 ({share[0]:.0f} %)", ylabel=f"PC 2 ({share[1]:.0f} %)")

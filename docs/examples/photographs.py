"""
Images found by their greys and hues
====================================

Two photographs are cut into tiles. A tile is looked up by the histogram of its grey levels, which lie on a chain, and
by that of its hues, which lie on a ring: red is next to red at both ends.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import rgb_to_hsv
from sklearn.datasets import load_sample_images

import fastemd as fe

SIDE, GREYS, HUES = 53, 64, 60
tiles = []
for photograph in load_sample_images().images:
    rows, columns = (size // SIDE for size in photograph.shape[:2])
    parts = photograph[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE, 3)
    tiles.append(parts.swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3))
tiles = np.concatenate(tiles)
print(f"{len(tiles)} tiles of {SIDE} x {SIDE} pixels")


# %%
# A histogram a tile. A hue counts as much as its colour is strong: grey pixels have none.
def histogram(numbers, weights, bins):
    """Shares of `bins` equal parts of [0, 1)."""
    part = np.minimum((numbers * bins).astype(int), bins - 1)
    counts = np.bincount(part.ravel(), weights.ravel(), bins) + 1e-9
    return counts / counts.sum()


colours = [rgb_to_hsv(tile / 255.0) for tile in tiles]
greys = np.array([histogram(tile.mean(axis=-1) / 256.0, np.ones(tile.shape[:2]), GREYS) for tile in tiles])
hues = np.array([histogram(c[..., 0], c[..., 1] * c[..., 2], HUES) for c in colours])

# %%
# The four nearest of three tiles. `nearest` is exact; on a chain it rules most tiles out unseen.
QUERIES = [30, 70, 160]
_, by_grey = fe.nearest(greys[QUERIES], greys, space=fe.Chain(GREYS), k=5)
_, by_hue = fe.nearest(hues[QUERIES], hues, space=fe.Ring(HUES), k=5)

figure, axes = plt.subplots(2 * len(QUERIES), 5, figsize=(6, 7.5), layout="constrained")
for ax in axes.flat:
    ax.axis("off")
for i in range(len(QUERIES)):
    for row, found, name in ((2 * i, by_grey, "grey"), (2 * i + 1, by_hue, "hue")):
        for ax, tile in zip(axes[row], found[i], strict=True):
            ax.imshow(tiles[tile])
        axes[row, 0].set_title("query" if row == 0 else "", fontsize="small")
        axes[row, 1].set_title(f"nearest by {name}", fontsize="small", loc="left")

# %%
# Why a ring: two reds on both sides of the end of the hues are near on it, and as far as can be on a chain.
red, other_red = np.zeros(HUES), np.zeros(HUES)
red[0], other_red[-1] = 1.0, 1.0
print("on a ring:", fe.emd(red, other_red, fe.Ring(HUES)), " on a chain:", fe.emd(red, other_red, fe.Chain(HUES)))

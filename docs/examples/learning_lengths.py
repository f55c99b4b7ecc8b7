"""
Learning the lengths of edges
=============================

The distance is linear in the lengths of the edges, so they can be learned. Here digits are histograms of ink on a
tree of pixels. Its lengths are learned such that two images of one digit are nearer than images of two digits.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import fastemd as fe

digits = load_digits()
ink = digits.data / digits.data.sum(axis=1, keepdims=True)
pixels = np.stack(np.meshgrid(range(8), range(8), indexing="ij"), axis=-1).reshape(-1, 2).astype(float)
tree = fe.Tree.from_points(pixels, seed=0)
print(tree)

# %%
# Triplets: an image, another of its digit, one of another digit. The second should be nearer than the third.
rng = np.random.default_rng(0)
order = rng.permutation(len(ink))
train, test = order[:900], order[900:]


def triplets(chosen, count):
    """Numbers of images (count, 3)."""
    first, second, third = (rng.choice(chosen, 60 * count) for _ in range(3))
    same, other = (digits.target[first] == digits.target[each] for each in (second, third))
    return np.stack([first, second, third], axis=1)[same & ~other & (first != second)][:count].T


def slopes(first, second):
    """The gradient of the distance of each pair by the lengths: the size of the flow over each edge."""
    return fe.emd_value_and_grad(ink[first], ink[second], tree, wrt="length")[1]


# %%
# Projected gradient descent on the mean of max(0, margin + near - far); lengths stay at least 0 and keep their sum.
first, second, third = triplets(train, 4000)
difference = slopes(first, second) - slopes(first, third)
lengths, total, history = tree.lengths.copy(), tree.lengths.sum(), []
margin = (difference @ lengths).std()
for _ in range(400):
    violation = margin + difference @ lengths
    history.append(np.maximum(violation, 0.0).mean())
    lengths -= 0.005 * margin * total * (difference * (violation > 0)[:, None]).mean(axis=0)
    lengths = np.maximum(lengths, 0.0)
    lengths *= total / lengths.sum()

# %%
# Triplets of images that were not seen:
first, second, third = triplets(test, 4000)
for name, each in (("given lengths", tree.lengths), ("learned lengths", lengths)):
    space = fe.Tree(tree.parent, each, tree.bins)
    right = fe.emd(ink[first], ink[second], space) < fe.emd(ink[first], ink[third], space)
    print(f"{name:>15}: {100 * right.mean():.1f} % are right")

figure, ax = plt.subplots(figsize=(5.5, 3), layout="constrained")
ax.plot(history, color="#0072B2")
ax.set(xlabel="step", ylabel="violation of the training triplets", ylim=0)

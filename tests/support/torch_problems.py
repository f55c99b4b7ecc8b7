"""What the proofs of the torch adapter share: batches of logits and targets on drawn spaces."""

import warnings

import numpy as np
import torch
from hypothesis import strategies as st

from fastemd.spaces import Chain, Ring, Tree
from tests.support.kernel_problems import spaces

TREE = Tree([-1, 0, 0, 1, 1, 2, 2], [0, 1, 2, 1, 0.5, 1, 3], bins=[3, 4, 5, 6, 1])
FIVE = (Chain(5), Ring(lengths=[1, 2, 0.5, 3, 1]), TREE)  # a space of each kind, of five bins
AXES = ((), (7,), (3, 4), (2, 1, 3))  # leading axes: of the batch, then d1, d2


@st.composite
def batches(draw, dtype=torch.float32):
    """A space, logits (N, n, d1, ...) or (n,), class indices, and targets of mass 1 in the shape of the logits."""
    space = draw(spaces())
    axes = draw(st.sampled_from(AXES))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    logits = torch.from_numpy(rng.standard_normal((*axes, space.n))).to(dtype)
    classes = torch.from_numpy(rng.integers(0, space.n, axes))
    soft = torch.from_numpy(rng.dirichlet(np.ones(space.n), axes)).to(dtype)
    return space, classes_second(logits), classes, classes_second(soft)


def classes_second(x):
    """Move the last axis to where torch has the classes."""
    return x.movedim(-1, 1) if x.dim() > 1 else x


def classes_last(x):
    """Move the axis of classes to where fastemd has the bins, as a numpy array."""
    return (x.movedim(1, -1) if x.dim() > 1 else x).detach().numpy()


def quietly(call, *arguments):
    """Call something within which torch warns of its own deprecated parts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return call(*arguments)

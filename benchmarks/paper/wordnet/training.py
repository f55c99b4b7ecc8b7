"""A small net on bags of words: how it is trained, and how its answers are judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

import fastemd as fe

from .losses import Loss


class Part(NamedTuple):
    """Bags of words as rows, and the class of each."""

    rows: csr_array
    classes: Tensor


@dataclass(frozen=True)
class Training:
    """Settings that are the same for all losses."""

    hidden: int = 128
    dropout: float = 0.5
    batch: int = 512
    epochs: int = 60
    patience: int = 10


class Net(nn.Module):
    """A weighted sum of word vectors, a rectifier, dropout, a linear layer."""

    def __init__(self, words: int, classes: int, training: Training) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(words, training.hidden, mode="sum")
        nn.init.normal_(self.bag.weight, std=training.hidden**-0.5)
        self.top = nn.Sequential(nn.ReLU(), nn.Dropout(training.dropout), nn.Linear(training.hidden, classes))

    def forward(self, rows: csr_array) -> Tensor:
        words, starts = (torch.from_numpy(x.astype(np.int64)) for x in (rows.indices, rows.indptr[:-1]))
        return self.top(self.bag(words, starts, per_sample_weights=torch.from_numpy(rows.data)))

    @torch.no_grad()
    def answers(self, rows: csr_array) -> Tensor:
        """Logits, with the whole net at work."""
        self.eval()
        logits = self(rows)
        self.train()
        return logits


class Tuned(NamedTuple):
    """The best top-1 accuracy on the validation part, and the number of epochs after which it was seen."""

    top1: float
    epochs: int


def epochs(net: Net, loss: Loss, part: Part, rate: float, training: Training) -> Iterator[int]:
    """Train by Adam, and tell each time that all of the part was seen how often it was."""
    optimizer = torch.optim.Adam(net.parameters(), lr=rate, fused=True)
    for epoch in range(1, training.epochs + 1):
        for batch in torch.randperm(len(part.classes)).split(training.batch):
            optimizer.zero_grad()
            loss(net(part.rows[batch.numpy()]), part.classes[batch]).backward()
            optimizer.step()
        yield epoch


def tuned(net: Net, loss: Loss, part: Part, validation: Part, rate: float, training: Training) -> Tuned:
    """Train until top-1 on the validation part has not risen for `patience` epochs."""
    best = Tuned(-1.0, 0)
    for epoch in epochs(net, loss, part, rate, training):
        top1 = (net.answers(validation.rows).argmax(1) == validation.classes).double().mean().item()
        best = max(best, Tuned(top1, epoch), key=lambda one: one.top1)
        if epoch - best.epochs >= training.patience:
            break
    return best


def trained(net: Net, loss: Loss, part: Part, rate: float, count: int, training: Training) -> None:
    """Train for so many epochs."""
    for _ in islice(epochs(net, loss, part, rate, training), count):
        pass


def scores(logits: Tensor, classes: Tensor, tree: fe.Tree) -> dict[str, float]:
    """Judge answers.

    Returns
    -------
    dict of str to float
        ``top1`` and ``top5``, the shares of rows whose class is the first, or one of the first five; ``distance``, the
        mean length of the way from the first answer to the class; ``climb``, the mean length of its part from the class
        up to their lowest common ancestor; and ``mistake``, the mean length of the way where the answer is wrong (0
        where none is).
    """
    first = logits.argmax(1)
    right = first == classes
    five = logits.topk(min(5, logits.shape[1]), dim=1).indices == classes[:, None]
    way = torch.from_numpy(tree.cost_matrix())[first, classes]
    depth = torch.from_numpy(_depths(tree))
    climb = (way + depth[classes] - depth[first]) / 2
    return {
        "top1": right.double().mean().item(),
        "top5": five.any(1).double().mean().item(),
        "distance": way.mean().item(),
        "climb": climb.mean().item(),
        "mistake": (way.sum() / (~right).sum().clamp_min(1)).item(),
    }


def _depths(tree: fe.Tree) -> np.ndarray:
    """Length of the way from each bin to the root."""
    depth = np.zeros(tree.n)
    for i, v in enumerate(tree.bins):
        while v >= 0:
            depth[i], v = depth[i] + tree.length[v], tree.parent[v]
    return depth

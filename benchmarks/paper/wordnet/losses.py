"""The losses that are compared on the glosses; each takes logits and classes and returns a mean over rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import fastemd as fe
from fastemd.torch import emd_loss

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, repr=False)
class Method:
    """A family of losses, one for each weight; `weights` is (None,) where there is nothing to weigh."""

    name: str
    make: Callable[[fe.Tree, float | None], Loss]
    weights: Sequence[float | None] = (None,)

    def __repr__(self) -> str:
        return self.name


class HierarchicalCrossEntropy:
    """Bertinetto et al.'s hierarchical cross entropy, out of one softmax over the classes.

    With C0 the class, C1 ... Ch its ancestors up to the root, and P(C) the probability of all classes under C, a row
    costs ``-sum_l exp(-alpha * depth(Cl)) * log(P(Cl) / P(Cl+1))``, l from 0 to h - 1. The depth is counted from the
    root, as in the authors' program; alpha = 0 is cross entropy. It is divided by the mean weight of the classes
    themselves, which leaves the minimum where it is and makes learning rates comparable.

    Sources: L. Bertinetto et al., Making Better Mistakes, CVPR 2020, arXiv:1912.09393;
    https://github.com/fiveai/making-better-mistakes.
    """

    def __init__(self, tree: fe.Tree, alpha: float) -> None:
        under, share = _paths(tree, alpha)
        # Nodes with the same classes under them have the same probability, so that one of them is enough.
        sets, same = np.unique(under, axis=1, return_inverse=True)
        shares = np.zeros((tree.n, sets.shape[1]))
        np.add.at(shares.T, same.ravel(), share.T)
        shares /= np.exp(-alpha * under[:, tree.parent >= 0].sum(axis=1)).mean()
        leaf = sets.sum(axis=0) == 1
        self.own = torch.tensor((shares[:, leaf] * sets[:, leaf]).sum(axis=1), dtype=torch.float32)
        inner = ~leaf & (sets.sum(axis=0) < tree.n)
        self.sets = torch.tensor(sets[:, inner], dtype=torch.float32)
        self.shares = torch.tensor(shares[:, inner], dtype=torch.float32)

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        log_p = logits.log_softmax(-1)
        above = (log_p.exp() @ self.sets).clamp_min(torch.finfo(torch.float32).tiny).log()
        own = self.own[target] * log_p.gather(1, target[:, None])[:, 0]
        return -(own + (self.shares[target] * above).sum(-1)).mean()


def _paths(tree: fe.Tree, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """For each class and node: whether the class is under the node, and the weight of the logarithm of the node's P.

    The sum of weighted logarithms of quotients is sorted by nodes: P(Cl) has the weight of its own quotient less that
    of the quotient below, of which it is the denominator.
    """
    under, share = np.zeros((2, tree.n, tree.n_nodes))
    for i, v in enumerate(tree.bins):
        path = [v]
        while tree.parent[path[-1]] >= 0:
            path.append(tree.parent[path[-1]])
        weight = np.exp(-alpha * np.arange(len(path) - 1, -1, -1.0))
        under[i, path] = 1
        share[i, path] = np.diff(weight, prepend=0.0)
    return under, share


def _cross_entropy(tree: fe.Tree, weight: float | None) -> Loss:
    return cross_entropy


def _smoothed(tree: fe.Tree, weight: float | None) -> Loss:
    return lambda logits, target: cross_entropy(logits, target, label_smoothing=weight)


def _emd(rho: float) -> Callable[[fe.Tree, float | None], Loss]:
    return lambda tree, weight: lambda logits, target: emd_loss(logits, target, tree, rho=rho)


def _sum(rho: float) -> Callable[[fe.Tree, float | None], Loss]:
    def make(tree: fe.Tree, weight: float | None) -> Loss:
        return lambda z, y: cross_entropy(z, y) + weight * emd_loss(z, y, tree, rho=rho)

    return make


METHODS = (
    Method("cross entropy", _cross_entropy),
    Method("label smoothing", _smoothed, (0.2, 0.5, 0.8)),
    Method("hierarchical cross entropy", HierarchicalCrossEntropy, (0.05, 0.1, 0.3)),
    Method("EMD, ρ = 1", _emd(1)),
    Method("EMD, ρ = 2", _emd(2)),
    Method("cross entropy + EMD, ρ = 1", _sum(1), (0.03, 0.1, 0.3)),
    Method("cross entropy + EMD, ρ = 2", _sum(2), (0.1, 0.3, 1.0)),
)

"""Losses for a net over ordered classes, and figures of its predictions.

Nets are trained many at a time, so everything here has leading axes: outputs are (..., rows, k), classes (..., rows).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

import fastemd as fe
from fastemd.torch import emd_loss

from .data import NEEDED


class Method:
    """A loss over `bins` classes: how many outputs it wants, what it costs, which probabilities it means."""

    def __init__(self, bins: int) -> None:
        self.bins, self.outputs = bins, bins

    def loss(self, out: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Loss, summed over the leading axes; `weight`, of their shape, is for sums of losses."""
        raise NotImplementedError

    def probabilities(self, out: Tensor, error: Tensor | None = None) -> Tensor:
        """Probabilities of the classes, shape (..., rows, bins); `error` is for those that predict a number."""
        return out.softmax(-1)


class CrossEntropy(Method):
    def loss(self, out, y, weight):
        return _cross_entropy(out, y).mean(-1).sum()


class Distance(Method):
    """The distance on the chain of the classes, brought to the size of cross entropy for an even prediction."""

    rho = 1.0

    def loss(self, out, y, weight):
        return (self.scale() * _distance(out, y, self.rho)).mean(-1).sum()

    def scale(self) -> float:
        every = torch.arange(self.bins)
        even = emd_loss(torch.zeros(self.bins, self.bins), every, fe.Chain(self.bins), rho=self.rho)
        return math.log(self.bins) / even.item()


class RelaxedDistance(Distance):
    rho = 2.0


class Sum(Distance):
    """Cross entropy and ``weight`` times the distance."""

    def loss(self, out, y, weight):
        return (_cross_entropy(out, y) + weight[..., None] * self.scale() * _distance(out, y, self.rho)).mean(-1).sum()


class RelaxedSum(Sum):
    rho = 2.0


class SquaredError(Method):
    """One output, the number of the bin; its probabilities are those of a normal error as large as in training."""

    def __init__(self, bins: int) -> None:
        super().__init__(bins)
        self.outputs = 1

    def bin(self, out: Tensor) -> Tensor:
        return out[..., 0] * (self.bins / 4) + (self.bins - 1) / 2

    def loss(self, out, y, weight):
        return (self.bin(out) - y).square().mean(-1).sum()

    def error(self, out: Tensor, y: Tensor) -> Tensor:
        """How far off the training rows are: the root of the mean square, in bins."""
        return (self.bin(out) - y).square().mean(-1).sqrt().clamp(min=0.1)

    def probabilities(self, out, error=None):
        borders = torch.arange(self.bins - 1) + 0.5
        below = torch.special.ndtr((borders - self.bin(out)[..., None]) / error[..., None, None])
        return _differences(below)


class Coral(Method):
    """Cao, Mirjalili and Raschka 2020, by coral-pytorch: one score, and a threshold for each border of classes."""

    def __init__(self, bins: int) -> None:
        super().__init__(bins)
        self.outputs = 1

    def loss(self, out, y, weight):
        from coral_pytorch.losses import coral_loss

        levels = (y[..., None] > torch.arange(self.bins - 1)).to(out.dtype)
        rows = coral_loss(out.reshape(-1, self.bins - 1), levels.reshape(-1, self.bins - 1), reduction=None)
        return rows.reshape(y.shape).mean(-1).sum()

    def probabilities(self, out, error=None):
        below = 1 - out.sigmoid()
        return _differences(below.cummax(-1).values)


class Corn(Method):
    """Shi, Cao and Raschka 2021, by coral-pytorch: whether a class is above a border, given it is above the last."""

    def __init__(self, bins: int) -> None:
        super().__init__(bins)
        self.outputs = bins - 1

    def loss(self, out, y, weight):
        from coral_pytorch.losses import corn_loss

        return corn_loss(out.reshape(-1, self.outputs), y.reshape(-1), self.bins) * y.shape[:-1].numel()

    def probabilities(self, out, error=None):
        return _differences(1 - out.sigmoid().cumprod(-1))


METHODS: dict[str, type[Method]] = {
    "cross entropy": CrossEntropy,
    "EMD rho 1": Distance,
    "EMD rho 2": RelaxedDistance,
    "cross entropy + rho 1": Sum,
    "cross entropy + rho 2": RelaxedSum,
    "CORAL": Coral,
    "CORN": Corn,
    "squared error": SquaredError,
}


def missing() -> dict[str, str]:
    """Methods that cannot be had here, and why."""
    try:
        import coral_pytorch  # noqa: F401
    except ModuleNotFoundError:
        return {name: f"coral-pytorch is missing; {NEEDED}" for name in ("CORAL", "CORN")}
    return {}


def figures(p: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Return the figures of predictions, a number for each of the leading axes.

    - ``accuracy``: of the most probable class
    - ``mae``: mean absolute error, in bins, of the median of the prediction
    - ``emd``: mean exact distance of the prediction and the class, which is its expected absolute error
    - ``rps``: ranked probability score, the sum over the borders of the squared error of P(class <= border)
    - ``brier``: the sum over the classes of the squared error of their probabilities
    - ``ece``: expected calibration error of the most probable class, in ten intervals of equal width
    """
    bins = p.shape[-1]
    sure, most = p.max(-1)
    below = p.cumsum(-1)[..., :-1]
    truly = (y[..., None] <= torch.arange(bins - 1)).to(p.dtype)
    median = (below < 0.5).sum(-1)
    right = (most == y).to(p.dtype)
    return {
        "accuracy": right.mean(-1),
        "mae": (median - y).abs().to(p.dtype).mean(-1),
        "emd": (below - truly).abs().sum(-1).mean(-1),
        "rps": (below - truly).square().sum(-1).mean(-1),
        "brier": (p - torch.nn.functional.one_hot(y, bins)).square().sum(-1).mean(-1),
        "ece": _calibration_error(sure, right),
    }


def _calibration_error(sure: Tensor, right: Tensor, intervals: int = 10) -> Tensor:
    place = (sure * intervals).long().clamp(max=intervals - 1)
    off = torch.zeros(*sure.shape[:-1], intervals, dtype=sure.dtype).scatter_add(-1, place, right - sure)
    return off.abs().sum(-1) / sure.shape[-1]


def _cross_entropy(out: Tensor, y: Tensor) -> Tensor:
    rows = torch.nn.functional.cross_entropy(out.reshape(-1, out.shape[-1]), y.reshape(-1), reduction="none")
    return rows.reshape(y.shape)


def _distance(out: Tensor, y: Tensor, rho: float) -> Tensor:
    space = fe.Chain(out.shape[-1])
    return emd_loss(out.reshape(-1, space.n), y.reshape(-1), space, rho=rho, reduction="none").reshape(y.shape)


def _differences(below: Tensor) -> Tensor:
    """Probabilities of classes, from those of being at or below each border."""
    edge = torch.zeros_like(below[..., :1])
    return torch.diff(torch.cat([edge, below, edge + 1], -1))

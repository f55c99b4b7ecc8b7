"""From the values of rows to the loss, as in cross entropy: weights, ignored rows, sums and means."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class RowReduction(NamedTuple):
    """The reduction of the rows of one batch: values times `factor`, their sum if `summed`, NaN if `total` is 0."""

    factor: Tensor | float
    total: Tensor | None
    summed: bool

    def reduce_eagerly(self, rows: Tensor) -> Tensor:
        """Reduce the values of rows outside of any transform; for few rows numpy's sum takes less time than torch's."""
        if self.summed and isinstance(self.factor, float) and rows.is_cpu:
            total = float(np.add.reduce(rows.numpy(), axis=None, dtype=np.float64)) * self.factor
            return torch.scalar_tensor(total, dtype=rows.dtype, device=rows.device)
        return self.reduce(rows)

    def reduce(self, rows: Tensor) -> Tensor:
        """Reduce the values of rows."""
        if isinstance(self.factor, float):
            if not self.summed:
                return rows
            return rows.sum() if self.factor == 1.0 else rows.mean()
        rows = rows * self.factor
        if self.summed:
            rows = rows.sum()
        return rows if self.total is None else torch.addcdiv(rows, self.total, self.total, value=0)


class Reduction(NamedTuple):
    """The options of cross entropy: "mean", "sum" or "none", the weight of each class, the class to ignore."""

    reduction: str
    weight: Tensor | None
    ignore_index: int

    def of_batch(self, target: Tensor, dtype: torch.dtype, known: bool = False) -> tuple[Tensor, RowReduction]:
        """Return the target, class 0 standing for what does not count, and what is made of the rows.

        Where class indices are `known`, not traced nor on a device, the plain case takes a short cut.
        """
        summed, mean = self.reduction != "none", self.reduction == "mean"
        soft, weight = target.is_floating_point(), None if self.weight is None else self.weight.to(dtype)
        if weight is None and (soft or (known and self.ignore_index not in target.numpy())):
            rows = target.shape[:-1].numel() if soft else target.numel()
            return target, RowReduction(1.0 if not mean else 1.0 / rows if rows else math.nan, None, summed)
        if soft:
            factor, total = (
                target.to(dtype) @ weight,
                torch.full((), target.shape[:-1].numel(), dtype=dtype, device=target.device),
            )
        else:
            counted = target.ne(self.ignore_index)
            target = target * counted
            factor = counted if weight is None else counted * weight[target.clamp(0, len(weight) - 1)]
            total = factor.sum(dtype=dtype)
        if not mean:
            return target, RowReduction(factor, None, summed)
        return target, RowReduction(factor / total.where(total != 0, 1), total, summed)

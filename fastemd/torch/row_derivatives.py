"""The derivative of rows' values along directions, in plain torch, so that torch differentiates it in any mode.

On a chain or tree flows are prefix sums of the histograms, or differences of two, so the formula takes O(n) a row. On a
ring they are prefix sums less the circulation, which follows the prefix sums and the lengths. All is float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ..spaces.base import Space
from ..spaces.tree import Tree

HALVINGS = 64  # bisections, after which the ends of a bracket around a circulation are equal in float64
TINY = float(np.finfo(np.float64).tiny)


def derivatives(
    point: Sequence[Any],
    directions: Sequence[Tensor | None],
    space: Space,
    rho: float,
    from_logits: bool,
    label_smoothing: float,
) -> Tensor:
    """Return the derivative of each row's value where input, target and lengths move along the directions."""
    input, target, lengths = point
    u, v, w = directions
    a = input.double()
    da = torch.zeros_like(a) if u is None else u.double()
    if from_logits:
        a = a.softmax(-1)
        da = a * (da - (a * da).sum(-1, keepdim=True))
    if target.is_floating_point():
        b = target.double()
    else:
        b = (target.long().unsqueeze(-1) == torch.arange(space.n, device=target.device)).double()
    b = b * (1.0 - label_smoothing) + label_smoothing / space.n
    length = (torch.as_tensor(space.lengths.copy(), device=a.device) if lengths is None else lengths).double()
    phi = _flow(a - b, length, space, rho)
    dphi = _prefix(da if v is None else da - v.double() * (1.0 - label_smoothing), space)
    rows = (length * _slope(phi, rho) * dphi).sum(-1)
    if w is not None:
        rows = rows + (w.double() * phi.abs() ** rho).sum(-1)
    return rows


def _slope(phi: Tensor, rho: float) -> Tensor:
    """Return the slope on an edge of length 1, in a form whose derivative torch gets right at 0."""
    return 2.0 * phi if rho == 2 else rho * phi.sign() * phi.abs() ** (rho - 1.0)


def _flow(difference: Tensor, length: Tensor, space: Space, rho: float) -> Tensor:
    prefix = _prefix(difference, space)
    if space.kind != "ring":
        return prefix
    if rho == 2:
        return prefix - (length * prefix).sum(-1, keepdim=True) / length.sum().clamp_min(TINY)
    circulation: Tensor = _Circulation.apply(prefix, length, rho)
    return prefix - circulation


def _prefix(difference: Tensor, space: Space) -> Tensor:
    """Return the flow over each edge, up to the circulation of a ring."""
    if not isinstance(space, Tree):
        prefix = difference.cumsum(-1)
        return prefix if space.kind == "ring" else prefix[..., :-1]
    bin_at, first, beyond = (torch.as_tensor(index, device=difference.device) for index in space.subtrees)
    sums = pad(pad(difference, (0, 1)).index_select(-1, bin_at).cumsum(-1), (1, 0))
    return sums.index_select(-1, beyond) - sums.index_select(-1, first)


class _Circulation(torch.autograd.Function):
    """The c at which the slopes of P - c around a ring sum to 0, for rho > 2."""

    generate_vmap_rule = True

    @staticmethod
    def forward(prefix: Tensor, length: Tensor, rho: float) -> Tensor:
        low, high = prefix.amin(-1, keepdim=True), prefix.amax(-1, keepdim=True)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            above = (length * _slope(prefix - middle, rho)).sum(-1, keepdim=True) > 0
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        return low

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, float], output: Tensor) -> None:
        *tensors, ctx.rho = inputs
        ctx.save_for_backward(*tensors, output)
        ctx.save_for_forward(*tensors, output)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        length = ctx.saved_tensors[1]
        steep, slope, total = _Circulation._steepness(ctx)
        share = g / total
        return share * steep, (share * slope).sum_to_size(length.shape), None

    @staticmethod
    def jvp(ctx: Any, along_prefix: Tensor | None, along_length: Tensor | None, _: None) -> Tensor:
        steep, slope, total = _Circulation._steepness(ctx)
        moved = torch.zeros_like(steep) if along_prefix is None else steep * along_prefix
        moved = moved if along_length is None else moved + slope * along_length
        return moved.sum(-1, keepdim=True) / total

    @staticmethod
    def _steepness(ctx: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Return how fast the slope of each edge grows with its flow, the slope per length, and the sum of the first.

        Where all flows are 0, so are the derivatives.
        """
        prefix, length, circulation = ctx.saved_tensors[:3]
        phi = prefix - circulation
        steep = length * phi.abs() ** (ctx.rho - 2.0) * ((ctx.rho - 1.0) * ctx.rho)
        return steep, _slope(phi, ctx.rho), steep.sum(-1, keepdim=True).clamp_min(TINY)

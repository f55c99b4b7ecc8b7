"""The gradients of the loss as an operation that torch can differentiate again.

The derivative of the gradient along a direction is the gradient of the derivative along that direction,

    sum_r g_r sum_e length_e * slope(phi_e) * dphi_e,

where dphi is the flow that the direction makes. On a chain or tree flows are prefix sums of the histograms, or
differences of two, so the formula takes O(n) a row, in plain torch and float64, and torch differentiates it. On a ring
they are prefix sums less the circulation, which follows the prefix sums and the lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from .. import threads
from ..spaces.base import Space

HALVINGS = 64  # bisections, after which the ends of a bracket around a circulation are equal in float64
NUMPY_DTYPES = (torch.float32, torch.float64)  # numpy multiplies these as fast as torch
TINY = float(np.finfo(np.float64).tiny)


def scale(
    g: Tensor | float,
    grad: Tensor,
    by_length: Tensor,
    wanted: Sequence[bool],
    label_smoothing: float,
    *,
    in_place: bool,
) -> tuple[Tensor, ...]:
    """Return the wanted gradients with respect to input, target and lengths; g is the gradient of the rows' values."""
    factor = g if isinstance(g, float) else g.unsqueeze(-1)
    try:
        if in_place and isinstance(g, float) and grad.dtype in NUMPY_DTYPES:
            _multiply(grad, g)
        else:
            grad = grad.mul_(factor) if in_place else (grad * factor).to(grad.dtype)
    except RuntimeError:  # under vmap, as is_grads_batched uses it, g has an axis more than grad
        grad = (grad * factor).to(grad.dtype)
    answer = [grad] if wanted[0] else []
    if wanted[1]:
        answer.append(grad * (label_smoothing - 1.0))
    if wanted[2]:
        answer.append((by_length * factor).sum_to_size(by_length.shape[-1:]))
    return tuple(answer)


def _multiply(x: Tensor, factor: float) -> None:
    """Multiply in place with fastemd's threads: torch's would spin for a while and delay the next kernel."""
    flat = x.view(-1).numpy()  # view, not reshape: a copy would be multiplied instead

    def work(first: int, last: int) -> None:
        np.multiply(flat[first:last], factor, out=flat[first:last])

    threads.share(work, len(flat), 16, len(flat))


class Scaled(torch.autograd.Function):
    """`scale`, and its gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        g: Tensor,
        input: Tensor,
        target: Tensor,
        lengths: Tensor | None,
        grad: Tensor,
        by_length: Tensor,
        wanted: tuple[bool, ...],
        space: Space,
        rho: float,
        from_logits: bool,
        label_smoothing: float,
    ) -> tuple[Tensor, ...]:
        """Return the gradients."""
        return scale(g, grad, by_length, wanted, label_smoothing, in_place=False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Save the inputs of the gradients."""
        ctx.save_for_backward(*inputs[:4])
        ctx.wanted, *ctx.options = inputs[6:]

    @staticmethod
    def backward(ctx: Any, *directions: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the derivative along the directions."""
        rho = ctx.options[1]
        if rho < 2:
            raise RuntimeError(
                f"emd_loss with rho={rho:g} has no second derivative: where an edge has no flow, its slope "
                f"{'jumps' if rho == 1 else 'grows infinitely fast'}. Needed: rho of at least 2 to differentiate twice."
            )
        each = iter(directions)
        u, v, w = (next(each) if want else None for want in ctx.wanted)
        g, input, target, lengths = ctx.saved_tensors
        variables = [x for x in (g, input, target, lengths) if x is not None and x.is_floating_point()]

        def directional(*variables: Tensor) -> Tensor:
            left = list(variables)
            point = [left.pop(0) if x is not None and x.is_floating_point() else x for x in ctx.saved_tensors]
            return _derivative(point, (u, v, w), *ctx.options)

        found = list(torch.func.grad(directional, tuple(range(len(variables))))(*variables))
        answer = [
            found.pop(0) if x is not None and x.is_floating_point() else None for x in (g, input, target, lengths)
        ]
        return *answer, *(None for _ in range(7))


def _derivative(
    point: Sequence[Any],
    directions: tuple[Tensor | None, Tensor | None, Tensor | None],
    space: Space,
    rho: float,
    from_logits: bool,
    label_smoothing: float,
) -> Tensor:
    """Return the derivative of ``sum(g * values)`` where input, target and lengths move along the directions."""
    g, input, target, lengths = point
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
    return (g * rows).sum()


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
    if space.kind == "ring":
        return difference.cumsum(-1)
    if space.kind == "chain":
        return difference.cumsum(-1)[..., :-1]
    bin_at, first, beyond = (torch.as_tensor(index, device=difference.device) for index in _subtrees(space))
    sums = pad(pad(difference, (0, 1)).index_select(-1, bin_at).cumsum(-1), (1, 0))
    return sums.index_select(-1, beyond) - sums.index_select(-1, first)


def _subtrees(space: Space) -> tuple[np.ndarray, ...]:
    """Return the bin at each position of a tree (or n), and the first and last + 1 position below each edge."""
    if "torch subtrees" not in space.kept:
        up, _, place, edge = space.arrays  # type: ignore[attr-defined]
        beyond = np.arange(1, len(up) + 1)
        for k in range(len(up) - 1, 0, -1):
            beyond[up[k]] = max(beyond[up[k]], beyond[k])
        beyond[0] = 0  # no edge is above the root
        bin_at = np.full(len(up), space.n)
        bin_at[place] = np.arange(space.n)
        space.kept["torch subtrees"] = bin_at, edge.copy(), beyond[edge]
    found: tuple[np.ndarray, ...] = space.kept["torch subtrees"]
    return found


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

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        prefix, length, circulation = ctx.saved_tensors
        phi = prefix - circulation
        steep = length * phi.abs() ** (ctx.rho - 2.0) * ((ctx.rho - 1.0) * ctx.rho)
        share = g / steep.sum(-1, keepdim=True).clamp_min(TINY)  # where all flows are 0, the gradient is 0 too
        return share * steep, (share * _slope(phi, ctx.rho)).sum_to_size(length.shape), None

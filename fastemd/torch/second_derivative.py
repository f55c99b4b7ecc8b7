"""The gradients of the loss as an operation that torch can differentiate again.

The derivative of the gradient along a direction is the gradient of the derivative along that direction,

    sum_r g_r sum_e length_e * slope(phi_e) * dphi_e,

where dphi is the flow that the direction makes, see `row_derivatives`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import threads
from ..spaces.base import Space
from .row_derivatives import derivatives

NUMPY_DTYPES = (torch.float32, torch.float64)  # numpy multiplies these as fast as torch


def scale(
    g: Tensor | float,
    grad: Tensor,
    by_length: Tensor,
    wanted: frozenset[int],
    label_smoothing: float,
    *,
    in_place: bool,
) -> tuple[Tensor, ...]:
    """Return the wanted gradients with respect to input (0), target (1) and lengths (2).

    g is the gradient of the rows' values. `wanted` is a set, since torch's rules for vmap would take a tuple apart.
    """
    factor = g if isinstance(g, float) else g.unsqueeze(-1)
    try:
        if in_place and isinstance(g, float) and grad.dtype in NUMPY_DTYPES:
            _multiply(grad, g)
        else:
            grad = grad.mul_(factor) if in_place else (grad * factor).to(grad.dtype)
    except RuntimeError:  # under vmap, as is_grads_batched uses it, g has an axis more than grad
        grad = (grad * factor).to(grad.dtype)
    answer = [grad] if 0 in wanted else []
    if 1 in wanted:
        answer.append(grad * (label_smoothing - 1.0))
    if 2 in wanted:
        answer.append((by_length * factor).sum_to_size(by_length.shape[-1:]))
    return tuple(answer)


def _multiply(x: Tensor, factor: float) -> None:
    """Multiply in place with fastemd's threads: torch's would spin for a while and delay the next kernel."""
    flat = x.view(-1).numpy()  # view, not reshape: a copy would be multiplied instead

    def work(first: int, last: int) -> None:
        np.multiply(flat[first:last], factor, out=flat[first:last])

    threads.share(work, len(flat), 16, len(flat))


class Scaled(torch.autograd.Function):
    """`scale`, and its derivatives."""

    @staticmethod
    def forward(
        g: Tensor,
        input: Tensor,
        target: Tensor,
        lengths: Tensor | None,
        grad: Tensor,
        by_length: Tensor,
        wanted: frozenset[int],
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
        ctx.save_for_forward(*inputs[:6])
        ctx.wanted, *ctx.options = inputs[6:]

    @staticmethod
    def backward(ctx: Any, *directions: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the derivative along the directions."""
        each = iter(directions)
        along = _centred([next(each) if k in ctx.wanted else None for k in range(3)], ctx.options[2])
        return *_gradient_of_derivative(ctx.saved_tensors[:4], along, ctx.options), *(None for _ in range(7))

    @staticmethod
    def jvp(ctx: Any, g_tangent: Tensor | None, *tangents: Tensor | None) -> tuple[Tensor, ...]:
        """Return the derivative of the gradients along the tangents: that matrix is symmetric."""
        *point, grad, by_length = ctx.saved_tensors
        along = [x if x is None or x.is_floating_point() else None for x in tangents[:3]]
        moved = _centred(_gradient_of_derivative(point, along, ctx.options)[1:], ctx.options[2])
        found = [moved[k] for k in sorted(ctx.wanted)]
        if g_tangent is not None:
            scaled = scale(g_tangent, grad, by_length, ctx.wanted, ctx.options[3], in_place=False)
            found = [y if x is None else x + y for x, y in zip(found, scaled, strict=True)]
        return tuple(found)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        """Return the gradients under torch.func.vmap."""
        return _mapped(Scaled.apply, info, in_dims, args, 6, args[3] is None)


class Directional(torch.autograd.Function):
    """The derivative of each row's value along directions of input, target and lengths, from the kernel's gradients."""

    @staticmethod
    def forward(
        input: Tensor,
        target: Tensor,
        lengths: Tensor | None,
        u: Tensor | None,
        v: Tensor | None,
        w: Tensor | None,
        grad: Tensor,
        by_length: Tensor,
        space: Space,
        rho: float,
        from_logits: bool,
        label_smoothing: float,
    ) -> Tensor:
        """Return the derivative of the rows, shape (...)."""
        rows = grad.new_zeros(()) if u is None else (grad * u).sum(-1)
        if v is not None:
            rows = rows + (grad * v).sum(-1) * (label_smoothing - 1.0)
        if w is not None:
            rows = rows + (by_length * w).sum(-1)
        return rows

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save the point and the directions."""
        ctx.save_for_backward(*inputs[:6])
        ctx.save_for_forward(*inputs[:6])
        ctx.options = inputs[8:]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the derivative."""
        function, variables, moves = _directional(ctx)
        found = list(torch.func.vjp(function, *variables)[1](g))
        return *(found.pop(0) if moving else None for moving in moves), *(None for _ in range(6))

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        """Return the derivative of the derivative along tangents."""
        function, variables, moves = _directional(ctx)
        along = [x for x, moving in zip(tangents[:6], moves, strict=True) if moving]
        along = [torch.zeros_like(x) if t is None else t for x, t in zip(variables, along, strict=True)]
        found: Tensor = torch.func.jvp(function, tuple(variables), tuple(along))[1]
        return found

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        """Return the derivative of the rows under torch.func.vmap."""
        return _mapped(Directional.apply, info, in_dims, args, 8, args[2] is None)


def _directional(ctx: Any) -> tuple[Any, list[Tensor], list[bool]]:
    """Return the derivative along directions as a function of the floats of point and directions, and which those are.

    It is plain torch, and float64 inside.
    """
    _check_exponent(ctx.options[1])
    saved = ctx.saved_tensors[:6]
    moves = [x is not None and x.is_floating_point() for x in saved]
    dtype = next(x.dtype for x in saved if x is not None and x.is_floating_point())

    def function(*variables: Tensor) -> Tensor:
        left = list(variables)
        input, target, lengths, *along = (left.pop(0) if moving else x for x, moving in zip(saved, moves, strict=True))
        return derivatives((input, target, lengths), _centred(along, ctx.options[2]), *ctx.options).to(dtype)

    return function, [x for x, moving in zip(saved, moves, strict=True) if moving], moves


def _mapped(
    call: Any, info: Any, in_dims: tuple[int | None, ...], args: tuple[Any, ...], tensors: int, together: bool
) -> tuple[Any, Any]:
    """Return a call under torch.func.vmap: `together` with one axis more of rows, or one call for each."""
    pairs = list(zip(args[:tensors], in_dims[:tensors], strict=True))
    if together:
        moved = [x if x is None else x.unsqueeze(0) if d is None else x.movedim(d, 0) for x, d in pairs]
        found = call(*moved, *args[tensors:])
        if isinstance(found, Tensor):
            return found.expand(info.batch_size, *found.shape[1:]), 0
        return tuple(x.expand(info.batch_size, *x.shape[1:]) for x in found), (0,) * len(found)
    each = [
        call(*(x if d is None else x.select(d, k) for x, d in pairs), *args[tensors:]) for k in range(info.batch_size)
    ]
    if isinstance(each[0], Tensor):
        return torch.stack(each), 0
    stacked = tuple(torch.stack(part) for part in zip(*each, strict=True))
    return stacked, (0,) * len(stacked)


def _centred(parts: Sequence[Tensor | None], from_logits: bool) -> list[Tensor | None]:
    """Return gradients, or directions that meet them, centred over the bins where the kernel's gradients are."""
    input, target, lengths = parts
    input = input if input is None or from_logits else input - input.mean(-1, keepdim=True)
    return [input, None if target is None else target - target.mean(-1, keepdim=True), lengths]


def _check_exponent(rho: float) -> None:
    """Raise if the slopes of edges cannot be differentiated."""
    if rho < 2:
        raise RuntimeError(
            f"emd_loss with rho={rho:g} has no second derivative: where an edge has no flow, its slope "
            f"{'jumps' if rho == 1 else 'grows infinitely fast'}. Needed: rho of at least 2 to differentiate twice."
        )


def _gradient_of_derivative(
    point: Sequence[Tensor | None], along: Sequence[Tensor | None], options: Sequence[Any]
) -> list[Tensor | None]:
    """Return the gradient, with respect to g, input, target and lengths, of the derivative along directions."""
    _check_exponent(options[1])
    moves = [x is not None and x.is_floating_point() for x in point]
    variables = [x for x, moving in zip(point, moves, strict=True) if moving]

    def directional(*variables: Tensor) -> Tensor:
        left = list(variables)
        moved = [left.pop(0) if moving else x for x, moving in zip(point, moves, strict=True)]
        g, *others = moved
        return (g * derivatives(others, along, *options)).sum()

    found = list(torch.func.grad(directional, tuple(range(len(variables))))(*variables))
    return [found.pop(0) if moving else None for moving in moves]

"""The derivative of the gradient of rows, in plain jax.

The value of a row is written as a formula of prefix sums, in O(n), which jax differentiates twice. Around a ring the
prefix sums are less the circulation, at which the slopes sum to 0: it is found by bisection, and a step of Newton's
method from there, which changes nothing, has its derivative.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..spaces.base import Space
from ..spaces.tree import Tree

Array = Any
HALVINGS = 64  # bisections, after which the ends of a bracket around a circulation are equal


def gradient_derivative(space: Space, rho: float, point: tuple[Array, Array], along: tuple[Array, Array]) -> Array:
    """Return the derivative, along directions, of the gradient with respect to the input.

    Parameters
    ----------
    space : Chain, Ring or Tree
    rho : float
    point : pair of array
        Logits (..., n) and classes (...), or probabilities and histograms (..., n).
    along : pair of array
        Directions of both; that of classes is of jax's dtype float0.

    Returns
    -------
    array, shape (..., n)

    Raises
    ------
    ValueError
        For rho below 2.
    """
    if rho < 2:
        raise ValueError(
            f"rho is {rho:g}, where emd_loss has no second derivative: where an edge has no flow, its slope "
            f"{'jumps' if rho == 1 else 'grows infinitely fast'}. Needed: rho of at least 2 to differentiate twice."
        )
    input, target = point
    if not jnp.issubdtype(target.dtype, jnp.integer):
        gradient = jax.grad(lambda a, b: _values(space, rho, a - b).sum())
        moved: Array = jax.jvp(gradient, (input, target), along)[1]
        return moved - moved.mean(-1, keepdims=True)  # the kernel's gradient is centred
    classes = jax.nn.one_hot(target, space.n, dtype=input.dtype)
    gradient = jax.grad(lambda z: _values(space, rho, jax.nn.softmax(z) - classes).sum())
    return jax.jvp(gradient, (input,), along[:1])[1]


def _values(space: Space, rho: float, difference: Array) -> Array:
    """Return the value of each row of differences of histograms."""
    length = jnp.asarray(space.lengths, difference.dtype)
    prefix = difference.cumsum(-1)
    if isinstance(space, Tree):
        bin_at, first, beyond = space.subtrees
        padded = jnp.pad(difference, [(0, 0)] * (difference.ndim - 1) + [(0, 1)])
        sums = jnp.pad(padded[..., bin_at].cumsum(-1), [(0, 0)] * (difference.ndim - 1) + [(1, 0)])
        flow = sums[..., beyond] - sums[..., first]
    elif space.kind == "chain":
        flow = prefix[..., :-1]
    else:
        flow = prefix - _circulation(prefix, length, rho)
    return (length * (flow**2 if rho == 2 else jnp.abs(flow) ** rho)).sum(-1)


def _circulation(prefix: Array, length: Array, rho: float) -> Array:
    """Return the c at which the slopes of prefix - c around a ring sum to 0."""
    total = jnp.maximum(length.sum(), jnp.finfo(length.dtype).tiny)
    if rho == 2:
        return (length * prefix).sum(-1, keepdims=True) / total

    def slopes(c: Array) -> Array:
        flow = prefix - c
        return (length * jnp.sign(flow) * jnp.abs(flow) ** (rho - 1.0)).sum(-1, keepdims=True)

    def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        above = slopes(middle) > 0
        return jnp.where(above, middle, low), jnp.where(above, high, middle)

    bracket = prefix.min(-1, keepdims=True), prefix.max(-1, keepdims=True)
    found = lax.stop_gradient(lax.fori_loop(0, HALVINGS, halve, lax.stop_gradient(bracket))[0])
    steep = (length * jnp.abs(prefix - found) ** (rho - 2.0)).sum(-1, keepdims=True) * (rho - 1.0)
    steep = lax.stop_gradient(steep)
    return found + jnp.where(steep > 0, slopes(found) / jnp.where(steep > 0, steep, 1), 0)

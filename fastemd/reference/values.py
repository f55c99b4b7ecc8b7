"""From flows and potentials to values and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .flows import Array, Space, compared, edge_cost, optimal_flow
from .potentials import less_mean, potential, require_rho, rooted_potential


def emd(a: ArrayLike, b: ArrayLike, space: Space, *, rho: float = 1, mass: str = "equal") -> Any:
    """The exact (`rho = 1`) or relaxed Earth Mover's Distance: `sum_e length_e * |phi_e|**rho`.

    Parameters
    ----------
    a, b, space, mass
        As for `flow`.
    rho : float
        The power of the flow, at least 1.

    Returns
    -------
    float64 or ndarray of float64, shape (...)
        In units of mass**rho times length.

    Raises
    ------
    ValueError
        As `flow`, and for a `rho` that is not a finite number of at least 1.

    Examples
    --------
    >>> from fastemd import Chain, reference
    >>> reference.emd([3, 0, 0, 0], [1, 0, 0, 2], Chain(4))
    np.float64(6.0)
    >>> reference.emd([3, 0, 0, 0], [1, 0, 0, 2], Chain(4), rho=2)
    np.float64(12.0)
    """
    value, _ = emd_value_and_grad(a, b, space, rho=rho, wrt="length", mass=mass)
    return value


def emd_value_and_grad(
    a: ArrayLike,
    b: ArrayLike,
    space: Space,
    *,
    rho: float = 1,
    wrt: str = "a",
    centred: bool = True,
    mass: str = "equal",
) -> tuple[Any, Any]:
    """The value of `emd` and its gradient.

    Parameters
    ----------
    a, b, space, rho, mass
        As for `emd`.
    wrt : {"a", "b", "both", "length"}
        The gradient with respect to `a` is the potential f, to `b` it is -f (to both: a pair), and to the lengths it
        is `|phi_e|**rho`. Where `mass="normalize"` divides a row by its mass M, `a = M p`, the chain rule makes of f
        the gradient `(f - sum(f * p)) / M`.
    centred : bool
        Subtract the mean over the bins, which leaves the gradient along the changes that keep the mass.

    Returns
    -------
    value : float64 or ndarray of float64, shape (...)
    gradient : ndarray of float64, shape (..., n) or for "length" (..., m), or a pair of such
        Where the value has a kink (`rho = 1`, an edge without flow), one of its subgradients.

    Raises
    ------
    ValueError
        As `emd`, and for an unknown `wrt`.

    Examples
    --------
    >>> from fastemd import Chain, reference
    >>> value, gradient = reference.emd_value_and_grad([3, 0, 0, 0], [1, 0, 0, 2], Chain(4))
    >>> gradient
    array([ 1.5,  0.5, -0.5, -1.5])
    """
    require_rho(rho)
    if wrt not in ("a", "b", "both", "length"):
        raise ValueError(f"wrt is {wrt!r}; it must be 'a', 'b', 'both' or 'length'")
    a, b, mass_a, mass_b = compared(a, b, space, mass)
    phi = optimal_flow(a - b, space, rho)
    value = np.sum(edge_cost(phi, space.lengths, rho), axis=-1)
    if wrt == "length":
        return value, np.abs(phi) ** rho

    f = rooted_potential(phi, space, rho)
    gradients = {}
    for name, g, p, divisor in (("a", f, a, mass_a), ("b", -f, b, mass_b)):
        if mass == "normalize":
            g = (g - np.sum(g * p, axis=-1, keepdims=True)) / divisor
        gradients[name] = less_mean(g) if centred else g
    return value, (gradients["a"], gradients["b"]) if wrt == "both" else gradients[wrt]


def emd_with_logits(
    logits: ArrayLike, target: ArrayLike, space: Space, *, rho: float = 1, mass: str = "equal"
) -> tuple[Any, Array]:
    """The value of `emd` between `softmax(logits)` and a target, and its gradient with respect to the logits.

    With `a = softmax(logits)` and the potential f, the gradient is `a * (f - sum(a * f))`.

    Parameters
    ----------
    logits : array_like, shape (..., n)
        Finite numbers of any sign.
    target : array_like
        Integers, shape (...): the class of each row. Else histograms, shape (..., n), of mass 1.
    space, rho, mass
        As for `emd`; `mass` regards a target of histograms.

    Returns
    -------
    value : float64 or ndarray of float64, shape (...)
    gradient : ndarray of float64, shape (..., n)
        Sums to 0 over the bins.

    Raises
    ------
    ValueError
        As `emd`, and for a class that is not the number of a bin.

    Examples
    --------
    >>> from fastemd import Chain, reference
    >>> value, gradient = reference.emd_with_logits([0.0, 0.0, 0.0], 2, Chain(3))
    >>> value, gradient
    (np.float64(1.0), array([ 0.33333333,  0.        , -0.33333333]))
    """
    b = np.asarray(target)
    if np.issubdtype(b.dtype, np.integer):
        if not np.all((b >= 0) & (b < space.n)):
            raise ValueError(f"target names a class outside 0..{space.n - 1}; each must be the number of a bin")
        b = (b[..., np.newaxis] == np.arange(space.n)).astype(np.float64)
    a = softmax(np.asarray(logits, dtype=np.float64))
    value, _ = emd_value_and_grad(a, b, space, rho=rho, wrt="length", mass=mass)
    f = potential(a, b, space, rho=rho, mass=mass)
    return value, a * (f - np.sum(a * f, axis=-1, keepdims=True))


def softmax(logits: Array) -> Array:
    """`exp(z_i) / sum_j exp(z_j)`; the largest logit is taken off first, for no exponential to overflow."""
    weight = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    shares: Array = weight / np.sum(weight, axis=-1, keepdims=True)
    return shares

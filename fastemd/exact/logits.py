"""The distance as a loss on logits."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from ..spaces.base import Space
from .call import logits_problem, output, solve


def emd_with_logits(
    logits: ArrayLike,
    target: ArrayLike,
    space: Space,
    *,
    rho: float = 1,
    mass: str = "equal",
    out: Any = None,
    check: bool = True,
) -> tuple[Any, Any]:
    """Value and gradient of the Earth Mover's Distance between the softmax of logits and a target.

    With ``p = softmax(logits)`` and f the potential of ``emd(p, target)``, the gradient with respect to the logits is
    ``p * (f - sum(p * f))``. It is computed together with the value; no matrix of probabilities is ever stored.

    Parameters
    ----------
    logits : array_like, shape (..., n)
        Real numbers in float16, bfloat16, float32 or float64; -inf gives a class the probability 0.
    target : array_like of integers, shape (...), or of histograms, shape (..., n)
        The class of each row, or a histogram of mass 1 (label smoothing is one). Leading axes broadcast against those
        of the logits. Both may be of other libraries or lie on a CUDA device, as for `emd`.
    space : Chain, Ring or Tree
        Where the classes lie.
    rho : float, optional
        Exponent of the flow, at least 1; 1, the default, as for every function on arrays. 2 trains best in [1]_, and is
        the default of `fastemd.torch.emd_loss` and `fastemd.jax.emd_loss`.
    mass : {"equal", "normalize"}, optional
        "equal": a histogram has mass 1. "normalize": it is divided by its mass.
    out : ndarray, optional
        Receives the gradient.
    check : bool, optional
        True: a bad row raises. False: its answer is NaN.

    Returns
    -------
    value : numpy scalar or ndarray, shape (...)
        EMD_rho of each row.
    grad : ndarray, shape (..., n)
        Gradient with respect to the logits; `out`, if it was given. Each row sums to 0.

    Raises
    ------
    TypeError, ValueError, RuntimeError, MemoryError
        As `emd_value_and_grad`, and for a class that is the number of no bin.

    Notes
    -----
    Time O(n), on trees O(nodes), a row; extra memory O(threads * n).

    References
    ----------
    .. [1] M. Martinez et al., arXiv:1611.07573 (2016).

    Examples
    --------
    >>> import fastemd as fe
    >>> value, grad = fe.emd_with_logits([[0.0, 0.0, 0.0]], [2], fe.Chain(3), rho=2)
    >>> value.round(4), grad.round(4)
    (array([0.5556]), array([[ 0.2963,  0.0741, -0.3704]]))
    """
    problem = logits_problem(logits, target, space, rho, mass)
    grad = output(problem, out, problem.space.n)
    return solve(problem, "logits", grad, check)

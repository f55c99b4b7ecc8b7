"""The public functions of the distance: validate the call, allocate the answer, run a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arrays.inputs import one_of
from ..arrays.inputs import output as checked_output
from ..arrays.sparse import is_sparse
from ..formulas.gradient import CENTRED, EXPECTED, POTENTIAL, UNCENTRED, WRT_A, WRT_B
from ..spaces.base import Space
from . import fast_path
from .call import NO_OUTPUT, answer, check_rows, histogram_problem, output, solve
from .fast_path import EQUAL, FIRST, RAISE
from .logits import emd_with_logits
from .plans import plan
from .sparse import sparse_emd
from .validation import WRT, output_pair

Array = np.ndarray[Any, Any]

__all__ = ["check", "emd", "emd_value_and_grad", "emd_with_logits", "flow", "plan", "potential"]


def emd(
    a: ArrayLike,
    b: ArrayLike,
    space: Space,
    *,
    rho: float = 1,
    mass: str = "equal",
    empty: str = "raise",
    check: bool = True,
) -> Any:
    """Earth Mover's Distance of histograms on a chain, ring or tree.

    ``EMD_rho(a, b) = sum_e length_e * abs(phi_e) ** rho``, where phi_e is the flow that edge e carries in an optimal
    plan. At ``rho=1`` this is the exact Earth Mover's Distance, also known as the Wasserstein-1 distance; at
    ``rho > 1`` it is the *relaxed* EMD of [1]_. rho acts on the flow of an edge; it is not the exponent p of a ground
    cost, as in W_p.

    Parameters
    ----------
    a, b : array_like, shapes (..., n)
        Histograms: masses of the n bins, not negative, in float16, bfloat16 (of ml_dtypes), float32, float64, integers
        or bools. Leading axes are a batch and broadcast against each other; nothing is copied out for that. In host
        memory they are lists, or arrays of numpy, torch, jax, or any library with DLPack or the array API, or frames
        and series of pandas and polars, which hold a histogram a row. Both may lie on a CUDA device, in arrays of cupy,
        torch, numba, jax or any library with the CUDA array interface or DLPack, with any strides; they are used where
        they are, on their library's current stream.
    space : Chain, Ring or Tree
        Where the bins lie.
    rho : float, optional
        Exponent of the flow, at least 1; 1, the default of every function on histograms, is the distance. The losses
        (`fastemd.torch.emd_loss` and others) take 2 by default, which trains better.
    mass : {"equal", "normalize", "root"}, optional
        "equal": the masses of a pair have to agree, within what rounding does to n bins of the coarser dtype.
        "normalize": each row is divided by its mass. "root" (chains and trees): a surplus of one histogram travels to
        the root, on a chain the last bin, and costs its way.
    empty : {"raise", "nan", "zero"}, optional
        What an empty row, whose bins are all 0, is answered beside one that is not, or under ``mass="normalize"``, by
        which it cannot be divided: an error, NaN, or 0 with gradients of 0. No matter for "root". On a device not
        "zero".
    check : bool, optional
        True: a row that is no histogram, or breaks the mass policy, raises. False: the answer of such a row is NaN.

    Returns
    -------
    numpy scalar or ndarray, shape (...)
        The value of each row, in the unit of length times mass ** rho; of the dtype of a and b, where they differ by
        numpy's promotion, float64 for integers. Sums are float64 inside and rounded once. One pair gives a scalar. The
        answer is of the kind of a or, where a is numpy's or a list, of b: a tensor of torch, also for one pair, an
        array of jax, a series with the rows' names. For arrays on a device it lies beside them: of cupy, torch or jax
        if a is, else of numba.

    Raises
    ------
    TypeError
        If an array is of the wrong kind, a tensor requires grad, just one array lies on a device, or two on a device
        differ in dtype.
    ValueError
        If shapes or options do not fit, frames name rows or bins in two orders, devices or streams differ, or, under
        ``check=True``, for the first bad row.
    RuntimeError, MemoryError
        If a CUDA device cannot be used, for a reason that the message gives, or its memory is used up.

    Notes
    -----
    Time O(n) a row on chains and rings, O(nodes) on trees; memory O(threads * n). Rows may be sparse, in scipy's arrays
    and matrices of shape (rows, n), or one of the two arrays; a pair then takes its nonzeros, on a tree each times its
    depth, and nothing is made dense. A row's answer has the same bits
    whatever rows stand beside it and however many threads work. On a device, ``check=False`` waits for nothing (but for
    arrays by DLPack, jax's among them, whose lender cannot see that they are in use), ``check=True`` for the values.

    References
    ----------
    .. [1] M. Martinez, M. Haurilet, Z. Al-Halah, M. Tapaswi, R. Stiefelhagen, "Relaxed Earth Mover's Distances for
       Chain- and Tree-connected Spaces and their use as a Loss Function in Deep Learning", arXiv:1611.07573 (2016).

    Examples
    --------
    >>> import fastemd as fe
    >>> a = [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    >>> b = [0.0, 0.0, 0.5, 0.5]
    >>> fe.emd(a, b, fe.Chain(4))
    array([2. , 0.5])
    >>> fe.emd(a, b, fe.Ring(4), rho=2)
    array([0.5   , 0.1875])
    """
    if mass is EQUAL and empty is RAISE:
        found = fast_path.solve("value", a, b, space, rho, None, check)
        if found is not None:
            return found[0]
    if (hasattr(a, "nnz") or hasattr(b, "nnz")) and (is_sparse(a) or is_sparse(b)):  # few arrays have the attribute
        return sparse_emd(a, b, space, rho, mass, empty, check)
    return solve(histogram_problem(a, b, space, rho, mass, empty), "value", NO_OUTPUT, check)[0]


def emd_value_and_grad(
    a: ArrayLike,
    b: ArrayLike,
    space: Space,
    *,
    rho: float = 1,
    wrt: str = "a",
    centred: bool = True,
    out: Any = None,
    mass: str = "equal",
    empty: str = "raise",
    check: bool = True,
) -> tuple[Any, Any]:
    """Value and gradient of the Earth Mover's Distance, in one go.

    The gradient with respect to a is the potential: f_i is the sum of the slopes
    ``rho * length_e * abs(phi_e) ** (rho - 1) * sign(phi_e)`` over the edges between bin i and the root. With respect
    to b it is -f. With respect to the lengths it is ``abs(phi_e) ** rho``.

    Parameters
    ----------
    a, b, space, rho, mass, empty, check
        As for `emd`.
    wrt : {"a", "b", "both", "length"}, optional
        What the gradient is taken with respect to.
    centred : bool, optional
        True: the gradient less its mean over the bins, which is the gradient along directions that keep the mass. At
        ``rho=1`` it is a Kantorovich potential: ``sum(f * (a - b))`` equals the value. False: the root's potential
        is 0; under ``mass="normalize"`` the exact gradient, ``(f - sum(f * a / mass)) / mass``. No matter for "length".
    out : ndarray, or a pair of them with ``wrt="both"``, optional
        Receives the gradient. A large new array costs page faults that take longer than the kernel. Beside arrays on a
        device it lies there, too, in an array of any library that can be written to.

    Returns
    -------
    value : numpy scalar or ndarray, shape (...)
        As `emd`.
    grad : ndarray, shape (..., n); (..., m) with ``wrt="length"``; a pair with ``wrt="both"``
        `out`, if it was given. At ``rho=1`` a subgradient; where a flow is 0, the slope of the edge is 0 (on a ring
        such edges share what makes the slopes around it sum to 0). A Tree lists one edge a node, the one above it; the
        root has none, and its entry is 0.

    Raises
    ------
    TypeError, ValueError, RuntimeError, MemoryError
        As `emd`, and for an `out` of the wrong shape or dtype, that is read-only or overlaps an input. Where a bad row
        raises, `out` has been written to.

    Notes
    -----
    Time O(n), on trees O(nodes), a row; each input is read once and the gradient written once. On a ring with rho
    other than 1 and 2 the circulation takes some ten passes over the row, which is in cache.

    References
    ----------
    M. Martinez et al., arXiv:1611.07573 (2016), sections 3 and 4.

    Examples
    --------
    >>> import fastemd as fe
    >>> value, grad = fe.emd_value_and_grad([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], fe.Chain(3))
    >>> value, grad
    (np.float64(2.0), array([ 1.,  0., -1.]))
    >>> fe.emd_value_and_grad([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], fe.Chain(3), rho=2, wrt="length")
    (np.float64(2.0), array([1., 1.]))
    """
    if mass is EQUAL and empty is RAISE and wrt is FIRST:
        flags = CENTRED if centred else UNCENTRED, WRT_A
        found = fast_path.solve("gradient", a, b, space, rho, out, check, *flags)
        if found is not None:
            return found
    problem = histogram_problem(a, b, space, rho, mass, empty)
    wrt = one_of(wrt, WRT, "wrt")
    if wrt == "length":
        grad = output(problem, out, problem.space.m, edges=True)
        return solve(problem, "length_gradient", grad, check)
    n = problem.space.n
    baseline = CENTRED if centred else EXPECTED if problem.mass == "normalize" else UNCENTRED
    if wrt != "both":
        grad = output(problem, out, n)
        return solve(problem, "gradient", grad, check, baseline, WRT_B if wrt == "b" else WRT_A)
    outs = (None, None) if out is None else output_pair(out)
    grad_a, grad_b = (output(problem, o, n, f"out[{i}]") for i, o in enumerate(outs))
    if outs[1] is not None:
        checked_output(outs[1], "out[1]", grad_b.array.shape, problem.dtype, {"out[0]": grad_a.array})
    value, found_a = solve(problem, "gradient", grad_a, check, baseline, WRT_A)
    if problem.mass != "normalize" and isinstance(grad_b.array, np.ndarray):
        np.negative(grad_a.array, out=grad_b.array)
        return value, (found_a, answer(problem, grad_b))
    return value, (found_a, solve(problem, "gradient", grad_b, False, baseline, WRT_B)[1])


def flow(
    a: ArrayLike,
    b: ArrayLike,
    space: Space,
    *,
    mass: str = "equal",
    empty: str = "raise",
    out: Any = None,
    check: bool = True,
) -> Array:
    """Flow over each edge that carries a to b at the least cost.

    On a chain the prefix sums of a - b, on a tree the sums of a - b over the subtrees, on a ring the prefix sums less
    their weighted median (the lower one, where there are two).

    Parameters
    ----------
    a, b, space, mass, empty, check
        As for `emd`.
    out : ndarray, optional
        Receives the flow.

    Returns
    -------
    ndarray, shape (..., m)
        phi_e, in the unit of mass: positive where mass moves towards the root, which on a chain and around a ring is
        to the right. A Tree lists one edge a node, the one above it; the root has none, and its entry is 0.

    Raises
    ------
    TypeError, ValueError
        As `emd_value_and_grad`.

    Examples
    --------
    >>> import fastemd as fe
    >>> fe.flow([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], fe.Chain(3))
    array([1., 1.])
    """
    if mass is EQUAL and empty is RAISE:
        found = fast_path.solve("flow", a, b, space, 1, out, check)
        if found is not None:
            return found[1]
    problem = histogram_problem(a, b, space, 1, mass, empty)
    phi = output(problem, out, problem.space.m, edges=True)
    return solve(problem, "flow", phi, check)[1]


def potential(
    a: ArrayLike,
    b: ArrayLike,
    space: Space,
    *,
    rho: float = 1,
    centred: bool = True,
    mass: str = "equal",
    empty: str = "raise",
    out: Any = None,
    check: bool = True,
) -> Array:
    """Potential of each bin: what a unit of mass more in it would cost.

    Unless ``mass="normalize"`` it is the gradient of `emd` with respect to a; with it, the potential of the rows as
    they are once divided by their mass, whose gradient `emd_value_and_grad` gives.

    Parameters
    ----------
    a, b, space, rho, mass, empty, out, check
        As for `emd_value_and_grad`.
    centred : bool, optional
        True: the mean over the bins is 0. False: the potential of the root is 0 (on a ring, of bin 0).

    Returns
    -------
    ndarray, shape (..., n)
        f, in the unit of length times mass ** (rho - 1). At ``rho=1`` it proves the value: no two bins differ by more
        than their distance, and ``sum(f * (a - b))`` equals the value.

    Raises
    ------
    TypeError, ValueError
        As `emd_value_and_grad`.

    Examples
    --------
    >>> import fastemd as fe
    >>> fe.potential([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], fe.Chain(3), centred=False)
    array([2., 1., 0.])
    """
    if mass is EQUAL and empty is RAISE:
        flags = CENTRED if centred else UNCENTRED, POTENTIAL
        found = fast_path.solve("gradient", a, b, space, rho, out, check, *flags)
        if found is not None:
            return found[1]
    problem = histogram_problem(a, b, space, rho, mass, empty)
    f = output(problem, out, problem.space.n)
    return solve(problem, "gradient", f, check, CENTRED if centred else UNCENTRED, POTENTIAL)[1]


def check(a: ArrayLike, b: ArrayLike, space: Space, *, mass: str = "equal") -> None:
    """Raise if a and b are not pairs of histograms on the space; the message names the first bad row.

    Parameters
    ----------
    a, b, space, mass
        As for `emd`.

    Raises
    ------
    TypeError, ValueError
        What `emd` would raise under ``check=True``.

    Notes
    -----
    Plain numpy, a few passes over the data, which are copied to host memory if they lie on a device.

    Examples
    --------
    >>> import fastemd as fe
    >>> fe.check([0.5, 0.5], [1.0, 0.0], fe.Chain(2))
    >>> fe.check([0.5, 0.5], [2.0, 0.0], fe.Chain(2))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: a has mass 1 and b has mass 2. Needed: equal masses, ...
    """
    check_rows(histogram_problem(a, b, space, 1, mass))

"""`emd_loss`: arguments are checked and rows arranged here; kernels compute values and first derivatives.

Kernels are called through `jax.experimental.buffer_callback`: they read XLA's memory and write values and gradient to
it. On a GPU they are queued on XLA's stream, and no number comes to the host. Second derivatives are those of
`second_derivative`.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.buffer_callback import buffer_callback

from ..arrays import device, readers
from ..arrays.inputs import one_of
from ..exact.call import Output, histogram_problem, logits_problem, solve
from ..exact.validation import PLAN_MASSES as MASSES
from ..exact.validation import exponent, space_of
from ..formulas.gradient import CENTRED, WRT_A
from ..formulas.mass import mass_tolerance
from ..spaces.base import Space
from .second_derivative import gradient_derivative

__all__ = ["emd_loss"]

Array = Any
REDUCTIONS = ("mean", "sum", "none")


class _RowCost(NamedTuple):
    """The cost of a row: a static, hashable argument of compiled functions."""

    space: Space
    rho: float
    check: bool
    tolerance: float


def emd_loss(
    input: Array,
    target: Array,
    space: Space,
    *,
    rho: float = 2,
    from_logits: bool = True,
    reduction: str = "mean",
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    mass: str = "equal",
    check: bool = False,
) -> Array:
    """Earth Mover's Distance between predictions and targets, as `fastemd.torch.emd_loss` but with classes last.

    Parameters
    ----------
    input : array, shape (..., n)
        Logits of the n classes, in float16, bfloat16, float32 or float64.
    target : array of integers, shape (...), or of floats, shape (..., n)
        Class indices, or histograms of mass 1.
    space : Chain, Ring or Tree
        Where the classes lie. Under jit it is a constant: close over it, or name it in ``static_argnames``.
    rho : float, optional
        Exponent of the flow, at least 1; 1 is the exact distance. The default is not 1, as for `fastemd.emd`, but 2,
        since this is a loss: the square has gradients that shrink towards the target, and trained best in the paper.
    from_logits : bool, optional
        False: `input` holds probabilities instead, which sum to 1.
    reduction : {"mean", "sum", "none"}, optional
        What is made of the rows. The mean over class indices divides by the sum of the weights of the rows that count,
        the mean over soft targets by the number of rows.
    weight : array, shape (n,), optional
        Weight of each class: a row weighs as much as its class or, with a soft target, as its classes on average.
    ignore_index : int, optional
        Rows of this class do not count, and get no gradient.
    label_smoothing : float, optional
        Share of each target that is distributed evenly over all classes.
    mass : {"equal", "normalize"}, optional
        "equal": histograms have mass 1, within rounding. "normalize": each is divided by its mass, as labels that were
        rounded to a few digits need; the gradient accounts for it.
    check : bool, optional
        False: the answer of a bad row is NaN. True: it raises, which XLA reports as `jax.errors.JaxRuntimeError`.

    Returns
    -------
    jax.Array
        A scalar, or with "none" of shape (...); of the dtype of `input`. NaN for the mean of no rows.

    Raises
    ------
    TypeError, ValueError
        If shapes, dtypes or options do not fit, or for a second derivative at a rho below 2.

    Notes
    -----
    Differentiable in both modes with respect to `input`, a soft `target` and `weight`; a second time for ``rho >= 2``,
    in plain jax, in O(n) a row. At a smaller rho the second derivative is not finite where an edge has no flow, and
    ValueError says so. Inputs are read from XLA's memory, and the gradient is
    written to it; bfloat16 becomes float32 first, since numpy has no bfloat16, and so does
    float16 where there are histograms. On a GPU kernels are queued on XLA's
    stream, which ``check=True`` waits for.

    References
    ----------
    M. Martinez et al., arXiv:1611.07573 (2016).

    Examples
    --------
    >>> import jax, fastemd as fe
    >>> from fastemd.jax import emd_loss
    >>> z, y = jax.numpy.zeros((2, 3), "float32"), jax.numpy.array([0, 1])
    >>> emd_loss(z, y, fe.Chain(3), reduction="none")
    Array([0.5555556 , 0.22222222], dtype=float32)
    """
    space, rho = space_of(space), exponent(rho)
    one_of(reduction, REDUCTIONS, "reduction")
    normalize = one_of(mass, MASSES, "mass") == "normalize"
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing is {label_smoothing}. Needed: between 0.0 and 1.0.")
    input, target = jnp.asarray(input), jnp.asarray(target)
    soft = _is_soft(input, target, space)
    dtype = jnp.promote_types(input.dtype, target.dtype) if soft else input.dtype
    wide = jnp.promote_types(dtype, jnp.float32)
    # The masses of histograms in 16 bits agree within the rounding of 16 bits, also where they are widened below.
    given = [*([] if from_logits else [input.dtype]), *([target.dtype] if soft else [])]
    tolerance = max((_tolerance(each, space.n) for each in given), default=0.0)
    factor: Array = jnp.ones(target.shape[:-1] if soft else target.shape, wide)
    total = factor.size
    if weight is not None:
        weight = jnp.asarray(weight)
        if weight.shape != (space.n,):
            raise ValueError(
                f"weight has shape {weight.shape}. Needed: ({space.n},), a number for each bin of {space!r}."
            )
    if soft:
        factor = factor if weight is None else target @ weight
    else:
        counted = target != ignore_index
        target = jnp.where(counted, target, 0)
        factor = counted * (factor if weight is None else weight[jnp.clip(target, 0, space.n - 1)])
        total = factor.sum()
        if label_smoothing or not from_logits:
            target, soft = jax.nn.one_hot(target, space.n, dtype=wide), True
    if soft or dtype == jnp.bfloat16:  # smoothing and softmax in 16 bits would be off by a percent
        input = input.astype(wide)
    if soft:
        if normalize:
            target = target / target.sum(-1, keepdims=True, dtype=wide)
            input = input if from_logits else input / input.sum(-1, keepdims=True)
        target = target.astype(wide) * (1.0 - label_smoothing) + label_smoothing / space.n
        # Histograms need probabilities, since the target has a gradient too; classes need no matrix of either.
        input = jax.nn.softmax(input) if from_logits else input
    rows = _rows(_RowCost(space, rho, bool(check), tolerance), input, target) * factor
    if reduction == "none":
        return rows.astype(dtype)
    if reduction == "sum":
        return rows.sum().astype(dtype)
    # The mean of nothing is NaN, and has no gradient.
    nothing = jnp.where(total == 0, jnp.nan, 0.0)
    return (rows.sum() / jnp.where(total == 0, 1, total) + nothing).astype(dtype)


def _tolerance(dtype: Any, n: int) -> float:
    """Return by how much, relative to the larger, the masses of two rows of n bins of a dtype may differ."""
    numbers = jnp.finfo(dtype)
    return mass_tolerance(float(numbers.eps), float(numbers.smallest_subnormal), n)


def _is_soft(input: Array, target: Array, space: Space) -> bool:
    """Check shapes and dtypes, and return whether the target holds histograms."""
    if not jnp.issubdtype(input.dtype, jnp.floating):
        raise TypeError(f"input has dtype {input.dtype}. Needed: floats; try input.astype(jax.numpy.float32).")
    if input.ndim == 0 or input.shape[-1] != space.n:
        raise ValueError(f"input has shape {input.shape}. Needed: (..., {space.n}), a class for each bin of {space!r}.")
    soft = bool(jnp.issubdtype(target.dtype, jnp.floating))
    if not soft and not jnp.issubdtype(target.dtype, jnp.integer):
        raise TypeError(f"target has dtype {target.dtype}. Needed: integers, which are classes, or floats.")
    needed = input.shape if soft else input.shape[:-1]
    if target.shape != needed:
        what = "for histograms, or classes as integers" if soft else "for classes, or histograms as floats"
        raise ValueError(f"target has shape {target.shape}. Needed: {needed} {what}.")
    return soft


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _rows(cost: _RowCost, input: Array, target: Array) -> Array:
    """Return the value of each row: of logits against classes, or of probabilities against histograms."""
    return _answers(cost, input, target)[0]


@_rows.defjvp
def _values_and_derivative(cost: _RowCost, point: tuple[Array, Array], along: tuple[Array, Array]) -> Any:
    values, grad = _answers(cost, *point)
    return values, _directional(grad, *along)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _answers(cost: _RowCost, input: Array, target: Array) -> tuple[Array, Array]:
    """Return the values of rows and their gradient with respect to the input."""
    return _call(cost, input, target)


@_answers.defjvp
def _answers_and_derivatives(cost: _RowCost, point: tuple[Array, Array], along: tuple[Array, Array]) -> Any:
    values, grad = _answers(cost, *point)
    moved = gradient_derivative(cost.space, cost.rho, point, along)
    return (values, grad), (_directional(grad, *along), moved)


def _directional(grad: Array, along_input: Array, along_target: Array) -> Array:
    """Return the derivative of the values along directions: the gradient by a histogram is that by the input, negated.

    It is linear in the directions, so JAX transposes it for reverse mode.
    """
    rows = (grad * along_input).sum(-1)
    return rows if along_target.dtype == jax.dtypes.float0 else rows - (grad * along_target).sum(-1)


def _call(cost: _RowCost, input: Array, target: Array) -> tuple[Array, Array]:
    """Return values and the gradient with respect to the input, from the kernel."""
    shapes = jax.ShapeDtypeStruct(input.shape[:-1], input.dtype), jax.ShapeDtypeStruct(input.shape, input.dtype)
    call = buffer_callback(functools.partial(_answer, cost), shapes, vmap_method="expand_dims")
    values, grad = call(input, target)
    return values, grad


class _OnStream:
    """A buffer of XLA on a GPU: its CUDA array interface, with the stream of XLA."""

    def __init__(self, buffer: Any, stream: int) -> None:
        self.__cuda_array_interface__ = {**buffer.__cuda_array_interface__, "stream": stream or device.LEGACY}


def _answer(cost: _RowCost, context: Any, out: tuple[Any, Any], input: Any, target: Any) -> None:
    """Write values and gradient to XLA's memory, in XLA's thread."""
    buffers = (*out, input, target)
    if int(input.__dlpack_device__()[0]) in readers.DEVICES:
        arrays: Any = [readers.read(_OnStream(x, context.stream), "buffer") for x in buffers]
    else:
        arrays = [np.asarray(x) for x in buffers]
    values, grad, x, y = arrays
    if target.dtype.kind in "iu":
        solve(logits_problem(x, y, cost.space, cost.rho, "equal"), "logits", Output(grad), cost.check, values=values)
    else:
        problem = histogram_problem(x, y, cost.space, cost.rho, "equal")
        problem = problem._replace(tolerance=max(problem.tolerance, cost.tolerance))
        solve(problem, "gradient", Output(grad), cost.check, CENTRED, WRT_A, values=values)

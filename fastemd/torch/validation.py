"""Validation of the arguments of the loss: errors of torch's types, in torch's words first."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..exact import validation as exact
from ..formulas.mass import mass_tolerance
from ..spaces.base import Space

REDUCTIONS = ("mean", "sum", "none")


def is_soft(
    input: Any,
    target: Any,
    space: Space,
    reduction: Any,
    weight: Any,
    label_smoothing: float,
    lengths: Any,
) -> bool:
    """Check the metadata of a call, and return whether its target is soft, which means in the shape of the input."""
    for name, x in (("input", input), ("target", target), ("weight", weight), ("lengths", lengths)):
        if x is None and name in ("weight", "lengths"):
            continue
        if not isinstance(x, Tensor):
            raise TypeError(
                f"emd_loss(): argument '{name}' must be Tensor, not {type(x).__name__}. Needed: a tensor; try "
                f"torch.as_tensor({name})."
            )
        if x is not input and x.device != input.device:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but input is on {input.device} and {name} on "
                f"{x.device}. Needed: one device; try {name}.to(input.device)."
            )
    if not input.is_floating_point():
        raise NotImplementedError(
            f"\"emd_loss\" not implemented for '{_kind(input)}'. Needed: an input of floats; try input.float()."
        )
    _check_shapes(input, target, space)
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction!r} is not a valid value for reduction. Needed: one of {REDUCTIONS}.")
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if weight is not None and weight.shape != (space.n,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {space.n} classes or no classes but got weight tensor of "
            f"shape: {list(weight.shape)}. Needed: one number for each bin of {space!r}."
        )
    if lengths is not None and (lengths.shape != (space.m,) or not lengths.is_floating_point()):
        raise RuntimeError(
            f"Expected lengths of shape [{space.m}] and floating point type, one for each edge of {space!r}, got shape "
            f"{list(lengths.shape)} and {_kind(lengths)}."
        )
    return target.shape == input.shape


def _check_shapes(input: Tensor, target: Tensor, space: Space) -> None:
    """Check that the target holds class indices, without the axis of classes, or histograms in the input's shape."""
    shape, target_shape = input.shape, target.shape
    axis = 0 if len(shape) == 1 else 1
    if not shape or shape[axis] != space.n:
        found = f"{shape[axis]} classes in axis {axis}" if shape else "a single number"
        raise ValueError(
            f"Expected input of {space.n} classes, one for each bin of {space!r}, got {found} (shape {list(shape)}). "
            "Needed: shape (n,), (N, n) or (N, n, d1, ...)."
        )
    if target_shape == shape:
        if not target.is_floating_point():
            raise RuntimeError(
                f"Expected floating point type for target with class probabilities, got {_kind(target)}. Needed: "
                "class indices without the axis of classes, or floats; try target.float()."
            )
        return
    needed = (*shape[:axis], *shape[axis + 1 :])
    if len(shape) > 1 and (not target_shape or target_shape[0] != shape[0]):
        found = target_shape[0] if target_shape else "no batch"
        raise ValueError(
            f"Expected input batch_size ({shape[0]}) to match target batch_size ({found}). Needed: a target of shape "
            f"{list(needed)}, or {list(shape)} for histograms."
        )
    if target_shape != needed:
        raise RuntimeError(
            f"Expected target size {list(needed)}, got {list(target_shape)}. Needed: the size of the input without its "
            f"axis of classes, or {list(shape)} for histograms."
        )
    if target.dtype not in (torch.int64, torch.uint8):
        raise RuntimeError(
            f"expected target dtype to be Long or Byte, but got {_kind(target)}. Needed: class indices; try "
            "target.long(); histograms have the shape of the input."
        )


def exponent(rho: Any) -> float:
    """Return `rho`; a tensor becomes a number, which has no gradient."""
    return exact.exponent(rho) if isinstance(rho, Tensor) else rho


def tolerance(dtype: torch.dtype, n: int) -> float:
    """Return by how much, relative to the larger, the masses of two rows of n bins of a dtype may differ."""
    numbers = torch.finfo(dtype)
    return mass_tolerance(numbers.eps, numbers.smallest_normal * numbers.eps, n)


def out_of_bounds(target: int, space: Space) -> IndexError:
    """Return the error for a class that no bin has."""
    return IndexError(
        f"Target {target} is out of bounds. Needed: 0..{space.n - 1}, the bins of {space!r}, or ignore_index."
    )


def learnable(space: Space) -> Tensor:
    """Return the lengths above 0; at least one is needed."""
    lengths = torch.as_tensor(space.lengths[space.lengths > 0])
    if not len(lengths):
        raise ValueError(f"{space!r} has no edge of a length above 0. Needed: one at least, for learn_lengths=True.")
    return lengths


def _kind(x: Tensor) -> str:
    return x.type().rpartition(".")[2].removesuffix("Tensor")

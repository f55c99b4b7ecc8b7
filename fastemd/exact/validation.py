"""Validation of the arguments of a call, data aside.

Each error text names the argument, what came, what is needed, and the mend.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from ..arrays import inputs
from ..arrays.device import AnyArray, DeviceArray
from ..spaces.base import Space

MASSES = ("equal", "normalize", "root")
PLAN_MASSES = ("equal", "normalize")
EMPTY = ("raise", "nan", "zero")
WRT = ("a", "b", "both", "length")


def space_of(space: Any) -> Space:
    """Return `space`, if it is one."""
    if not isinstance(space, Space):
        raise TypeError(
            f"space is of type {type(space).__name__}. Needed: a fastemd.Chain, Ring or Tree, such as fastemd.Chain(n)."
        )
    return space


def mass_policy(mass: Any, space: Space, choices: Collection[str] = MASSES) -> str:
    """Return `mass`, if it is a policy that the space has."""
    policy = inputs.one_of(mass, choices, "mass")
    if policy == "root" and space.kind == "ring":
        raise ValueError("mass is 'root' on a Ring, which has no root. Needed: 'equal' or 'normalize'.")
    return policy


def empty_policy(empty: Any, a: AnyArray) -> str:
    """Return what an empty row is answered, if it is one of the answers that there are for such arrays."""
    found = inputs.one_of(empty, EMPTY, "empty")
    if found == "zero" and isinstance(a, DeviceArray):
        raise ValueError(
            "empty is 'zero' for arrays on a device, whose kernels answer NaN. Needed: 'raise' or 'nan'; replace the "
            "NaN of empty rows by 0 in the answer."
        )
    return found


def exponent(rho: Any) -> float:
    """Return `rho` as a float, which is finite and at least 1."""
    if getattr(rho, "requires_grad", False):
        raise TypeError(
            "rho is a tensor that requires grad, and nothing here is differentiated with respect to rho. Needed: a "
            "number of at least 1; try rho.item()."
        )
    try:
        if isinstance(rho, str | bytes):  # float would read them
            raise TypeError
        number = float(rho)
    except TypeError:
        raise TypeError(f"rho is {rho!r}. Needed: a number of at least 1; rho=1 is the exact distance.") from None
    except OverflowError:
        number = math.inf
    if not 1.0 <= number < math.inf:
        raise ValueError(f"rho is {rho}. Needed: a finite number of at least 1; rho=1 is the exact distance.")
    return number


def options(space: Any, rho: Any, mass: Any, choices: Collection[str] = MASSES) -> tuple[Space, float, str]:
    """Return space, exponent and mass policy, if they are valid."""
    space = space_of(space)
    policy = mass_policy(mass, space, choices)
    return space, exponent(rho), policy


def logits_and_target(logits: Any, target: Any, space: Space) -> tuple[AnyArray, AnyArray, bool]:
    """Return logits (..., n), their target, and whether it holds class indices (...) or histograms (..., n)."""
    z = inputs.as_array(logits, "logits")
    if z.dtype.kind in "iub":
        mend = inputs.conversion(logits, "logits", z, "float32")
        raise TypeError(f"logits has dtype {z.dtype}. Needed: floats; try {mend}.")
    z = inputs.histograms(z, "logits", space)
    y = inputs.as_array(target, "target")
    classes = y.dtype.kind in "iu"
    if y.ndim and y.shape[-1] == space.n > 1:
        if classes and y.ndim == z.ndim:
            mend = inputs.conversion(target, "target", y, z.dtype.name)
            raise ValueError(
                f"target holds integers and has shape {y.shape}, beside logits of shape {z.shape}: one class each, or "
                f"histograms of {space.n} bins. Needed: for histograms, floats; try {mend}. For classes that share a "
                "row of logits, an axis more in the logits; try logits[..., None, :]."
            )
        if not classes and y.shape == z.shape[:-1]:
            mend = inputs.conversion(target, "target", y, "int64")
            raise ValueError(
                f"target holds floats and has shape {y.shape}, beside logits of shape {z.shape}: a class for each row, "
                f"or a histogram of {space.n} bins for all of them. Needed: for classes, integers; try "
                f"{mend}. For a histogram, an axis more; try target[None]."
            )
    if y.ndim and not classes and y.shape == z.shape[:-1] and y.shape[-1] != space.n:
        raise ValueError(
            f"target holds floats, one for each row of logits of shape {z.shape}. Needed: for classes, integers; try "
            f"{inputs.conversion(target, 'target', y, 'int64')}; for histograms, {space.n} bins in the last axis."
        )
    return z, y if classes else inputs.histograms(y, "target", space), classes


def output_pair(out: Any) -> tuple[Any, Any]:
    """Return `out` as the pair of arrays that receives the two gradients of wrt="both"."""
    if not isinstance(out, tuple | list) or len(out) != 2:
        raise TypeError(f"out is of type {type(out).__name__}. Needed with wrt='both': a pair of arrays, for a and b.")
    return out[0], out[1]

"""Compiling ahead."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import DTypeLike

from ..arrays.inputs import named_dtype
from ..spaces import Chain, Ring, Tree
from ..spaces.base import Space
from . import api
from .validation import space_of


def warmup(
    spaces: Iterable[Space] | None = None,
    *,
    dtypes: Iterable[DTypeLike] = (np.float32,),
    rhos: Iterable[float] = (1, 2),
) -> None:
    """Compile kernels ahead, or load them from the cache on disk, so that no later call has to.

    Parameters
    ----------
    spaces : iterable of Chain, Ring or Tree, optional
        Kinds of spaces to prepare; one of each by default.
    dtypes : iterable of dtypes, optional
        float16 uses the kernels of float32, integers those of float64.
    rhos : iterable of float, optional
        1, 2, and any other number for all others.

    Raises
    ------
    TypeError, ValueError
        For what is no space, dtype or rho.

    Notes
    -----
    Compiles `emd`, `emd_value_and_grad`, `flow` and `emd_with_logits`: about a second for each space, dtype and rho
    the first time, milliseconds from the cache. Kernels that are not compiled ahead are compiled when first called.

    Examples
    --------
    >>> import fastemd as fe
    >>> fe.warmup([fe.Chain(10)], rhos=[2])
    """
    if isinstance(spaces, Space):
        raise TypeError(f"spaces is {spaces!r}. Needed: several, or a list of one: [{spaces!r}].")
    chosen = (Chain(2), Ring(2), Tree([-1, 0], [0.0, 1.0])) if spaces is None else tuple(spaces)
    for kind in {space_of(space).kind: space for space in chosen}.values():
        for dtype in dtypes:
            a = np.full(kind.n, 1.0 / kind.n, named_dtype(dtype, "dtypes"))
            api.flow(a, a, kind)
            for rho in rhos:
                api.emd(a, a, kind, rho=rho)
                api.emd_value_and_grad(a, a, kind, rho=rho)
                api.emd_value_and_grad(a, a, kind, rho=rho, wrt="length")
                api.emd_with_logits(a, 0, kind, rho=rho)
                api.emd_with_logits(a, a, kind, rho=rho)

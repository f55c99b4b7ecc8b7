"""Earth Mover's Distance on chains, rings and trees, with its gradient, as fast as memory allows.

>>> import fastemd as fe
>>> float(fe.emd([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], fe.Chain(3)))
2.0

Names are loaded when first used: importing fastemd imports neither numba nor scipy. So are `fastemd.torch` and
`fastemd.jax`, which need torch and jax.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import cuda, plot, reference
    from .barycenters.api import barycenter
    from .bio.distances import unifrac
    from .entropic.api import DivergenceResult, SinkhornResult, SinkhornWarning, sinkhorn, sinkhorn_divergence
    from .exact.api import check, emd, emd_value_and_grad, emd_with_logits, flow, plan, potential
    from .exact.warmup import warmup
    from .pairs.api import embed, nearest, pairwise
    from .points.samples import wasserstein_1d, wasserstein_1d_value_and_grad
    from .points.sliced import tree_sliced
    from .results import BarycenterResult
    from .spaces import Chain, Ring, Tree
    from .threads import get_num_threads, set_num_threads

__version__ = "0.1.0"

_HOMES = {
    "BarycenterResult": "results",
    "Chain": "spaces",
    "DivergenceResult": "results",
    "Ring": "spaces",
    "SinkhornResult": "results",
    "SinkhornWarning": "results",
    "Tree": "spaces",
    "barycenter": "barycenters.api",
    "check": "exact.api",
    "embed": "pairs.api",
    "cuda": "",
    "emd": "exact.api",
    "emd_value_and_grad": "exact.api",
    "emd_with_logits": "exact.api",
    "flow": "exact.api",
    "get_num_threads": "threads",
    "jax": "",
    "nearest": "pairs.api",
    "pairwise": "pairs.api",
    "plan": "exact.api",
    "plot": "",
    "potential": "exact.api",
    "reference": "",
    "set_num_threads": "threads",
    "sinkhorn": "entropic.api",
    "sinkhorn_divergence": "entropic.api",
    "torch": "",
    "unifrac": "bio.distances",
    "tree_sliced": "points.sliced",
    "warmup": "exact.warmup",
    "wasserstein_1d": "points.samples",
    "wasserstein_1d_value_and_grad": "points.samples",
}

__all__ = [
    "BarycenterResult",
    "Chain",
    "DivergenceResult",
    "Ring",
    "SinkhornResult",
    "SinkhornWarning",
    "Tree",
    "barycenter",
    "check",
    "cuda",
    "embed",
    "emd",
    "emd_value_and_grad",
    "emd_with_logits",
    "flow",
    "get_num_threads",
    "nearest",
    "pairwise",
    "plan",
    "plot",
    "potential",
    "reference",
    "set_num_threads",
    "sinkhorn",
    "sinkhorn_divergence",
    "tree_sliced",
    "unifrac",
    "warmup",
    "wasserstein_1d",
    "wasserstein_1d_value_and_grad",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fastemd' has no attribute {name!r}")
    home = _HOMES[name]
    if not home:
        return importlib.import_module(f".{name}", __name__)
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_HOMES})

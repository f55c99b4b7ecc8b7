"""Optional packages: importing them, and what to install where one is missing."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

# Import name: name on PyPI.
DISTRIBUTIONS = {
    "fastemd": "fastemd",
    "numpy": "numpy",
    "numba": "numba",
    "scipy": "scipy",
    "ot": "POT",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
    "rich": "rich",
    "torch": "torch",
    "jax": "jax",
    "ott": "ott-jax",
    "geomloss": "geomloss",
    "skbio": "scikit-bio",
    "biom": "biom-format",
    "unifrac": "unifrac",
}
DEMO = "pip install 'fastemd[demo]'"
IN_DEMO = ("fastemd", "numpy", "numba", "scipy", "ot", "sklearn", "matplotlib", "rich")


class MissingPackageError(ImportError):
    """A package that is not installed; the message says how to install it."""


def missing(module: str) -> str | None:
    """Return what to install for a module, or None if it is there."""
    if importlib.util.find_spec(module) is not None:
        return None
    distribution = DISTRIBUTIONS.get(module, module)
    return f"{distribution} is not installed; needed: {DEMO if module in IN_DEMO else f'pip install {distribution}'}"


def load(module: str) -> ModuleType:
    """Import a module of an optional package.

    Parameters
    ----------
    module : str
        Such as "ot" or "matplotlib.figure".

    Raises
    ------
    MissingPackageError
        If its package is not installed.
    """
    lack = missing(module.partition(".")[0])
    if lack is not None:
        raise MissingPackageError(lack)
    return importlib.import_module(module)

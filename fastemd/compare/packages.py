"""What is installed, in which version, and what to install where something is missing."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
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
# What brings arrays on a device, or takes them: the distributions of which one is enough.
ARRAY_LIBRARIES = {
    "numba-cuda": ("numba-cuda",),
    "cupy": ("cupy-cuda13x", "cupy-cuda12x", "cupy"),
    "torch": ("torch",),
    "jax": ("jax",),
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


def versions() -> dict[str, str | None]:
    """Return the version of each package that a comparison involves, None where it is missing, and Python's."""
    return {"python": platform.python_version()} | versions_of({name: (name,) for name in DISTRIBUTIONS.values()})


def versions_of(names: Mapping[str, Iterable[str]]) -> dict[str, str | None]:
    """Return the version of the first of each name's distributions that is installed, None where there is none."""
    return {name: next(filter(None, map(_version, several)), None) for name, several in names.items()}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def machine() -> dict[str, str | int]:
    """Return what ran the comparison: processor, number of CPUs, and threads that fastemd uses."""
    from .. import threads

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "fastemd threads": threads.get_num_threads(),
    }


def kernel_folder() -> str:
    """Return the folder in which compiled kernels are kept from one process to the next."""
    from ..cpu import compiled

    try:
        # Any function of that folder will do: the folder of the source decides.
        return str(compiled.KernelCache(compiled.array).cache_path)
    except RuntimeError:
        return "none can be written; set NUMBA_CACHE_DIR to a folder that can"


def _processor() -> str:
    """Return the processor's name as the system tells it; Python knows it on few systems."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
            names = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or "unknown"

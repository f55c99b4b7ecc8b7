"""What fastemd runs with here: versions, processor, threads and folders."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from importlib import metadata

PACKAGES = ("fastemd", "numpy", "numba", "scipy")
# Array libraries: for each the distributions of which one is enough.
ARRAY_LIBRARIES = {
    "numba-cuda": ("numba-cuda",),
    "cupy": ("cupy-cuda13x", "cupy-cuda12x", "cupy"),
    "torch": ("torch",),
    "jax": ("jax",),
}


def facts() -> dict[str, str | int]:
    """Return which versions, threads and folders are in use, and whether CUDA is."""
    from .cuda import is_available

    found = versions_of({name: (name,) for name in PACKAGES}) | versions_of(ARRAY_LIBRARIES)
    told: dict[str, str | int] = {"python": platform.python_version()}
    told |= {name: version or "not installed" for name, version in found.items()}
    told |= {**machine(), "kernels kept in": kernel_folder()}
    cuda = is_available()
    told["cuda"] = f"available: {cuda.reason}" if cuda else f"not available: {cuda.reason}"
    return told


def versions_of(names: Mapping[str, Iterable[str]]) -> dict[str, str | None]:
    """Return the version of the first of each name's distributions that is installed, None where there is none."""
    return {name: next(filter(None, map(_version, several)), None) for name, several in names.items()}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def machine() -> dict[str, str | int]:
    """Return the machine: processor, number of CPUs, and threads that fastemd uses."""
    from . import threads

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "fastemd threads": threads.get_num_threads(),
    }


def kernel_folder() -> str:
    """Return the folder in which compiled kernels are kept from one process to the next."""
    from .cpu import compilation

    try:
        # Any function of that folder will do: the folder of the source decides.
        return str(compilation.KernelCache(compilation.array).cache_path)
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

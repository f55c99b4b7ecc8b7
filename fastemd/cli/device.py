"""Rows on a GPU, by cupy."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..arrays.availability import INSTALL, is_available


def device_number(device: str) -> int | None:
    """Return the number of a CUDA device, None for the processor.

    Raises
    ------
    ValueError
        If there is no such device.
    ImportError
        If cupy is not installed.
    """
    if device == "cpu":
        return None
    found = re.fullmatch(r"cuda(?::(\d+))?", device)
    if not found:
        raise ValueError(f"--device {device} is unknown. Needed: cpu, cuda or cuda:1.")
    available = is_available()
    if not available:
        raise ValueError(f"--device {device} cannot be used: {available.reason} Needed: that, or --device cpu.")
    count = _cupy().cuda.runtime.getDeviceCount()
    if int(found[1] or 0) >= count:
        raise ValueError(f"--device {device} is unknown: there are {count} devices. Needed: cuda:{count - 1} or less.")
    return int(found[1] or 0)


def _cupy() -> Any:
    try:
        import cupy
    except ImportError:
        raise ImportError(f"--device needs cupy, which is not installed. Needed: {INSTALL}; or --device cpu.") from None
    return cupy


def to_device(rows: Any, device: int) -> Any:
    """Return rows as an array of cupy on a device."""
    if not isinstance(rows, np.ndarray):
        raise ValueError(
            "The table has sparse rows, which are taken in host memory only. Needed: --device cpu, or a dense table."
        )
    cupy = _cupy()
    with cupy.cuda.Device(device):
        return cupy.asarray(rows)


def to_host(found: Any) -> np.ndarray:
    """Return an array of cupy or numpy as one of numpy."""
    return found if isinstance(found, np.ndarray) else np.asarray(found.get())

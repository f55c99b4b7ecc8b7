"""Whether CUDA can be used here, and if not, why."""

from __future__ import annotations

import importlib.util
from typing import Any

OLDEST = (7, 5)  # compute capability; what the CUDA toolkit 13 compiles for
INSTALL = "pip install 'fastemd[cuda12]' or 'fastemd[cuda13]', after the driver's version"


class Availability:
    """Whether CUDA can be used: true or false, and the reason in words.

    Attributes
    ----------
    reason : str
        What was found, or what is missing and how to mend that.
    """

    def __init__(self, available: bool, reason: str) -> None:
        self._available, self.reason = available, reason

    def __bool__(self) -> bool:
        return self._available

    def __repr__(self) -> str:
        return f"{self._available}: {self.reason}"


def is_available() -> Availability:
    """Say whether arrays on a CUDA device can be handed to fastemd here, and if not, why.

    Returns
    -------
    Availability
        True or False in a condition; its ``reason`` tells in words what was found or is missing.

    Notes
    -----
    Loads numba's CUDA target and the driver, which takes about a second the first time.

    Examples
    --------
    >>> import fastemd as fe
    >>> found = fe.cuda.is_available()
    >>> isinstance(found.reason, str)
    True
    """
    if importlib.util.find_spec("numba_cuda") is None:
        return Availability(False, f"numba-cuda is not installed. Needed: {INSTALL}.")
    try:
        from .driver import SIMULATED, cuda
    except ImportError as error:
        return Availability(False, f"numba-cuda cannot be loaded ({error}). Needed: {INSTALL}.")
    if SIMULATED:
        return Availability(True, "numba simulates a device, as NUMBA_ENABLE_CUDASIM asks for")
    if not cuda.is_available():
        return Availability(False, _missing(cuda))
    names = [_described(device) for device in cuda.gpus]
    newest = max(device.compute_capability for device in cuda.gpus)
    if newest < OLDEST:
        return Availability(
            False, f"{', '.join(names)}: too old a device. Needed: compute capability {OLDEST[0]}.{OLDEST[1]} or later."
        )
    return Availability(True, ", ".join(names))


def _missing(cuda: Any) -> str:
    error = cuda.cuda_error()
    if error:
        return f"no CUDA driver ({' '.join(str(error).split())}). Needed: an NVIDIA GPU and its driver."
    return f"the driver works, but CUDA's compiler was not found. Needed: {INSTALL}."


def _described(device: Any) -> str:
    name = device.name.decode() if isinstance(device.name, bytes) else device.name
    major, minor = device.compute_capability
    return f"device {device.id}: {name}, compute capability {major}.{minor}"

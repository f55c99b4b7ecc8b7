"""Whether there is a CUDA device, asked of the driver itself, before numba is loaded."""

import ctypes
import functools


@functools.cache
def obstacle():
    """Why no CUDA device can be used, or None if one can."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no CUDA driver"
    status, count = driver.cuInit(0), ctypes.c_int()
    if status or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return f"the CUDA driver finds no device (cuInit returned {status})"
    return None

"""The CUDA backend: the functions of fastemd on NVIDIA GPUs.

Hand the public functions arrays that lie on a device (of cupy, torch, numba, jax, or any with the CUDA array interface
or DLPack); this module only says whether that can work here.
"""

from ..arrays.availability import is_available

__all__ = ["is_available"]

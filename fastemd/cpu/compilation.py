"""Compiled kernels: one entry point for each combination of argument types, compiled when first asked for.

Entry points are called directly, past numba's dispatcher. So read-only and writable arrays share one specialisation,
and a whole number `rho` of 1 or 2 is a literal in the compiled code, so the cost of an edge has no branch left.

They are cached on disk beside the package or, where that cannot be written, in the user's cache folder (numba's own
choice; NUMBA_CACHE_DIR overrides it). Where neither can be written, each process compiles them anew. Numba's key of a
cached kernel depends only on the file of the kernel. Ours is a digest of all files in `formulas` and `cpu`, and no
kernel contains code of other files, so a change in `formulas/edge.py` recompiles every kernel.
"""

import contextlib
import functools
import hashlib
import pathlib
from typing import ClassVar

import numpy as np
from numba import typeof, types
from numba.core import caching

PACKAGE = pathlib.Path(__file__).parent.parent


def sources():
    """Return the paths of all files whose code a kernel can contain."""
    return [path for folder in ("formulas", "cpu") for path in sorted((PACKAGE / folder).rglob("*.py"))]


@functools.cache
def digest():
    """Return a digest of the sources of the kernels, in 32 hexadecimal digits."""
    result = hashlib.blake2b(digest_size=16)
    for path in sources():
        result.update(path.read_bytes())
    return result.hexdigest()


def _stamped(locator):
    """Return a subclass of a numba cache locator whose source stamp is our digest."""

    class Stamped(locator):
        def get_source_stamp(self):
            return digest()

    return Stamped


class _KernelFiles(caching.CompileResultCacheImpl):
    _locator_classes: ClassVar = [_stamped(locator) for locator in caching.CompileResultCacheImpl._locator_classes]


class KernelCache(caching.FunctionCache):
    """Numba's cache on disk, with our digest in its key."""

    _impl_class = _KernelFiles


def array(dtype, ndim, layout="A"):
    """Return the numba type of an array, the same for one that is only read and one that is written."""
    return types.Array(typeof(np.dtype(dtype)).dtype, ndim, layout, readonly=False)


@functools.cache
def entry(kernel, signature):
    """Return the compiled code of a kernel, a numba dispatcher, for the argument types `signature`."""
    if not isinstance(kernel._cache, KernelCache):
        with contextlib.suppress(RuntimeError):  # numba raises it where no folder can be written
            kernel._cache = KernelCache(kernel.py_func)
    return kernel.compile(signature)

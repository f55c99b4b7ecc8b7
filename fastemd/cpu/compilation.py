"""Compiled kernels: one entry point for each combination of argument types, compiled when first asked for.

Entry points are called directly, past numba's dispatcher. So read-only and writable arrays share one specialisation,
and a whole number `rho` of 1 or 2 is a literal in the compiled code, so that the law of an edge has no branch left.

They are kept on disk beside the package or, where that cannot be written, in the user's cache folder (numba's own
choice; NUMBA_CACHE_DIR overrides it); where neither can be written they are compiled anew by each process. Numba's key
for a cached kernel knows only the file that the kernel stands in. Ours is a digest of `formulas` and `cpu`, all the
sources that a kernel can contain, so a change in `formulas/edge.py` recompiles every kernel.
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


@functools.cache
def digest():
    """What the sources of the kernels are, in 16 bytes."""
    found = hashlib.blake2b(digest_size=16)
    for folder in ("formulas", "cpu"):
        for source in sorted((PACKAGE / folder).rglob("*.py")):
            found.update(source.read_bytes())
    return found.hexdigest()


def _stamped(locator):
    """A numba cache locator whose stamp is our digest."""

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
    """The numba type of an array that is only read or only written; both are compiled the same."""
    return types.Array(typeof(np.dtype(dtype)).dtype, ndim, layout, readonly=False)


@functools.cache
def entry(kernel, signature):
    """The code of a kernel (what `njit` returned) for the argument types `signature`, to be called with arguments."""
    if not isinstance(kernel._cache, KernelCache):
        with contextlib.suppress(RuntimeError):  # raised where no folder can be written
            kernel._cache = KernelCache(kernel.py_func)
    return kernel.compile(signature)

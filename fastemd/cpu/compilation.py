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
import importlib.resources
import warnings
from typing import ClassVar

import numpy as np
from numba import typeof, types
from numba.core import caching

PACKAGE = importlib.resources.files(__package__.partition(".")[0])  # a folder, or one in a zip file


def sources():
    """Return all files whose code a kernel can contain."""
    return [file for folder in ("formulas", "cpu") for file in _python_files(PACKAGE / folder)]


def _python_files(folder):
    """Yield the Python files of a folder and of those below it, in the order of their names."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _python_files(item)
        elif item.name.endswith(".py"):
            yield item


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
    """Numba's cache on disk, with our digest in its key. A file that cannot be read or written costs a compilation."""

    _impl_class = _KernelFiles

    def load_overload(self, sig, target_context):
        """Return a cached kernel, or None where there is none or its file is damaged."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # which one depends on the bytes of the damaged file
            _warn_once("holds a kernel that cannot be loaded and is compiled anew", self.cache_path, error)
            with contextlib.suppress(Exception):
                self.flush()
            return None

    def save_overload(self, sig, data):
        """Save a compiled kernel, if the disk takes it."""
        try:
            super().save_overload(sig, data)
        except Exception as error:
            _warn_once("cannot keep a compiled kernel, which each process compiles anew", self.cache_path, error)


_warned = set()


def _warn_once(matter, folder, error):
    if matter not in _warned:
        _warned.add(matter)
        warnings.warn(
            f"fastemd's folder of compiled kernels, {folder}, {matter} ({type(error).__name__}: {error}). Answers "
            "are the same. To mend it, delete the files in it that end in .nbi and .nbc, or set NUMBA_CACHE_DIR to a "
            "folder that can be written.",
            RuntimeWarning,
            stacklevel=3,
        )


def array(dtype, ndim, layout="A"):
    """Return the numba type of an array, the same for one that is only read and one that is written."""
    return types.Array(typeof(np.dtype(dtype)).dtype, ndim, layout, readonly=False)


@functools.cache
def entry(kernel, signature):
    """Return the compiled code of a kernel, a numba dispatcher, for the argument types `signature`."""
    if not hasattr(kernel, "compile"):
        raise RuntimeError(
            "numba compiles nothing, since NUMBA_DISABLE_JIT is set. Needed: compiled kernels; unset "
            "NUMBA_DISABLE_JIT, or call the same function of fastemd.reference, which is plain numpy."
        )
    if not isinstance(kernel._cache, KernelCache):
        with contextlib.suppress(RuntimeError):  # numba raises it where no folder can be written
            kernel._cache = KernelCache(kernel.py_func)
    return kernel.compile(signature)

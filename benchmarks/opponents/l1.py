"""A register-tiled C loop of L1 distances, compiled where it is measured: the rate that all pairs are held against."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).with_suffix(".c")
ROWS, PANEL = 6, 32  # of a tile


class NoCompilerError(RuntimeError):
    """The loop cannot be compiled or run here."""


def loop(a: np.ndarray, b: np.ndarray, threads: int) -> Callable[[], np.ndarray]:
    """Return a call that computes the distances of all rows of a (float32, packed beforehand) from all rows of b."""
    function = _compiled()
    parts = threads * ROWS
    a = np.concatenate([a, np.zeros((-len(a) % parts, a.shape[1]), np.float32)])
    b = np.concatenate([b, np.zeros((-len(b) % PANEL, b.shape[1]), np.float32)])
    raw = np.empty(b.size + 16, np.float32)
    start = -(raw.ctypes.data // 4) % 16
    packed = raw[start : start + b.size].reshape(len(b) // PANEL, b.shape[1], PANEL)
    packed[...] = b.reshape(len(b) // PANEL, PANEL, b.shape[1]).transpose(0, 2, 1)
    out = np.empty((len(a), len(b)), np.float32)
    step = len(a) // threads

    def part(number: int) -> None:
        rows = slice(number * step, (number + 1) * step)
        addresses = (x.ctypes.data_as(ctypes.c_void_p) for x in (a[rows], packed, out[rows]))
        function(*addresses, *map(ctypes.c_long, (step, len(b), a.shape[1])))

    pool = ThreadPoolExecutor(threads)

    def call() -> np.ndarray:
        list(pool.map(part, range(threads)))
        return out

    return call


def _compiled() -> Callable[..., None]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    try:
        processor = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        processor = ""
    if compiler is None or "avx512f" not in processor:
        raise NoCompilerError("a C compiler and AVX-512 are needed")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "l1.so"
        words = [compiler, "-O3", "-march=native", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoCompilerError(f"the compiler failed: {done.stderr.strip()[-200:]}")
        function = ctypes.CDLL(str(library)).l1
    function.restype = None
    return function

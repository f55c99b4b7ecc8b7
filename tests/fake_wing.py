"""A stand-in for the CUDA wing and its driver: devices are host memory, and the reference computes.

It proves the host's side of a call end to end: what reaches the wing, and what becomes of what the wing writes.
"""

import contextlib
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
from fake_libraries import NumbaArray, from_bfloat16, installed, state, to_bfloat16, view

import fastemd
from fastemd import device_readers, reference
from fastemd.calls import ANY_SURPLUS
from fastemd.device import BFLOAT16
from fastemd.laws import CENTRED, POTENTIAL, WRT_B

DEVICES = 2


class Reason(SimpleNamespace):
    """Whether there is CUDA, and if not, why."""

    def __bool__(self):
        return self.there


class OutOfMemory(Exception):
    """numba's CudaAPIError."""

    def __str__(self):
        return "[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY"


def read(array):
    return from_bfloat16(view(array)) if array.dtype is BFLOAT16 else view(array)


def write(array, numbers):
    with np.errstate(over="ignore"):
        view(array)[...] = to_bfloat16(numbers) if array.dtype is BFLOAT16 else numbers


def empty(shape, dtype, device):
    memory = np.full(shape, 77, np.uint16 if dtype is BFLOAT16 else dtype)
    state.take(memory, device, OutOfMemory())
    return NumbaArray(memory, device, BFLOAT16 if dtype is BFLOAT16 else None)


def good_rows(job, x, y):
    """Which rows of the batch have an answer."""
    if job.kernel == "logits":
        good = ~np.isnan(x).any(axis=-1)
        return good & ((y >= 0) & (y < job.space.n) if y.ndim < x.ndim else True)
    good = np.ones(np.broadcast_shapes(x.shape[:-1], y.shape[:-1]), bool)
    masses = [z.sum(axis=-1) for z in (x, y)]
    for z in (x, y):
        good = good & (np.isfinite(z) & (z >= 0)).all(axis=-1)
    if any(job.normalized):
        return good & (masses[0] > 0) & (masses[1] > 0)
    return good & (abs(masses[0] - masses[1]) <= job.tolerance * np.maximum(*masses))


def answers(job, x, y):
    """Values, and what is written beside them, of good rows."""
    mass = "root" if job.tolerance == ANY_SURPLUS else "normalize" if any(job.normalized) else "equal"
    options = {"rho": job.rho, "mass": mass}
    if job.kernel == "logits":
        return reference.emd_with_logits(x, y, job.space, **options)
    value, by_length = reference.emd_value_and_grad(x, y, job.space, wrt="length", **options)
    if job.kernel == "flow":
        return value, reference.flow(x, y, job.space, mass=mass)
    if job.kernel != "gradient":
        return value, by_length
    baseline, which = job.flags
    centred = baseline == CENTRED
    if which == POTENTIAL:
        return value, reference.potential(x, y, job.space, centred=centred, **options)
    wrt = "b" if which == WRT_B else "a"
    return value, reference.emd_value_and_grad(x, y, job.space, wrt=wrt, centred=centred, **options)[1]


def run(job, x, y, values, out):
    """Answer rows by the reference, and NaN to a bad row."""
    classes = job.kernel == "logits" and y.dtype.kind in "iu"
    x, y = read(x).astype(np.float64), read(y).astype(np.int64 if classes else np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        good = good_rows(job, x, y)
    if not np.all(good):  # a row that has an answer stands in for each that has none
        x = np.where(good[..., np.newaxis], x, np.eye(1, job.space.n)[0])
        y = np.where(good, y, 0) if classes else np.where(good[..., np.newaxis], y, np.eye(1, job.space.n)[0])
    value, beside = answers(job, x, y)
    write(values, np.where(good, value, np.nan))
    if out is not None:
        write(out, np.where(np.asarray(good)[..., np.newaxis], beside, np.nan))


@contextlib.contextmanager
def machine(monkeypatch, there=True, reason="", compute=run):
    """A machine with the stand-in libraries, two CUDA devices (unless not `there`), and what `compute`s on them."""
    with installed(monkeypatch) as libraries:
        cuda, driver, wing = (ModuleType(f"fastemd.cuda{name}") for name in ("", ".driver", ".wing"))
        cuda.driver, cuda.wing = driver, wing
        cuda.is_available = lambda: Reason(there=there, reason=reason)
        driver.device_of, driver.device_count, driver.empty = libraries.device_of, lambda: DEVICES, empty
        driver.to_host = lambda array: read(array).copy()
        driver.synchronize = lambda device, stream: libraries.settled.append((device, stream))
        wing.run = compute
        for name, module in (("", cuda), (".driver", driver), (".wing", wing)):
            monkeypatch.setitem(sys.modules, f"fastemd.cuda{name}", module)
        monkeypatch.setattr(fastemd, "cuda", cuda, raising=False)
        device_readers._answering.clear()
        yield libraries
        device_readers._answering.clear()

"""A stand-in for the CUDA backend and its driver: devices are host memory, and the reference computes.

It proves the host's side of a call end to end: what reaches the backend, and what becomes of what the backend writes.
"""

import contextlib
from types import SimpleNamespace

import numpy as np

from fastemd import arrays, reference
from fastemd.arrays import availability, device, readers
from fastemd.arrays.device import BFLOAT16
from fastemd.cpu.exact import launch as cpu
from fastemd.exact import call
from fastemd.formulas.gradient import CENTRED, POTENTIAL, WRT_B
from tests.support.fake_libraries import NumbaArray, from_bfloat16, installed, state, to_bfloat16, view

DEVICES = 2


class Reason(SimpleNamespace):
    """Whether there is CUDA, and if not, why."""

    def __bool__(self):
        return self.available


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


def good_rows(problem, a, b):
    """Which rows of the batch have an answer."""
    if problem.logits:
        good = ~np.isnan(a).any(axis=-1)
        return good & ((b >= 0) & (b < problem.space.n) if b.ndim < a.ndim else True)
    good = np.ones(np.broadcast_shapes(a.shape[:-1], b.shape[:-1]), bool)
    masses = [x.sum(axis=-1) for x in (a, b)]
    for x in (a, b):
        good = good & (np.isfinite(x) & (x >= 0)).all(axis=-1)
    if any(problem.normalized):
        return good & (masses[0] > 0) & (masses[1] > 0)
    return good & (abs(masses[0] - masses[1]) <= problem.tolerance * np.maximum(*masses))


def answers(problem, kernel, flags, a, b):
    """Values of good rows, and what is written beside them."""
    space, options = problem.space, {"rho": problem.rho, "mass": problem.mass}
    if problem.logits:
        return reference.emd_with_logits(a, b, space, **options)
    value, by_length = reference.emd_value_and_grad(a, b, space, wrt="length", **options)
    if kernel == "flow":
        return value, reference.flow(a, b, space, mass=problem.mass)
    if kernel != "gradient":
        return value, by_length
    baseline, which = flags
    centred = baseline == CENTRED
    if which == POTENTIAL:
        return value, reference.potential(a, b, space, centred=centred, **options)
    wrt = "b" if which == WRT_B else "a"
    return value, reference.emd_value_and_grad(a, b, space, wrt=wrt, centred=centred, **options)[1]


def solve(problem, kernel, flags, values, out):
    """Answer rows by the reference, and NaN to a bad row."""
    classes = problem.logits and problem.b.dtype.kind in "iu"
    a, b = read(problem.a).astype(np.float64), read(problem.b).astype(np.int64 if classes else np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        good = good_rows(problem, a, b)
    if not np.all(good):  # a row that has an answer stands in for each that has none
        a = np.where(good[..., np.newaxis], a, np.eye(1, problem.space.n)[0])
        b = np.where(good, b, 0) if classes else np.where(good[..., np.newaxis], b, np.eye(1, problem.space.n)[0])
    value, beside = answers(problem, kernel, flags, a, b)
    write(values, np.where(good, value, np.nan))
    if out is not None:
        write(out, np.where(np.asarray(good)[..., np.newaxis], beside, np.nan))
    device.synchronize(problem.a, problem.b)


@contextlib.contextmanager
def machine(monkeypatch, available=True, reason="", compute=solve):
    """A machine with the stand-in libraries and, if CUDA is `available`, two devices on which `compute` answers."""
    with installed(monkeypatch) as libraries:
        driver = SimpleNamespace(device_of=libraries.device_of, device_count=lambda: DEVICES, empty=empty)
        driver.to_host = lambda array: read(array).copy()
        driver.synchronize = lambda device, stream: libraries.synchronized.append((device, stream))
        monkeypatch.setattr(arrays, "driver", driver, raising=False)
        monkeypatch.setattr(availability, "is_available", lambda: Reason(available=available, reason=reason))
        backend = SimpleNamespace(solve=compute)
        monkeypatch.setattr(call, "_backend", lambda on_device: backend if on_device else cpu)
        readers._usable_devices.clear()
        yield libraries

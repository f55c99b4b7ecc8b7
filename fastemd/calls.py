"""What calls with two histograms have in common: checks, a kernel, and a word on the rows that it refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import arguments, device, device_arguments, dispatch, verdicts
from .device import DeviceArray
from .device_arguments import AnyArray

ANY_SURPLUS = 1e300  # as tolerance: no two masses differ by more times the larger


class Pair:
    """Two checked arrays of histograms on a space, and what their answer is like."""

    def __init__(self, a: Any, b: Any, space: Any, rho: Any, mass: Any) -> None:
        self.space = arguments.space_of(space)
        self.mass = arguments.mass_policy(mass, self.space)
        self.rho = arguments.exponent(rho)
        self.a: Any = arguments.histograms(a, "a", self.space)
        self.b: Any = arguments.histograms(b, "b", self.space)
        device_arguments.together(self.a, self.b, ("a", "b"))
        self.dtype = arguments.same_dtype(self.a, self.b, ("a", "b"))
        self.batch = arguments.batch_shape(self.a.shape[:-1], self.b.shape[:-1], ("a", "b"))

    def output(self, out: Any, columns: int, name: str = "out") -> Any:
        """Return `out`, checked, or a new array for an answer of so many columns; a `DeviceArray` beside such."""
        shape = (*self.batch, columns)
        if out is None:
            return empty(self.a, shape, self.dtype)
        return arguments.output(out, name, shape, self.dtype, {"a": self.a, "b": self.b})

    def run(self, kernel: str, out: AnyArray | None, check: bool, *flags: Any) -> Any:
        """Run a kernel and return the values: an array, or for one pair a scalar (on a device, an array of no axes)."""
        values = empty(self.a, self.batch, self.dtype)
        tolerance = ANY_SURPLUS if self.mass == "root" else arguments.tolerated(self.dtype, self.space.n)
        normalized = (self.mass == "normalize",) * 2
        job = dispatch.Job(kernel, self.space, self.rho, tolerance, normalized, flags)
        dispatch.run(job, self.a, self.b, values, out)
        on_device = isinstance(values, DeviceArray)
        if check and np.isnan(found := device.to_host(values) if on_device else values).any():
            self.check_rows()
            verdicts.refuse_the_rest(found)
        return device.given(values) if on_device else values[()]

    def check_rows(self) -> None:
        """Raise ValueError if a row of a or b is bad, after copying both to host memory."""
        a, b = device.to_host(self.a), device.to_host(self.b)
        verdicts.check_histograms(a, b, self.space, self.mass, self.dtype)


def empty(like: AnyArray, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return a new array in the memory that another lies in."""
    if isinstance(like, DeviceArray):
        return device.empty(like, shape, dtype)
    return np.empty(shape, dtype)

"""What calls with two histograms have in common: checks, a kernel, and a word on the rows that it refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import arguments, dispatch, verdicts

Array = np.ndarray[Any, Any]

ANY_SURPLUS = 1e300  # as tolerance: no two masses differ by more times the larger


class Pair:
    """Two checked arrays of histograms on a space, and what their answer is like."""

    def __init__(self, a: Any, b: Any, space: Any, rho: Any, mass: Any) -> None:
        self.space = arguments.space_of(space)
        self.mass = arguments.mass_policy(mass, self.space)
        self.rho = arguments.exponent(rho)
        self.a = arguments.histograms(a, "a", self.space)
        self.b = arguments.histograms(b, "b", self.space)
        self.dtype = arguments.same_dtype(self.a, self.b, ("a", "b"))
        self.batch = arguments.batch_shape(self.a.shape[:-1], self.b.shape[:-1], ("a", "b"))

    def output(self, out: Any, columns: int, name: str = "out") -> Array:
        """Return `out`, checked, or a new array for an answer of so many columns."""
        shape = (*self.batch, columns)
        if out is None:
            return np.empty(shape, self.dtype)
        return arguments.output(out, name, shape, self.dtype, {"a": self.a, "b": self.b})

    def run(self, kernel: str, out: Array | None, check: bool, *flags: Any) -> Any:
        """Run a kernel and return the values: an array, or a scalar for one pair."""
        values = np.empty(self.batch, self.dtype)
        tolerance = ANY_SURPLUS if self.mass == "root" else arguments.tolerated(self.dtype, self.space.n)
        normalized = (self.mass == "normalize",) * 2
        job = dispatch.Job(kernel, self.space, self.rho, tolerance, normalized, flags)
        dispatch.run(job, self.a, self.b, values, out)
        if check and np.isnan(values).any():
            verdicts.check_histograms(self.a, self.b, self.space, self.mass, self.dtype)
            verdicts.refuse_the_rest(values)
        return values[()]

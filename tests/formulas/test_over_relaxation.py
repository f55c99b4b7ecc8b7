"""The over-relaxation of Sinkhorn's iteration: the step rule of one row is that of the CPU for many rows at once."""

import numpy as np
import pytest

from fastemd.cpu.entropic import solver
from fastemd.formulas import over_relaxation


def of_one_row(errors):
    """The over-relaxation after each iteration, by the rule of one row."""
    state = (1.0, over_relaxation.FIRST_WINDOW, float(over_relaxation.WINDOW), np.inf, np.inf, np.inf, np.inf)
    state = (*state[:-1], over_relaxation.LARGEST_OMEGA)
    for count, error in enumerate(errors):
        state = over_relaxation.adapt(float(count), error, *state)
        yield state[0]


def of_many_rows(errors):
    """The same, by `OverRelaxation`, for the columns of `errors`."""
    rule, omega = solver.OverRelaxation(errors.shape[1]), np.ones(errors.shape[1])
    for count, error in enumerate(errors):
        rule.adapt(count, error, omega)
        yield omega.copy()


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.3])
def test_one_row_is_over_relaxed_as_it_is_among_many(noise):
    rng = np.random.default_rng(0)
    factors = rng.choice([0.3, 0.9, 0.99, 0.999, 1.05], 200) * np.exp(noise * rng.normal(size=(120, 200)))
    errors = np.cumprod(factors, axis=0)
    errors[0] = np.inf
    together = np.array(list(of_many_rows(errors)))
    alone = np.array([list(of_one_row(column)) for column in errors.T]).T
    np.testing.assert_allclose(alone, together, rtol=1e-12, atol=0)
    assert len(np.unique(together)) > 20


@pytest.mark.parametrize("begin", [1.0, 0.9])
def test_errors_that_stay_flat_are_not_over_relaxed_whichever_way_rounding_turns_them(begin):
    rng = np.random.default_rng(2)
    falling = np.cumprod(np.full((30, 100), begin), axis=0)
    flat = falling[-1] * (1.0 + rng.uniform(-1e-14, 1e-14, size=(90, 100)))
    errors = np.concatenate([falling, flat])
    for omega in (np.array(list(of_many_rows(errors))), np.array([list(of_one_row(column)) for column in errors.T]).T):
        np.testing.assert_array_equal(omega, omega[:, :1] + np.zeros_like(omega))
        np.testing.assert_array_equal(omega[-1], 1.0)

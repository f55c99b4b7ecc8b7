"""Rows of so many bins that the lanes lie along them are answered as short ones are."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import fastemd as fe
from fastemd import reference
from fastemd.cpu.exact import launch
from fastemd.cpu.exact.long_chain import FIELDS, PIECE
from fastemd.spaces import Chain
from tests.support.kernel_problems import (
    calls,
    exponents,
    gradient_scale,
    moved,
    near,
    potential_slack,
    sentinels,
    total_mass,
    value_slack,
)

quick = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
SIZES = [PIECE - 1, PIECE, PIECE + 1, PIECE + 64, 2 * PIECE + 63, 2 * PIECE + 65]


@pytest.fixture(autouse=True)
def long(monkeypatch):
    """Let every row of a chain be a long one."""
    monkeypatch.setitem(launch.LONG, "chain", 1)


def whole_rows(n, rows=3, dtype=np.float64, seed=0):
    """Rows of whole numbers, whose flows and sums are exact."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 9, (rows, n))
    return a.astype(dtype), rng.permuted(a, axis=-1).astype(dtype)


@quick
@given(calls(kind=Chain, most=200, policies=("equal", "normalize", "root")), exponents)
def test_values_and_gradients_are_the_references(call, rho):
    space, a, b, mass = call
    assume(rho > 1 or mass != "normalize")  # there rounding decides the sign of a flow that is 0
    largest = total_mass(a, b, mass)
    value, grad = fe.emd_value_and_grad(a, b, space, rho=rho, mass=mass)
    near(value, reference.emd(a, b, space, rho=rho, mass=mass), value_slack(space, largest, rho))
    np.testing.assert_array_equal(fe.emd(a, b, space, rho=rho, mass=mass), value)
    slack = potential_slack(space, a, b, rho, mass) * gradient_scale(a, b, mass)
    near(grad, reference.emd_value_and_grad(a, b, space, rho=rho, mass=mass)[1], slack)


@quick
@given(calls(kind=Chain, most=200, policies=("equal", "normalize", "root")), exponents, st.sampled_from("ab"))
def test_uncentred_gradients_are_the_references(call, rho, wrt):
    space, a, b, mass = call
    assume(rho > 1 or mass != "normalize")  # there rounding decides the sign of a flow that is 0
    options = {"rho": rho, "mass": mass, "wrt": wrt, "centred": False}
    slack = 2 * potential_slack(space, a, b, rho, mass) * gradient_scale(a, b, mass)
    expected = reference.emd_value_and_grad(a, b, space, **options)[1]
    near(fe.emd_value_and_grad(a, b, space, **options)[1], expected, slack)


@quick
@given(calls(kind=Chain, most=200, policies=("equal", "normalize", "root")), st.sampled_from([1, 2]))
def test_flows_and_length_gradients_are_the_references(call, rho):
    space, a, b, mass = call
    assume(rho > 1 or mass != "normalize")  # there rounding decides the sign of a flow that is 0
    largest = total_mass(a, b, mass)
    near(fe.flow(a, b, space, mass=mass), reference.flow(a, b, space, mass=mass), moved(space, largest))
    options = {"rho": rho, "mass": mass, "wrt": "length"}
    expected = reference.emd_value_and_grad(a, b, space, **options)[1]
    near(fe.emd_value_and_grad(a, b, space, **options)[1], expected, rho * moved(space, largest**rho))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_some_pieces_are_answered_exactly(n, varies, dtype):
    a, b = whole_rows(n, dtype=dtype)
    lengths = np.random.default_rng(1).integers(1, 5, n - 1) if varies else np.ones(n - 1)
    space = Chain(positions=np.append(0, np.cumsum(lengths)))
    phi = np.cumsum(a - b, axis=-1, dtype=np.float64)[:, :-1]
    f = np.append(np.zeros((3, 1)), -np.cumsum(lengths * np.sign(phi), axis=-1), axis=-1)
    out = sentinels((3, n), dtype)
    value, grad = fe.emd_value_and_grad(a, b, space, out=out)
    near(value, (lengths * abs(phi)).sum(-1), value_slack(space, float(a.sum(-1).max()), 1))
    assert grad is out
    near(grad, f - f.mean(-1, keepdims=True), moved(space, 1.0, float(space.lengths.sum())))
    np.testing.assert_array_equal(fe.potential(a, b, space, centred=False), (f - f[:, -1:]).astype(dtype))
    np.testing.assert_array_equal(fe.flow(a, b, space, out=sentinels(phi.shape, dtype)), phi.astype(dtype))


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_rows_bits_depend_neither_on_threads_nor_on_rows(count, rows, monkeypatch):
    n = 3 * PIECE + 1
    rng = np.random.default_rng(2)
    a, b = (rng.dirichlet(np.ones(n), rows) for _ in "ab")
    space = Chain(positions=np.cumsum(rng.random(n)))
    alone = [fe.emd_value_and_grad(x, y, space) for x, y in zip(a, b, strict=True)]
    monkeypatch.setattr("fastemd.threads.PARALLEL", 1)
    monkeypatch.setattr("fastemd.threads.get_num_threads", lambda: count)
    value, grad = fe.emd_value_and_grad(a, b, space)
    np.testing.assert_array_equal(value, [each for each, _ in alone])
    np.testing.assert_array_equal(grad, [each for _, each in alone])
    np.testing.assert_array_equal(fe.emd(a, b, space), value)
    np.testing.assert_array_equal(fe.flow(a, b, space), [fe.flow(x, y, space) for x, y in zip(a, b, strict=True)])


@pytest.mark.parametrize("poison", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize("place", [0, PIECE, -1])
def test_a_bad_row_is_nan_alone(poison, place):
    a, b = whole_rows(PIECE + 7)
    space = Chain(PIECE + 7)
    value, grad = fe.emd_value_and_grad(a, b, space)
    phi = fe.flow(a, b, space)
    bad = a.copy()
    bad[1, place] = poison
    found, found_grad = fe.emd_value_and_grad(bad, b, space, check=False)
    found_phi = fe.flow(bad, b, space, check=False)
    for got, expected in ((found, value), (found_grad, grad), (found_phi, phi)):
        assert np.isnan(got[1]).all()
        np.testing.assert_array_equal(got[[0, 2]], expected[[0, 2]])
    with pytest.raises(ValueError, match=r"a\[1"):
        fe.emd(bad, b, space)


def test_masses_that_differ_are_refused():
    a, b = whole_rows(PIECE + 7)
    a[2, 5] += 1
    with pytest.raises(ValueError, match=r"a\[2\].* has mass .* and b\[2\].* has mass"):
        fe.emd(a, b, Chain(PIECE + 7))


@pytest.mark.parametrize(("n", "scratch"), [(499, 8 * 504), (500, FIELDS)])
@pytest.mark.parametrize("rows", [1, 9])
def test_the_number_of_bins_alone_decides(n, scratch, rows, monkeypatch):
    monkeypatch.setitem(launch.LONG, "chain", 500)
    space = Chain(n)
    fe.emd(*whole_rows(n, rows), space)
    (config,) = (kept for key, kept in space.kept.items() if key[:2] == ("cpu", "value"))
    assert config.scratch == scratch

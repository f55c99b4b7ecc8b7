"""On a device every public function answers as the reference does, for every space, dtype, batch, exponent and mass."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fastemd import reference
from fastemd.reference.values import softmax
from fastemd.spaces import Chain, Ring, Tree
from tests.support.kernel_problems import (
    FLOATS,
    POLICIES,
    answer_dtype,
    calls,
    exponents,
    gradient_scale,
    logit_calls,
    moved,
    near,
    potential_slack,
    total_mass,
    value_slack,
)

KINDS = pytest.mark.parametrize("kind", [Chain, Ring, Tree])
BATCHES = (((), ()), ((1,), ()), ((), (3,)), ((9,), (9,)), ((2, 1), (1, 2)), ((2, 3), (3,)), ((2, 1, 2), (2, 1)))
# A simulated thread is a thread of Python: fewer examples than on the CPU.
few = settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def drawn(data, kind, policies=POLICIES):
    return data.draw(calls(kind, batches=BATCHES, most=80, policies=policies))


@KINDS
@few
@given(data=st.data(), rho=exponents)
def test_value_is_the_references(adapter, kind, data, rho):
    space, a, b, mass = drawn(data, kind)
    value = adapter.emd(a, b, space, rho=rho, mass=mass)
    assert value.dtype == answer_dtype(a)
    near(value, reference.emd(a, b, space, rho=rho, mass=mass), value_slack(space, total_mass(a, b, mass), rho))


@KINDS
@pytest.mark.parametrize("centred", [True, False])
@few
@given(data=st.data(), rho=exponents)
def test_gradient_is_the_references(adapter, kind, centred, data, rho):
    space, a, b, mass = drawn(data, kind)
    wrt = data.draw(st.sampled_from(["a", "b"]))
    options = {"rho": rho, "wrt": wrt, "centred": centred, "mass": mass}
    expected_value, expected = reference.emd_value_and_grad(a, b, space, **options)
    value, grad = adapter.emd_value_and_grad(a, b, space, **options)
    near(value, expected_value, value_slack(space, total_mass(a, b, mass), rho))
    near(grad, expected, potential_slack(space, a, b, rho, mass) * gradient_scale(a, b, mass))


@few
@given(data=st.data(), rho=exponents)
def test_both_gradients_are_the_two_asked_for_one_by_one(adapter, data, rho):
    space, a, b, mass = drawn(data, None)
    value, (by_a, by_b) = adapter.emd_value_and_grad(a, b, space, rho=rho, wrt="both", mass=mass)
    for wrt, grad in (("a", by_a), ("b", by_b)):
        again, expected = adapter.emd_value_and_grad(a, b, space, rho=rho, wrt=wrt, mass=mass)
        np.testing.assert_array_equal(value, again)
        np.testing.assert_array_equal(grad, expected)


@KINDS
@few
@given(data=st.data(), rho=exponents)
def test_length_gradient_is_the_references(adapter, kind, data, rho):
    # Just above 1 rounding decides which circulation of a ring is the best: values agree, flows need not.
    assume(kind is not Ring or rho == 1 or rho >= 1.125)
    space, a, b, mass = drawn(data, kind)
    expected_value, expected = reference.emd_value_and_grad(a, b, space, rho=rho, wrt="length", mass=mass)
    value, grad = adapter.emd_value_and_grad(a, b, space, rho=rho, wrt="length", mass=mass)
    largest = total_mass(a, b, mass)
    near(value, expected_value, value_slack(space, largest, rho))
    near(grad, expected, rho * moved(space, largest**rho))


@KINDS
@few
@given(data=st.data())
def test_flow_is_the_references(adapter, kind, data):
    space, a, b, mass = drawn(data, kind)
    phi = adapter.flow(a, b, space, mass=mass)
    near(phi, reference.flow(a, b, space, mass=mass), moved(space, total_mass(a, b, mass)))


@KINDS
@few
@given(data=st.data(), rho=exponents, centred=st.booleans())
def test_potential_is_the_references(adapter, kind, data, rho, centred):
    space, a, b, mass = drawn(data, kind)
    f = adapter.potential(a, b, space, rho=rho, centred=centred, mass=mass)
    expected = reference.potential(a, b, space, rho=rho, centred=centred, mass=mass)
    near(f, expected, potential_slack(space, a, b, rho, mass))


@pytest.mark.parametrize("soft", [False, True])
@few
@given(data=st.data(), rho=exponents)
def test_logits_are_answered_as_by_the_reference(adapter, soft, data, rho):
    space, logits, target = data.draw(logit_calls(soft))
    expected_value, expected = reference.emd_with_logits(logits, target, space, rho=rho)
    value, grad = adapter.emd_with_logits(logits, target, space, rho=rho)
    near(value, expected_value, value_slack(space, 1.0, rho))
    p = softmax(logits.astype(np.float64))
    aim = target if soft else np.eye(space.n)[target]
    near(grad, expected, 2 * p * potential_slack(space, p, aim, rho, off=moved(space, 1.0)))


@few
@given(call=logit_calls(True), rho=exponents, factor=st.sampled_from([0.25, 3.0]))
def test_target_of_logits_is_divided_by_its_mass_under_normalize(adapter, call, rho, factor):
    space, logits, target = call
    target = (factor * target).astype(logits.dtype)
    value, _ = adapter.emd_with_logits(logits, target, space, rho=rho, mass="normalize")
    expected, _ = reference.emd_with_logits(logits, target, space, rho=rho, mass="normalize")
    near(value, expected, value_slack(space, 1.0, rho))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("make", [Chain, Ring, lambda n: Tree(np.arange(-1, n - 1), np.ones(n))])
def test_every_number_of_bins_beside_the_border_of_a_lane_team_and_tile_is_answered(adapter, make, dtype):
    rng = np.random.default_rng(0)
    for n in (1, 3, 4, 5, 8, 9, 15, 16, 17, 31, 32, 33, 65):
        a = rng.integers(0, 9, (3, n)).astype(dtype)
        b = rng.permuted(a, axis=-1)
        space = make(n)
        value, grad = adapter.emd_value_and_grad(a, b, space, rho=2)
        expected_value, expected = reference.emd_value_and_grad(a, b, space, rho=2)
        near(value, expected_value, value_slack(space, total_mass(a, b), 2))
        near(grad, expected, potential_slack(space, a, b, 2))

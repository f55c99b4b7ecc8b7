"""Arrays on a device in place: strides of any kind, alignment, broadcasting, bfloat16, `out`, and the same bits."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastemd as fe
from fastemd import reference
from fastemd.spaces import Chain, Ring, Tree
from tests.support.fake_libraries import from_bfloat16, to_bfloat16
from tests.support.kernel_problems import near, potential_slack, sentinels, total_mass, value_slack

SPACES = {
    "chain": Chain(37),
    "ring": Ring(37),
    "tree": Tree((np.arange(60) - 1) // 2, np.arange(60.0), np.arange(23, 60)),
}
EVERY_SPACE = pytest.mark.parametrize("kind", SPACES)

# Parts of a larger array: every other column, columns and rows backwards, an odd start, columns first.
VIEWS = {
    "every other column": (np.s_[:, 1::2], (5, 75)),
    "backwards": (np.s_[::-1, ::-1], (5, 37)),
    "from an odd column on": (np.s_[:, 1:38], (5, 40)),
    "rows far apart": (np.s_[::3, :37], (15, 41)),
    "columns first": (np.s_[:, :], (37, 5)),
    "one row for all": (np.s_[:1, :37], (1, 37)),
}


def fresh(space):
    """Return a copy of a space without its arrays on a device: a simulated device forgets its memory."""
    return pickle.loads(pickle.dumps(space))


def pairs(n, rows, dtype, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 7, (rows, n)).astype(dtype)
    return a, rng.permuted(a, axis=-1)


@EVERY_SPACE
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_histograms_are_loaded_and_answers_stored_in_place(adapter, kind, view, dtype):
    key, shape = VIEWS[view]
    space, flip = fresh(SPACES[kind]), view == "columns first"
    rows = 1 if view == "one row for all" else 5
    a, b = pairs(37, rows, dtype)
    whole = sentinels(shape, dtype)
    (whole.T if flip else whole)[key] = a
    out = sentinels((15, 80), dtype)
    x, result = adapter.view(whole, key, flip), adapter.view(out, np.s_[: 3 * rows : 3, 2:76:2])
    value, grad = fe.emd_value_and_grad(x, adapter.view(b), space, rho=2, out=result)
    assert grad is result
    expected_value, expected = reference.emd_value_and_grad(a, b, space, rho=2)
    near(adapter.to_host(value), expected_value, value_slack(space, total_mass(a, b), 2))
    written = adapter.to_host(result.base).copy()
    near(written[: 3 * rows : 3, 2:76:2], expected, potential_slack(space, a, b, 2))
    written[: 3 * rows : 3, 2:76:2] = -77
    assert (written == -77).all()


@EVERY_SPACE
def test_bfloat16_is_loaded_exactly_and_rounded_once(adapter, kind):
    space = fresh(SPACES[kind])
    a, b = pairs(37, 3, np.float64)
    expected = reference.emd_value_and_grad(a, b, space, rho=2)
    found = fe.emd_value_and_grad(adapter.to_bfloat16(a), adapter.to_bfloat16(b), space, rho=2)
    slack = value_slack(space, total_mass(a, b), 2), potential_slack(space, a, b, 2)
    for answer, exact, within in zip(found, expected, slack, strict=True):
        low, high = (from_bfloat16(to_bfloat16((exact + off).astype(np.float32))) for off in (-within, within))
        half = adapter.from_bfloat16(answer)
        assert ((low <= half) & (half <= high)).all()


@EVERY_SPACE
@settings(max_examples=10)
@given(seed=st.integers(0, 99), rho=st.sampled_from([1, 2, 1.5]))
def test_row_has_the_same_bits_whatever_rows_stand_beside_it(adapter, kind, seed, rho):
    space = fresh(SPACES[kind])
    rng = np.random.default_rng(seed)
    a, b = rng.dirichlet(np.ones(37), 7), rng.dirichlet(np.ones(37), 7)
    value, grad = adapter.emd_value_and_grad(a, b, space, rho=rho)
    again, grad_again = adapter.emd_value_and_grad(a, b, space, rho=rho)
    np.testing.assert_array_equal(value, again)
    np.testing.assert_array_equal(grad, grad_again)
    one, grad_one = adapter.emd_value_and_grad(a[3], b[3], space, rho=rho)
    assert one == value[3]
    np.testing.assert_array_equal(grad_one, grad[3])


@EVERY_SPACE
def test_inputs_stay_as_they_are(adapter, kind):
    a, b = pairs(37, 3, np.float32)
    x, y = adapter.to_device(a.copy()), adapter.to_device(b.copy())
    fe.emd_value_and_grad(x, y, fresh(SPACES[kind]))
    np.testing.assert_array_equal(adapter.to_host(x), a)
    np.testing.assert_array_equal(adapter.to_host(y), b)


@pytest.mark.parametrize("shapes", [((3, 1), (1, 4)), ((4, 1, 2), (3, 1)), ((2, 1, 3, 1), (4, 1, 2)), ((), (5,))])
def test_leading_axes_broadcast_without_a_copy(adapter, shapes):
    space = Chain(9)
    rng = np.random.default_rng(1)
    row = rng.integers(0, 9, 9).astype(np.float32)
    a, b = (rng.permuted(np.broadcast_to(row, (*shape, 9)), axis=-1) for shape in shapes)
    value, grad = adapter.emd_value_and_grad(a, b, space)
    expected_value, expected = reference.emd_value_and_grad(a, b, space)
    near(value, expected_value, value_slack(space, total_mass(a, b), 1))
    near(grad, expected, potential_slack(space, a, b, 1))


@pytest.mark.parametrize("classes", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_classes_are_loaded_in_every_integer_dtype(adapter, classes):
    logits = np.random.default_rng(2).normal(size=(4, 11)).astype(np.float32)
    target = np.array([0, 10, 3, 7], classes)
    value, _ = adapter.emd_with_logits(logits, target, Chain(11), rho=2)
    near(value, reference.emd_with_logits(logits, target, Chain(11), rho=2)[0], value_slack(Chain(11), 1.0, 2))


@EVERY_SPACE
@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, 0.5])
@pytest.mark.parametrize("where", ["a", "b"])
def test_bad_row_alone_is_answered_with_nan(adapter, kind, bad, where):
    space = fresh(SPACES[kind])
    a, b = pairs(37, 4, np.float32)
    (a if where == "a" else b)[2, 35] += np.float32(bad) if bad != -1.0 else np.float32(-100.0)
    value, grad = adapter.emd_value_and_grad(a, b, space, check=False)
    expected_value, expected = reference.emd_value_and_grad(np.delete(a, 2, 0), np.delete(b, 2, 0), space)
    assert np.isnan(value[2])
    assert np.isnan(grad[2]).all()
    near(np.delete(value, 2), expected_value, value_slack(space, total_mass(a[:2], b[:2]), 1))
    near(np.delete(grad, 2, 0), expected, potential_slack(space, np.delete(a, 2, 0), np.delete(b, 2, 0), 1))
    assert np.isnan(adapter.flow(a, b, space, check=False)[2]).all()


def test_bad_logits_and_targets_are_answered_with_nan(adapter):
    space, logits = Chain(5), np.zeros((6, 5), np.float32)
    logits[1, 3], logits[2, 0], logits[3] = np.nan, np.inf, -np.inf
    value, grad = adapter.emd_with_logits(logits, np.array([0, 0, 0, 0, 5, -1]), space, check=False)
    np.testing.assert_array_equal(np.isnan(value), [False, True, True, True, True, True])
    np.testing.assert_array_equal(np.isnan(grad).all(axis=1), np.isnan(value))


@pytest.mark.parametrize("policy", ["equal", "normalize"])
def test_bad_row_raises_the_message_of_the_cpu(adapter, policy):
    a, b = pairs(6, 3, np.float32)
    a[1, 4] = np.nan
    with pytest.raises(ValueError) as on_the_cpu:
        fe.emd(a, b, Chain(6), mass=policy)
    with pytest.raises(ValueError) as on_the_device:
        adapter.emd(a, b, Chain(6), mass=policy)
    assert str(on_the_device.value) == str(on_the_cpu.value)


def test_unequal_masses_raise_the_message_of_the_cpu(adapter):
    a, b = np.eye(3, dtype=np.float32), 2 * np.eye(3, dtype=np.float32)
    with pytest.raises(ValueError) as on_the_cpu:
        fe.emd(a, b, Ring(3))
    with pytest.raises(ValueError) as on_the_device:
        adapter.emd(a, b, Ring(3))
    assert str(on_the_device.value) == str(on_the_cpu.value)

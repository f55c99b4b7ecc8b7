"""The short way of a usual call gives the bits and the errors of the ordinary way."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastemd as fe
from fastemd.exact import fast_path
from fastemd.spaces import Chain, Ring, Tree
from tests.support.kernel_problems import calls, exponents, sentinels

CALLS = {
    "emd": lambda a, b, space, rho, **more: fe.emd(a, b, space, rho=rho, **more),
    "gradient": lambda a, b, space, rho, **more: fe.emd_value_and_grad(a, b, space, rho=rho, **more),
    "uncentred": lambda a, b, space, rho, **more: fe.emd_value_and_grad(a, b, space, rho=rho, centred=False, **more),
    "potential": lambda a, b, space, rho, **more: fe.potential(a, b, space, rho=rho, **more),
    "flow": lambda a, b, space, rho, **more: fe.flow(a, b, space, **more),
}
SPACES = [Chain(5), Ring(5), Tree([-1, 0, 0, 1, 1], [0.0, 1.0, 2.0, 1.0, 3.0])]
SHAPES = (((), ()), ((1,), (1,)), ((9,), (9,)))


def ordinary(monkeypatch):
    """Let every call go the ordinary way."""
    monkeypatch.setattr(fast_path, "solve", lambda *arguments: None)


def outcome(call):
    """What a call returns, or the kind and text of its error."""
    try:
        return call()
    except (TypeError, ValueError) as error:
        return type(error), str(error)


def same(one, other):
    """Assert that two outcomes are the same in kind, dtype, shape and bits."""
    assert type(one) is type(other)
    if isinstance(one, tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            same(left, right)
    elif isinstance(one, np.ndarray | np.generic):
        np.testing.assert_array_equal(one, other, strict=True)
    else:
        assert one == other


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(calls(batches=SHAPES), exponents, st.sampled_from(sorted(CALLS)), st.booleans())
def test_answers_have_the_bits_of_the_ordinary_way(call, rho, name, check):
    space, a, b, _ = call
    found = CALLS[name](a, b, space, rho, check=check)
    with pytest.MonkeyPatch.context() as patch:
        ordinary(patch)
        same(found, CALLS[name](a, b, space, rho, check=check))


A, B = np.array([0.5, 0.5, 0, 0, 0]), np.array([0, 0, 0, 0.5, 0.5])
BATCH = np.stack([A, B])
UNEQUAL = np.array([0.5, 0.25, 0, 0, 0])
READ_ONLY = np.zeros(5)
READ_ONLY.flags.writeable = False
BAD = {
    "nan": (np.array([np.nan, 0.5, 0, 0, 0]), B, {}),
    "infinite": (np.array([np.inf, 0.5, 0, 0, 0]), B, {}),
    "negative": (np.array([1.5, -0.5, 0, 0, 0]), B, {}),
    "unequal": (UNEQUAL, B, {}),
    "unequal row": (np.stack([A, UNEQUAL]), BATCH, {}),
    "empty": (np.zeros(5), B, {}),
    "bins": (A[:4], B[:4], {}),
    "no bins": (A[:0], B[:0], {}),
    "shapes": (A, B[:4], {}),
    "number": (np.array(1.0), np.array(1.0), {}),
    "complex": (A + 0j, B + 0j, {}),
    "objects": (A.astype(object), B.astype(object), {}),
    "masked": (np.ma.masked_array(A), B, {}),
    "mass": (A, B, {"mass": "equa"}),
    "mass array": (A, B, {"mass": A}),
    "empty policy": (A, B, {"empty": None}),
    "out shape": (A, B, {"out": np.zeros(3)}),
    "out dtype": (A, B, {"out": np.zeros(5, np.float32)}),
    "out list": (A, B, {"out": [0.0] * 5}),
    "out read-only": (A, B, {"out": READ_ONLY}),
    "out overlaps": (A, B, {"out": A}),
}
GOOD = {
    "fortran": (np.asfortranarray(BATCH), BATCH, {}),
    "strided": (np.repeat(A, 2)[::2], B, {}),
    "backwards": (A[::-1], B, {}),
    "other byte order": (A.astype(">f8"), B.astype(">f8"), {}),
    "two dtypes": (A.astype(np.float32), B, {}),
    "integers": ((2 * A).astype(int), (2 * B).astype(int), {}),
    "list": (A.tolist(), B, {}),
    "broadcast": (BATCH, B, {}),
    "no rows": (BATCH[:0], BATCH[:0], {}),
    "three axes": (BATCH[None], BATCH[None], {}),
    "unaligned": (np.frombuffer(b"." + A.tobytes(), np.float64, offset=1), B, {}),
    "unequal, unchecked": (np.stack([A, UNEQUAL]), BATCH, {"check": False}),
    "no rows but nan": (np.full(5, np.nan), B, {"check": False}),
    "normalized": (UNEQUAL, B, {"mass": "normalize"}),
    "empty": (np.zeros(5), B, {"empty": "nan"}),
}


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.kind)
@pytest.mark.parametrize("name", sorted(CALLS))
@pytest.mark.parametrize("case", [*BAD.items(), *GOOD.items()], ids=lambda case: case[0])
def test_unusual_calls_have_the_outcome_of_the_ordinary_way(case, name, space, monkeypatch):
    a, b, more = case[1]
    if name == "emd" and "out" in more:
        pytest.skip("emd has no out")
    CALLS[name](A, B, space, 1)  # decided before
    found = outcome(lambda: CALLS[name](a, b, space, 1, **more))
    ordinary(monkeypatch)
    same(found, outcome(lambda: CALLS[name](a, b, space, 1, **more)))


@pytest.mark.parametrize("rho", [0, 0.5, -1, np.inf, np.nan, "1", None, [1], True, np.float32(2), 1 + 0j])
@pytest.mark.parametrize("space", [Chain(5), 5, Chain, None])
def test_exponents_and_spaces_have_the_outcome_of_the_ordinary_way(rho, space, monkeypatch):
    found = outcome(lambda: fe.emd(A, B, space, rho=rho))
    ordinary(monkeypatch)
    same(found, outcome(lambda: fe.emd(A, B, space, rho=rho)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [(), (3,)])
def test_out_is_written_and_returned(dtype, rows):
    a, b = (np.broadcast_to(x, (*rows, 5)).astype(dtype) for x in (A, B))
    out = sentinels(a.shape, dtype)
    grad = fe.emd_value_and_grad(a, b, Chain(5), out=out)[1]
    assert grad is out
    np.testing.assert_array_equal(out, fe.emd_value_and_grad(a, b, Chain(5))[1])
    assert fe.potential(a, b, Chain(5), out=out) is out


def test_usual_calls_take_the_short_way(monkeypatch):
    fe.emd(A, B, SPACES[0])
    monkeypatch.setattr("fastemd.exact.api.solve", None)
    for each in CALLS.values():
        each(A, B, SPACES[0], 1)
        each(BATCH, BATCH, SPACES[0], 1.5)


def test_flow_of_a_chain_without_edges_is_empty():
    for a in (np.ones(1), np.ones((3, 1))):
        assert fe.flow(a, a, Chain(1)).shape == (*a.shape[:-1], 0)

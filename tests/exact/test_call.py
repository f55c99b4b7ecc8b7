"""What empty rows are answered."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastemd as fe
from fastemd import Chain, Ring, Tree
from tests.support.errors import rejects

SPACES = [Chain(4), Ring(4), Tree([-1, 0, 0, 1], np.ones(4))]


@pytest.mark.parametrize("space", SPACES, ids=repr)
@pytest.mark.parametrize("mass", ["equal", "normalize"])
@given(data=st.data())
def test_empty_rows_are_answered_as_asked_and_the_other_rows_as_ever(space, mass, data):
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    rows = data.draw(st.integers(1, 20))
    a, b = (rng.dirichlet(np.ones(4), rows) for _ in range(2))
    none_a, none_b = (rng.random(rows) < 0.3 for _ in range(2))
    a[none_a], b[none_b] = 0, 0
    empty = none_a | none_b if mass == "normalize" else none_a != none_b
    if empty.any():
        rejects(ValueError, lambda: fe.emd(a, b, space, mass=mass), "has mass 0")
    full = ~(none_a | none_b)
    for word, expected in (("nan", np.nan), ("zero", 0.0)):
        for call in (fe.emd_value_and_grad, fe.emd_value_and_grad):
            value, grad = call(a, b, space, rho=2, mass=mass, empty=word)
            np.testing.assert_array_equal(value[empty], expected)
            np.testing.assert_array_equal(grad[empty], expected)
            known, gradient = call(a[full], b[full], space, rho=2, mass=mass)
            np.testing.assert_array_equal(value[full], known)
            np.testing.assert_array_equal(grad[full], gradient)
    for grad in fe.emd_value_and_grad(a, b, space, wrt="both", mass=mass, empty="zero")[1]:
        np.testing.assert_array_equal(grad[empty], 0.0)
    for call in (fe.flow, fe.potential):
        np.testing.assert_array_equal(call(a, b, space, mass=mass, empty="zero")[empty], 0.0)


def test_one_pair_and_a_broadcast_row():
    a, b = np.zeros(4), np.eye(4)
    assert np.isnan(fe.emd(a, b[0], SPACES[0], mass="normalize", empty="nan"))
    np.testing.assert_array_equal(fe.emd(a, b, SPACES[0], empty="zero"), np.zeros(4))


@pytest.mark.parametrize("word", ["nan", "zero"])
def test_other_bad_rows_still_raise(word):
    a, b = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [0.5, np.nan]])
    rejects(ValueError, lambda: fe.emd(a, b, Chain(2), mass="normalize", empty=word), "b[1, 1] is nan")
    b[1] = 0.5, 0.25
    rejects(ValueError, lambda: fe.emd(a, b, Chain(2), empty=word), "a[1] (row 1) has mass 1 and b[1] (row 1)")
    a[0] = 1.0, -1.0
    rejects(ValueError, lambda: fe.emd(a, b, Chain(2), mass="normalize", empty=word), "a[0, 1] is -1.0")
    answer = fe.emd(a, b, Chain(2), mass="normalize", empty=word, check=False)
    assert np.isnan(answer[0])


def test_words_that_are_none():
    rejects(
        ValueError, lambda: fe.emd([1.0], [1.0], Chain(1), empty="skip"), "empty is 'skip'", "'raise', 'nan', 'zero'"
    )
    rejects(TypeError, lambda: fe.emd([1.0], [1.0], Chain(1), empty=0), "empty is of type int")

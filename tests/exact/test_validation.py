"""Bad arguments: each message names the argument, what came, what is needed and the mend; nothing is touched."""

import re

import numpy as np
import pytest

import fastemd as fe
from fastemd.arrays import inputs
from fastemd.spaces import Chain, Ring, Tree
from tests.support.errors import rejects

PAIRED = [fe.emd, fe.emd_value_and_grad, fe.flow, fe.potential, fe.plan, fe.check]
WRITING = [fe.emd_value_and_grad, fe.flow, fe.potential]
ONE = np.array([1.0, 0.0, 0.0])


@pytest.mark.parametrize("function", PAIRED)
@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize(
    ("kind", "wrong", "parts"),
    [
        (ValueError, np.ones(4), ("has shape (4,)", "Needed: 3", "Chain(3)")),
        (ValueError, np.ones((3, 4)), ("has shape (3, 4)", "bins go last")),
        (ValueError, np.ones(0), ("has shape (0,)", "Needed: 3")),
        (ValueError, np.float64(1.0), ("is a single number", "(..., 3)")),
        (ValueError, [[1.0, 0.0], [1.0]], ("cannot be read as an array", "equal length")),
        (TypeError, np.ones(3, complex), ("has dtype complex128", ".real")),
        (TypeError, np.array(["x", "y", "z"]), ("has dtype <U1", "in place of")),
        (TypeError, np.array(["1", "0", "0"]), ("has dtype <U1", "astype")),
        (TypeError, np.array([b"x", b"y", b"z"]), ("has dtype |S1", "in place of")),
        (TypeError, np.array([1.0, None, 0.0]), ("has dtype object", "[1], which is None")),
        (TypeError, np.ones(3, "M8[s]"), ("has dtype datetime64", "astype")),
        (TypeError, np.ones(3, np.longdouble), (f"has dtype {np.dtype(np.longdouble)}", "astype")),
        (TypeError, None, ("is of type NoneType", "an array or a list of numbers")),
        (TypeError, "histogram", ("has dtype <U9",)),
        (TypeError, np.ma.array([1.0, 0.0, 0.0]), ("is a masked array", "filled(0)")),
    ],
)
def test_array_of_the_wrong_shape_or_kind_is_refused(function, name, kind, wrong, parts):
    pair = {"a": ONE, "b": ONE} | {name: wrong}
    rejects(kind, lambda: function(pair["a"], pair["b"], Chain(3)), f"{name} ", *parts)


@pytest.mark.parametrize("function", PAIRED)
@pytest.mark.parametrize(("left", "right"), [((2,), (3,)), ((2, 1), (3, 2)), ((4, 2), (4,))])
def test_batches_that_do_not_broadcast_are_refused(function, left, right):
    a, b = np.ones((*left, 3)), np.ones((*right, 3))
    message = f"a has leading axes {left} and b has {right}"
    rejects(ValueError, lambda: function(a, b, Chain(3)), message, "no common batch shape")


@pytest.mark.parametrize("function", [fe.emd, fe.emd_value_and_grad, fe.potential, fe.emd_with_logits])
@pytest.mark.parametrize(
    ("kind", "rho"),
    [
        (ValueError, 0.5),
        (ValueError, 0),
        (ValueError, -1),
        (ValueError, np.nextafter(1.0, 0.0)),
        (ValueError, np.nan),
        (ValueError, np.inf),
        (ValueError, 10**400),
        (TypeError, "2"),
        (TypeError, b"2"),
        (TypeError, "two"),
        (TypeError, None),
        (TypeError, 1j),
        (TypeError, [2]),
    ],
)
def test_exponent_below_one_or_no_number_is_refused(function, kind, rho):
    rejects(kind, lambda: function(ONE, ONE, Chain(3), rho=rho), "rho is ", "at least 1")


@pytest.mark.parametrize("rho", [1, 2.0, np.float32(1.5), np.int8(2), np.array(3.0)])
def test_exponent_of_any_kind_of_number_is_read(rho):
    assert fe.emd(ONE, ONE[::-1], Chain(3), rho=rho) == 2.0


@pytest.mark.parametrize("function", [*PAIRED, fe.emd_with_logits])
@pytest.mark.parametrize(("kind", "space"), [(TypeError, 3), (TypeError, None), (TypeError, Chain), (TypeError, ONE)])
def test_what_is_no_space_is_refused(function, kind, space):
    rejects(kind, lambda: function(ONE, ONE, space), f"space is of type {type(space).__name__}", "fastemd.Chain(n)")


@pytest.mark.parametrize("function", [*PAIRED, fe.emd_with_logits])
def test_unknown_mass_policy_is_refused(function):
    rejects(ValueError, lambda: function(ONE, ONE, Chain(3), mass="even"), "mass is 'even'", "'equal'", "'normalize'")
    rejects(TypeError, lambda: function(ONE, ONE, Chain(3), mass=1), "mass is of type int", "'equal'", "'normalize'")


@pytest.mark.parametrize("function", PAIRED)
def test_root_policy_on_a_ring_is_refused(function):
    with pytest.raises(ValueError, match="mass is 'root'") as error:
        function(ONE, ONE, Ring(3), mass="root")
    assert "Needed" in str(error.value)
    assert "'normalize'" in str(error.value)


def test_root_policy_has_no_plan_and_no_softmax():
    rejects(ValueError, lambda: fe.plan(ONE, ONE, Chain(3), mass="root"), "mass is 'root'", "'equal'")
    rejects(ValueError, lambda: fe.emd_with_logits(ONE, 1, Chain(3), mass="root"), "mass is 'root'", "'equal'")


def test_unknown_wrt_is_refused():
    rejects(ValueError, lambda: fe.emd_value_and_grad(ONE, ONE, Chain(3), wrt="c"), "wrt is 'c'", "'length'")
    rejects(TypeError, lambda: fe.emd_value_and_grad(ONE, ONE, Chain(3), wrt=0), "wrt is of type int", "'length'")


@pytest.mark.parametrize("function", PAIRED)
def test_options_are_keywords_and_unknown_ones_are_refused(function):
    with pytest.raises(TypeError):
        function(ONE, ONE, Chain(3), 2)
    with pytest.raises(TypeError):
        function(ONE, ONE, Chain(3), p=2)


# --- out= -------------------------------------------------------------------------------------------------------------


def read_only(shape):
    out = np.zeros(shape)
    out.flags.writeable = False
    return out


@pytest.mark.parametrize("function", WRITING)
@pytest.mark.parametrize(
    ("kind", "out", "parts"),
    [
        (TypeError, [[0.0] * 3] * 2, ("out is of type list", "(2, 3)", "float64")),
        (TypeError, np.zeros((2, 3), np.float32), ("out has dtype float32", "float64")),
        (TypeError, np.zeros((2, 3), ">f8"), ("out has dtype >f8", "float64")),
        (ValueError, np.zeros((3, 2)), ("out has shape (3, 2)", "(2, 3)")),
        (ValueError, np.zeros(3), ("out has shape (3,)", "(2, 3)")),
        (ValueError, read_only((2, 3)), ("out is read-only", ".copy()")),
    ],
)
def test_out_that_cannot_hold_the_answer_is_refused(function, kind, out, parts):
    a = np.ones((2, 3))
    rejects(kind, lambda: function(a, a, Ring(3), out=out), *parts)


@pytest.mark.parametrize("function", WRITING)
def test_out_that_overlaps_an_input_is_refused_and_the_input_stays(function):
    memory = np.ones((5, 3))
    for name, a, b in (("a", memory[:2], np.ones((2, 3))), ("b", np.ones((2, 3)), memory[:2])):
        rejects(ValueError, lambda a=a, b=b: function(a, b, Ring(3), out=memory[1:3]), f"out overlaps {name} in memory")
        np.testing.assert_array_equal(memory, 1.0)
    function(memory[:2], memory[:2], Ring(3), out=memory[2:4])
    np.testing.assert_array_equal(memory[[0, 1, 4]], 1.0)


def test_out_between_the_columns_of_an_input_does_not_overlap_it():
    memory = np.ones((2, 6))
    fe.potential(memory[:, ::2], memory[:, ::2], Chain(3), out=memory[:, 1::2])
    np.testing.assert_array_equal(memory[:, ::2], 1.0)
    np.testing.assert_array_equal(memory[:, 1::2], 0.0)


def test_out_of_both_gradients_is_a_pair_that_does_not_overlap():
    def call(out):
        return lambda: fe.emd_value_and_grad(ONE, ONE, Chain(3), wrt="both", out=out)

    memory = np.zeros(4)
    rejects(TypeError, call(np.zeros(3)), "out is of type ndarray", "a pair of arrays")
    rejects(TypeError, call((np.zeros(3),)), "out is of type tuple", "a pair of arrays")
    rejects(ValueError, call((np.zeros(3), np.zeros(4))), "out[1] has shape (4,)")
    rejects(TypeError, call((np.zeros(3, int), np.zeros(3))), "out[0] has dtype int64")
    rejects(ValueError, call((memory[:3], memory[1:])), "out[1] overlaps out[0]")


def test_out_of_logits_is_looked_at_the_same_way():
    z = np.zeros((2, 3))
    rejects(ValueError, lambda: fe.emd_with_logits(z, [0, 1], Chain(3), out=z), "out overlaps logits")
    target = np.full((2, 3), 0.5)
    rejects(ValueError, lambda: fe.emd_with_logits(z, target, Chain(3), out=target), "out overlaps target")
    rejects(ValueError, lambda: fe.emd_with_logits(z, [0, 1], Chain(3), out=np.zeros(3)), "out has shape (3,)")


def test_arrays_whose_overlap_is_hard_to_know_are_taken_to_overlap(monkeypatch):
    def too_hard(*_, **__):
        raise np.exceptions.TooHardError

    monkeypatch.setattr(np, "shares_memory", too_hard)
    memory = np.ones((2, 6))
    a, out = memory[:, ::2], memory[:, 1::2]
    rejects(ValueError, lambda: fe.potential(a, a, Chain(3), out=out), "out overlaps a")


# --- Logits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "logits", "target", "parts"),
    [
        (TypeError, [1, 2, 3], 0, ("logits has dtype int64", "numpy.asarray(logits, dtype=numpy.float32)")),
        (TypeError, np.array([1, 2, 3]), 0, ("logits has dtype int64", "logits.astype(numpy.float32)")),
        (TypeError, np.ones(3, bool), 0, ("logits has dtype bool",)),
        (ValueError, np.ones(4), 0, ("logits has shape (4,)", "Needed: 3")),
        (ValueError, 1.0, 0, ("logits is a single number",)),
        (ValueError, ONE, True, ("target is a single number",)),
        (TypeError, ONE, "x", ("target has dtype <U1",)),
        (TypeError, ONE, None, ("target is of type NoneType",)),
        (ValueError, ONE, np.float64(1.0), ("target is a single number",)),
        (ValueError, ONE, np.ones(4), ("target has shape (4,)",)),
        (ValueError, np.ones((2, 3)), [0, 1, 2], ("logits has leading axes (2,) and target has (3,)",)),
        (ValueError, np.ones((2, 3)), np.ones((4, 3)), ("logits has leading axes (2,) and target has (4,)",)),
    ],
)
def test_logits_or_targets_of_the_wrong_shape_or_kind_are_refused(kind, logits, target, parts):
    rejects(kind, lambda: fe.emd_with_logits(logits, target, Chain(3)), *parts)


# --- Odds and ends ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["float32", "float64", "int64"])
def test_tolerated_difference_grows_with_the_bins_up_to_the_root_of_epsilon(name):
    dtype = np.dtype(name)
    eps = float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)
    assert inputs.tolerance(dtype, dtype, 1) == 8 * eps
    assert inputs.tolerance(dtype, dtype, 3) == 24 * eps
    assert inputs.tolerance(dtype, dtype, 10**9) == np.sqrt(eps)


def test_tolerated_difference_of_float16_is_that_of_rounding_whatever_the_number_of_bins():
    half, eps = np.dtype(np.float16), float(np.finfo(np.float16).eps)
    assert 4 * eps <= inputs.tolerance(half, half, 1) < 4.001 * eps
    assert inputs.tolerance(half, half, 1000) < 5 * eps
    assert inputs.tolerance(half, np.dtype(np.float64), 1000) == inputs.tolerance(half, half, 1000)
    assert inputs.tolerance(half, half, 10**9) == np.sqrt(eps)


def test_refused_call_leaves_arrays_as_they_are_and_the_next_call_is_answered():
    a, b = np.array([[1.0, 2.0], [3.0, np.nan]]), np.array([[2.0, 1.0], [1.0, 2.0]])
    before = a.tobytes(), b.tobytes()
    for _ in range(3):
        with pytest.raises(ValueError, match=re.escape("a[1, 1] is nan")):
            fe.emd_value_and_grad(a, b, Tree([1, -1], [2.0, 0.0]))
    assert (a.tobytes(), b.tobytes()) == before
    assert fe.emd(a[0], b[0], Tree([1, -1], [2.0, 0.0])) == 2.0

"""Bad rows: under check=True an error that names the row and the mend, under check=False NaN for just these rows."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastemd as fe
from fastemd.spaces import Chain, Ring, Tree
from tests.support.kernel_problems import calls, sentinels

SPACES = [
    Chain(3),
    Chain(8),
    Ring(3),
    Ring(8),
    Tree([-1, 0, 0], [0, 1, 1]),
    Tree(np.arange(-1, 8), np.ones(9), range(8)),
]
FUNCTIONS = [fe.emd, fe.emd_value_and_grad, fe.flow, fe.potential, fe.plan, fe.check]


def rows(space, count=9, dtype=np.float32):
    """Good rows of mass 2 n."""
    return np.full((count, space.n), 2, dtype), np.full((count, space.n), 2, dtype)


def says(error, *parts):
    """Assert that a message has these parts, what is needed, and how to go on without an error."""
    text = str(error.value)
    for part in (*parts, "Needed: ", "check=False answers NaN"):
        assert part in text, text


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize(
    ("poison", "shown", "mend"),
    [
        (np.nan, "nan", "nan_to_num"),
        (np.inf, "inf", "finite"),
        (-np.inf, "-inf", "finite"),
        (-1.0, "-1.0", "numpy.maximum("),
    ],
)
def test_bad_number_is_named_with_its_row_and_bin(function, name, poison, shown, mend):
    for space in SPACES:
        a, b = rows(space)
        x = {"a": a, "b": b}[name]
        x[4, 1] = poison
        before = a.tobytes(), b.tobytes()
        with pytest.raises(ValueError) as error:
            function(a, b, space)
        says(error, f"{name}[4, 1] is {shown} (row 4, bin 1)", mend)
        assert (a.tobytes(), b.tobytes()) == before


def test_bad_number_of_one_pair_is_named_with_its_bin():
    with pytest.raises(ValueError) as error:
        fe.emd([1.0, np.nan], [1.0, 0.0], Chain(2))
    says(error, "a[1] is nan (bin 1)")


def test_bad_number_in_a_batch_of_batches_is_named_with_all_its_indices():
    a = np.ones((2, 3, 4))
    a[1, 2, 3] = -2
    with pytest.raises(ValueError) as error:
        fe.emd(a, np.ones(4), Chain(4))
    says(error, "a[1, 2, 3] is -2.0 (row (1, 2), bin 3)")


def test_negative_integers_are_named():
    with pytest.raises(ValueError) as error:
        fe.emd([[1, 1], [3, -1]], [1, 1], Chain(2))
    says(error, "a[1, 1] is -1 (row 1, bin 1)", "masses of at least 0")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_unequal_masses_are_named_with_their_row(function):
    for space in SPACES:
        a, b = rows(space)
        b[7, 0] = 9
        with pytest.raises(ValueError) as error:
            function(a, b, space)
        masses = f"a[7] (row 7) has mass {2 * space.n} and b[7] (row 7) has mass {2 * space.n + 7}"
        says(error, masses, "equal masses", "mass='normalize'")
        assert ("mass='root'" in str(error.value)) == (space.kind != "ring")


def test_unequal_masses_of_broadcast_rows_are_named_by_each_arrays_own_row():
    with pytest.raises(ValueError) as error:
        fe.emd([1.0, 0.0], [[1.0, 0.0], [2.0, 0.0]], Chain(2))
    says(error, "a has mass 1 and b[1] (row 1) has mass 2")
    a, b = np.ones((3, 1, 2)), np.ones((1, 4, 2))
    a[2] = 2
    with pytest.raises(ValueError) as error:
        fe.emd(a, b, Chain(2))
    says(error, "a[2, 0] (row (2, 0)) has mass 4 and b[0, 0] (row (0, 0)) has mass 2")


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", ["a", "b"])
def test_row_without_mass_cannot_be_normalized(function, name):
    for space in SPACES:
        a, b = rows(space)
        {"a": a, "b": b}[name][5] = 0
        with pytest.raises(ValueError) as error:
            function(a, b, space, mass="normalize")
        says(error, f"{name}[5] (row 5) has mass 0", "mass='normalize' cannot divide", "drop the row")


@pytest.mark.parametrize("mass", ["equal", "normalize", "root"])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, -1.0])
@pytest.mark.parametrize("rho", [1, 2, 1.5])
def test_unchecked_bad_row_is_nan_throughout_and_no_other_row_changes(mass, poison, rho):
    for space in SPACES:
        if mass == "root" and space.kind == "ring":
            continue
        for where in (("a",), ("b",), ("a", "b")):
            for column in (0, -1):
                good_a, good_b = rows(space)
                a, b = good_a.copy(), good_b.copy()
                for name in where:
                    {"a": a, "b": b}[name][4, column] = poison
                options = {"mass": mass, "check": False}
                for call in (
                    lambda a, b: fe.emd(a, b, space, rho=rho, **options)[:, np.newaxis],  # noqa: B023
                    lambda a, b: fe.emd_value_and_grad(a, b, space, rho=rho, **options)[1],  # noqa: B023
                    lambda a, b: fe.emd_value_and_grad(a, b, space, rho=rho, wrt="b", centred=False, **options)[1],  # noqa: B023
                    lambda a, b: fe.emd_value_and_grad(a, b, space, rho=rho, wrt="length", **options)[1],  # noqa: B023
                    lambda a, b: fe.flow(a, b, space, **options),  # noqa: B023
                ):
                    answer, expected = call(a, b), call(good_a, good_b)
                    assert np.isnan(answer[4]).all()
                    others = np.arange(9) != 4
                    np.testing.assert_array_equal(answer[others], expected[others])


@given(calls(batches=(((9,), (9,)),), dtype="float64"), st.integers(0, 8))
def test_unchecked_row_of_unequal_mass_is_nan_throughout(call, row):
    space, a, b, _ = call
    expected_value, expected = fe.emd_value_and_grad(a, b, space)
    b[row] *= 1.5
    out = sentinels(expected.shape, np.float64)
    value, grad = fe.emd_value_and_grad(a, b, space, check=False, out=out)
    assert np.isnan(value[row])
    assert np.isnan(grad[row]).all()
    others = np.arange(9) != row
    np.testing.assert_array_equal(value[others], expected_value[others])
    np.testing.assert_array_equal(grad[others], expected[others])


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16"])
def test_unchecked_row_without_mass_is_nan_throughout_under_normalize(space, dtype):
    a, b = rows(space, dtype=dtype)
    b[2] = 0
    value, (by_a, by_b) = fe.emd_value_and_grad(a, b, space, wrt="both", mass="normalize", check=False)
    for answer in (value[:, np.newaxis], by_a, by_b, fe.flow(a, b, space, mass="normalize", check=False)):
        np.testing.assert_array_equal(np.isnan(answer), np.isnan(answer[:, :1]) & np.ones_like(answer, bool))
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(answer[:, 0])), [2])


def test_smallest_inequality_beyond_the_tolerance_is_refused():
    a, b = np.full(4, 1.0), np.full(4, 1.0)
    tolerance = 8 * 4 * np.finfo(np.float64).eps
    b[0] += 4 * tolerance / 2
    assert fe.emd(a, b, Chain(4)) > 0
    b[0] += 4 * tolerance
    with pytest.raises(ValueError, match="equal masses"):
        fe.emd(a, b, Chain(4))


def test_check_passes_what_every_function_answers():
    a, b = rows(Chain(5))
    for mass in ("equal", "normalize", "root"):
        assert fe.check(a, b, Chain(5), mass=mass) is None


# --- Logits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("soft", [False, True])
def test_logits_without_softmax_are_named(poison, soft):
    for space in SPACES:
        z = np.zeros((9, space.n), np.float32)
        target = np.full((9, space.n), 1 / space.n, np.float32) if soft else np.zeros(9, int)
        expected_value, expected = fe.emd_with_logits(z, target, space)
        z[3, 1] = poison
        with pytest.raises(ValueError) as error:
            fe.emd_with_logits(z, target, space)
        says(error, f"logits[3, 1] is {poison} (row 3, bin 1)")
        value, grad = fe.emd_with_logits(z, target, space, check=False)
        assert np.isnan(value[3])
        assert np.isnan(grad[3]).all()
        others = np.arange(9) != 3
        np.testing.assert_array_equal(value[others], expected_value[others])
        np.testing.assert_array_equal(grad[others], expected[others])


def test_logits_that_are_minus_infinity_throughout_are_named():
    for space in SPACES:
        z = np.zeros((2, space.n))
        z[1] = -np.inf
        with pytest.raises(ValueError) as error:
            fe.emd_with_logits(z, [0, 1], space)
        says(error, "logits[1] (row 1) is -inf throughout", "a finite logit")
        value, grad = fe.emd_with_logits(z, [0, 1], space, check=False)
        np.testing.assert_array_equal(np.isnan(value), [False, True])
        np.testing.assert_array_equal(np.isnan(grad), [[False] * space.n, [True] * space.n])


@pytest.mark.parametrize("wrong", [-1, 10**6, -(10**12), 2**62])
def test_class_that_is_no_bin_is_named(wrong):
    for space in SPACES:
        z, target = np.zeros((9, space.n)), np.zeros(9, int)
        target[6] = wrong
        with pytest.raises(ValueError) as error:
            fe.emd_with_logits(z, target, space)
        says(error, f"target[6] (row 6) is class {wrong}", f"0..{space.n - 1}")
        value, grad = fe.emd_with_logits(z, target, space, check=False)
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(value)), [6])
        np.testing.assert_array_equal(np.isnan(grad), np.isnan(value)[:, np.newaxis] & np.ones_like(grad, bool))


def test_class_equal_to_the_number_of_bins_is_no_bin():
    with pytest.raises(ValueError, match=re.escape("is class 3")):
        fe.emd_with_logits([0.0, 0.0, 0.0], 3, Chain(3))
    with pytest.raises(ValueError, match=re.escape(f"is class {2**64 - 1}")):
        fe.emd_with_logits([0.0, 0.0, 0.0], np.uint64(2**64 - 1), Chain(3))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5, 0.5, 0.5], "target[1] (row 1) has mass 1.5"),
        ([0.0, 0.0, 0.0], "target[1] (row 1) has mass 0"),
        ([2.0, -1.0, 0.0], "target[1, 1] is -1.0"),
        ([np.nan, 1.0, 0.0], "target[1, 0] is nan"),
        ([np.inf, 1.0, 0.0], "target[1, 0] is inf"),
    ],
)
def test_target_that_is_no_histogram_of_mass_1_is_named(row, message):
    z, target = np.zeros((2, 3)), np.array([[1.0, 0.0, 0.0], row])
    for space in (Chain(3), Ring(3), Tree([-1, 0, 0], [0, 1, 1])):
        with pytest.raises(ValueError) as error:
            fe.emd_with_logits(z, target, space)
        says(error, message)
        value, grad = fe.emd_with_logits(z, target, space, check=False)
        np.testing.assert_array_equal(np.isnan(value), [False, True])
        np.testing.assert_array_equal(np.isnan(grad), [[False] * 3, [True] * 3])


@pytest.mark.parametrize("row", [[0.0, 0.0], [-1.0, 2.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_target_that_cannot_be_normalized_is_refused(row):
    with pytest.raises(ValueError, match="target"):
        fe.emd_with_logits(np.zeros((2, 2)), [[1.0, 0.0], row], Chain(2), mass="normalize")
    value, grad = fe.emd_with_logits(np.zeros((2, 2)), [[3.0, 0.0], row], Chain(2), mass="normalize", check=False)
    np.testing.assert_array_equal(np.isnan(value), [False, True])
    np.testing.assert_array_equal(np.isnan(grad), [[False, False], [True, True]])

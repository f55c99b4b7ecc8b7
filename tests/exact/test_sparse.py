"""Sparse rows of `emd`: the answers of dense ones, and their errors."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

import fastemd as fe
from tests.support.errors import rejects
from tests.support.strategies import histogram_pairs, spaces
from tests.support.tolerance import tolerance

KINDS = [f"{form}_{kind}" for form in ("csr", "csc", "coo") for kind in ("array", "matrix")]
MASSES = ["equal", "normalize", "root"]


@st.composite
def cases(draw):
    space = draw(spaces(max_bins=20))
    dtype = draw(st.sampled_from([np.float32, np.float64, np.int64]))
    return space, *draw(histogram_pairs(space, dtype, (draw(st.integers(1, 5)),)))


@given(
    cases(), st.sampled_from(KINDS), st.sampled_from([1, 1.5, 2, 3]), st.sampled_from(["equal", "normalize", "root"])
)
def test_values_of_sparse_rows_are_those_of_dense_ones(case, kind, rho, mass):
    space, a, b = case
    if mass == "root" and space.kind == "ring":
        mass = "equal"
    make = getattr(scipy.sparse, kind)
    want = fe.emd(a, b, space, rho=rho, mass=mass)
    most = 1.0 if mass == "normalize" else float(max(a.sum(axis=1, dtype=np.float64).max(), 1e-300))
    near = tolerance(want.dtype, space.n + space.m, most**rho, float(space.lengths.sum()) + 1)
    for x, y in ((make(a), make(b)), (make(a), b), (a, make(b))):
        found = fe.emd(x, y, space, rho=rho, mass=mass)
        assert found.dtype == want.dtype
        assert found.shape == want.shape
        with np.errstate(invalid="ignore"):  # both may be infinite
            assert np.all((found == want) | (abs(found - want) <= near))


def test_one_row_is_compared_with_all():
    a, b = np.eye(4), np.array([0.0, 0.0, 0.5, 0.5])
    want = fe.emd(a, b, fe.Chain(4))
    assert np.array_equal(fe.emd(scipy.sparse.csr_array(a), b, fe.Chain(4)), want)
    assert np.array_equal(fe.emd(scipy.sparse.csr_array(b[None]), a, fe.Chain(4)), want)
    one = fe.emd(scipy.sparse.coo_array(a[0]), scipy.sparse.coo_array(b), fe.Chain(4))
    assert np.ndim(one) == 0
    assert one == want[0]
    assert fe.emd(scipy.sparse.csr_array((0, 4)), b, fe.Chain(4)).shape == (0,)


def test_entries_in_any_order_that_are_given_twice_are_added_and_inputs_stay_as_they_are():
    rows = scipy.sparse.csr_array((np.array([1.0, 1.0, 2.0]), np.array([2, 2, 0]), np.array([0, 3])), shape=(1, 3))
    kept = rows.data.copy(), rows.indices.copy()
    assert fe.emd(rows, [[0.0, 4.0, 0.0]], fe.Chain(3)) == [4.0]
    assert np.array_equal(rows.data, kept[0])
    assert np.array_equal(rows.indices, kept[1])


@pytest.mark.parametrize("empty", ["nan", "zero"])
@pytest.mark.parametrize("mass", ["equal", "normalize", "root"])
def test_empty_rows_are_answered_as_dense_ones_are(empty, mass):
    a, b = np.array([[0.0, 0, 0], [1, 0, 0], [0, 0, 0]]), np.array([[0.0, 1, 0], [0, 0, 1], [0, 0, 0]])
    want = fe.emd(a, b, fe.Chain(3), mass=mass, empty=empty)
    found = fe.emd(scipy.sparse.csr_array(a), scipy.sparse.csr_array(b), fe.Chain(3), mass=mass, empty=empty)
    assert np.array_equal(found, want, equal_nan=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, 5.0])
def test_bad_rows_raise_or_are_nan(bad):
    good = scipy.sparse.csr_array(np.eye(3))
    rows = scipy.sparse.csr_array(np.diag([1.0, bad, 1.0]))
    rejects(ValueError, lambda: fe.emd(rows, good, fe.Chain(3)), "1", "a")
    found = fe.emd(rows, good, fe.Chain(3), check=False)
    assert np.array_equal(np.isnan(found), [False, True, False])


def test_shapes_and_dtypes_that_do_not_fit_are_refused():
    rows, space = scipy.sparse.csr_array(np.eye(3)), fe.Chain(3)
    rejects(ValueError, lambda: fe.emd(rows, rows, fe.Chain(4)), "shape (3, 3)", "(rows, 4)")
    rejects(ValueError, lambda: fe.emd(rows, np.eye(3)[:2], space), "a has 3 rows and b has 2", "pairwise")
    rejects(ValueError, lambda: fe.emd(rows, np.eye(3)[None], space), "(1, 3, 3)", "reshape")
    rejects(TypeError, lambda: fe.emd(rows.astype(complex), rows, space), "complex128")
    rejects(TypeError, lambda: fe.flow(rows, rows, space), "sparse", "toarray")

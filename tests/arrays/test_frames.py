"""Frames and series of pandas and polars: rows are histograms, columns are bins, and names are kept."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import fastemd as fe
from fastemd import Chain, Tree
from fastemd.arrays import inputs
from tests.support.errors import rejects

ROWS, BINS = ["x", "y", "z"], ["p", "q", "r", "s"]


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(4), 3), rng.dirichlet(np.ones(4), 3)


def frames(seed=0):
    return tuple(pd.DataFrame(x, index=ROWS, columns=BINS) for x in arrays(seed))


def test_pandas_answers_carry_the_names_of_rows_and_bins():
    a, b = arrays()
    x, y = frames()
    value, grad = fe.emd_value_and_grad(x, y, Chain(4), rho=2)
    expected_value, expected_grad = fe.emd_value_and_grad(a, b, Chain(4), rho=2)
    pd.testing.assert_series_equal(value, pd.Series(expected_value, index=ROWS))
    pd.testing.assert_frame_equal(grad, pd.DataFrame(expected_grad, index=ROWS, columns=BINS))
    pd.testing.assert_frame_equal(fe.flow(x, y, Chain(4)), pd.DataFrame(fe.flow(a, b, Chain(4)), index=ROWS))
    pd.testing.assert_series_equal(fe.emd(x, b, Chain(4)), fe.emd(a, y, Chain(4)))
    pd.testing.assert_series_equal(fe.emd(x.loc["x"], y, Chain(4)), fe.emd(a[0], y, Chain(4)))


def test_a_series_is_one_histogram():
    a, b = arrays()
    x, y = (frame.loc["x"] for frame in frames())
    assert fe.emd(x, y, Chain(4)) == fe.emd(a[0], b[0], Chain(4))
    found = fe.potential(x, y, Chain(4))
    pd.testing.assert_series_equal(found, pd.Series(fe.potential(a[0], b[0], Chain(4)), index=BINS))
    assert fe.potential(pl.Series(a[0]), pl.Series(b[0]), Chain(4)).to_list() == found.to_list()


def test_polars_answers_are_series_and_frames():
    a, b = arrays()
    x, y = (pl.DataFrame(each, schema=BINS) for each in (a, b))
    value, grad = fe.emd_value_and_grad(x, y, Chain(4))
    assert isinstance(value, pl.Series)
    assert grad.columns == BINS
    np.testing.assert_array_equal(value.to_numpy(), fe.emd(a, b, Chain(4)))
    np.testing.assert_array_equal(grad.to_numpy(), fe.potential(a, b, Chain(4)))
    assert isinstance(fe.flow(x, y, Chain(4)), pl.DataFrame)


def test_an_answer_that_no_frame_holds_is_an_array():
    a, b = arrays()
    x, _ = frames()
    grad = fe.potential(x, b[:, None], Chain(4))
    assert type(grad) is np.ndarray
    np.testing.assert_array_equal(grad, fe.potential(a, b[:, None], Chain(4)))


def test_sinkhorn_takes_frames():
    x, y = frames()
    result = fe.sinkhorn(x, y, Chain(4), reg=1.0, plan=True)
    assert list(result.value.index) == ROWS
    assert list(result.grad_a.columns) == BINS
    assert type(result.plan) is np.ndarray
    assert list(fe.sinkhorn_divergence(x, y, Chain(4), reg=1.0).grad_b.columns) == BINS


@pytest.mark.parametrize("dtype", ["Float64", "Float32", "Int64", "boolean", "float64[pyarrow]", "int32[pyarrow]"])
def test_nullable_dtypes(dtype):
    x = pd.DataFrame(np.eye(4, dtype=int), columns=BINS).astype(dtype)
    assert fe.emd(x, x.iloc[::-1].reset_index(drop=True), Chain(4)).tolist() == [3.0, 1.0, 1.0, 3.0]
    x.iloc[2, 1] = pd.NA
    rejects(ValueError, lambda: fe.emd(x, x, Chain(4)), "a[2, 1] is nan")
    assert np.isnan(fe.emd(x, x, Chain(4), check=False)).tolist() == [False, False, True, False]


def test_columns_of_several_dtypes_are_promoted():
    x = pd.DataFrame({"p": [1, 0], "q": np.float32([0, 1]), "r": [False, False], "s": pd.array([0, 0], "Int8")})
    assert fe.emd(x, x[::-1].reset_index(drop=True), Chain(4)).dtype == np.float64
    rows = pl.DataFrame({"p": [1, 0], "q": [0.0, 1.0], "r": [False, False], "s": [0, 0]})
    assert fe.emd(rows, rows[::-1], Chain(4)).to_list() == [1.0, 1.0]


def test_a_frame_of_one_dtype_is_not_copied():
    x, _ = frames()
    assert np.shares_memory(inputs.as_array(x, "a"), x.to_numpy())
    series = pl.Series([0.5, 0.5])
    assert np.shares_memory(inputs.as_array(series, "a"), series.to_numpy())


def test_columns_that_are_no_numbers_are_named():
    x, y = frames()
    x["name"] = "a"
    text = "a's column 'name' has dtype"
    rejects(TypeError, lambda: fe.emd(x, y, Chain(4)), text, "a.select_dtypes('number')")
    assert len(fe.emd(x.select_dtypes("number"), y, Chain(4))) == 3
    rows = pl.DataFrame({"p": [1.0], "name": ["a"]})
    rejects(TypeError, lambda: fe.emd(rows, rows, Chain(2)), text, "a.select(polars.selectors.numeric())")
    assert fe.emd(rows.select(pl.selectors.numeric()), [[1.0]], Chain(1)).to_list() == [0.0]
    rejects(TypeError, lambda: fe.emd(pd.Series(["a", "b"]), [1.0, 0.0], Chain(2)), "a has dtype", "numbers")
    dates = pd.DataFrame({"p": pd.to_datetime(["2020-01-01"]), "q": [1.0]})
    rejects(TypeError, lambda: fe.emd(dates, dates, Chain(2)), "a's column 'p' has dtype datetime64")


def test_names_in_another_order_are_refused_and_not_paired_by_position():
    x, y = frames()
    other = y[["q", "p", "r", "s"]]
    rejects(ValueError, lambda: fe.emd(x, other, Chain(4)), "name their columns differently", "b[a.columns]")
    pd.testing.assert_series_equal(fe.emd(x, other[x.columns], Chain(4)), fe.emd(x, y, Chain(4)))
    turned = y[::-1]
    rejects(ValueError, lambda: fe.emd(x, turned, Chain(4)), "name their rows differently", "b.loc[a.index]")
    pd.testing.assert_series_equal(fe.emd(x, turned.loc[x.index], Chain(4)), fe.emd(x, y, Chain(4)))
    assert len(fe.emd(x, turned.to_numpy(), Chain(4))) == 3
    partly = y.rename(index={"y": "w", "x": "y"})
    rejects(ValueError, lambda: fe.emd(x, partly, Chain(4)), "2 of 3 names are in both", "try b.to_numpy()")
    renamed = y.set_axis(["u", "v", "w"])
    assert list(fe.emd(x, renamed, Chain(4)).index) == ROWS
    assert list(fe.emd(x, y.reset_index(drop=True), Chain(4)).index) == ROWS


def test_columns_have_the_order_of_a_trees_labels():
    tree = Tree([-1, 0, 0, 0, 0], np.ones(5), bins=[1, 2, 3, 4], labels=["root", *BINS])
    x, y = frames()
    turned = x[BINS[::-1]]
    rejects(ValueError, lambda: fe.emd(turned, y.to_numpy(), tree), "in another order", "space.bin_labels")
    pd.testing.assert_series_equal(fe.emd(turned[list(tree.bin_labels)], y, tree), fe.emd(x, y, tree))

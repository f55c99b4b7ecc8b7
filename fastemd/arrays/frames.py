"""Frames and series of pandas and polars: rows of histograms with names, and answers that carry the names on.

A frame holds a row a histogram and a column a bin; a series is one histogram.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

PACKAGES = ("pandas", "polars")


def read(x: Any, name: str) -> np.ndarray | None:
    """Return a frame or series as a numpy array, missing values as NaN; or None, if `x` is neither."""
    if not _is_frame(x) and not _is_series(x):
        return None
    return _pandas_array(x, name) if type(x).__module__.startswith("pandas") else _polars_array(x, name)


def _is_frame(x: Any) -> bool:
    return any(base.__name__ == "DataFrame" for base in type(x).__mro__)


def _is_series(x: Any) -> bool:
    return any(base.__name__ == "Series" for base in type(x).__mro__)


def _pandas_array(x: Any, name: str) -> np.ndarray:
    labels = x.columns if _is_frame(x) else [x.name]
    kinds = list(x.dtypes) if _is_frame(x) else [x.dtype]
    dtypes = []
    for label, kind in zip(labels, kinds, strict=True):
        dtype = _numpy_dtype(kind)
        if not isinstance(dtype, np.dtype) or dtype.kind not in "biufV":
            raise _column_error(name, label, kind, _is_frame(x), f"{name}.select_dtypes('number')")
        dtypes.append(dtype)
    if not dtypes:
        return np.asarray(x.to_numpy(), np.float64)
    common = np.result_type(*dtypes)
    if all(isinstance(kind, np.dtype) for kind in kinds):
        array: np.ndarray = x.to_numpy(dtype=common)
        return array
    if x.isna().to_numpy().any():
        common = np.result_type(common, np.float32)
        return np.asarray(x.to_numpy(dtype=common, na_value=np.nan))
    return np.asarray(x.to_numpy(dtype=common))


def _numpy_dtype(kind: Any) -> Any:
    """Return the numpy dtype of what a column of pandas holds, or None."""
    if isinstance(kind, np.dtype):
        return kind
    return getattr(kind, "subtype" if type(kind).__name__ == "SparseDtype" else "numpy_dtype", None)


def _polars_array(x: Any, name: str) -> np.ndarray:
    polars = sys.modules["polars"]
    columns = x.schema.items() if _is_frame(x) else [(x.name, x.dtype)]
    for label, kind in columns:
        if not (kind.is_numeric() or kind == polars.Boolean):
            raise _column_error(name, label, kind, _is_frame(x), f"{name}.select(polars.selectors.numeric())")
    array: np.ndarray = x.to_numpy()
    return array


def _column_error(name: str, label: Any, kind: Any, frame: bool, mend: str) -> TypeError:
    """Return the error for a column or series that holds no numbers."""
    where = f"{name}'s column {label!r}" if frame else name
    return TypeError(
        f"{where} has dtype {kind}. Needed: numbers, a column a bin" + (f"; try {mend}." if frame else ".")
    )


class Names:
    """The names of rows and bins in the frames of a call, and answers that carry them on.

    Parameters
    ----------
    package : str
        "pandas" or "polars".
    rows, bins : sequence or None
        Names of the rows and of the bins, where frames have them.
    """

    def __init__(self, package: str, rows: Any, bins: Any) -> None:
        self.package = package
        self.rows = rows
        self.bins = bins

    def answer(self, array: Any, n: int) -> Any:
        """Return an array as a series or frame, where its axes allow; n is the number of bins in its last axis."""
        if not isinstance(array, np.ndarray) or array.ndim == 0:
            return array[()]
        library = sys.modules[self.package]
        bins = self.bins if n >= 0 and self.bins is not None and array.shape[-1] == len(self.bins) else None
        names = self.rows if self.rows is not None and len(array) == len(self.rows) else None
        if self.package == "polars":
            return _polars_answer(library, array, bins)
        if array.ndim == 1:
            return library.Series(array, index=bins if n >= 0 else names)
        return library.DataFrame(array, index=names, columns=bins) if array.ndim == 2 else array


def _polars_answer(library: Any, array: np.ndarray, bins: Any) -> Any:
    if array.dtype == np.float16:
        array = array.astype(np.float32)  # polars' frames have no arithmetic in 16 bits
    if array.ndim == 1:
        return library.Series(array)
    return library.DataFrame(array, schema=None if bins is None else list(bins)) if array.ndim == 2 else array


def names_of(x: Any, y: Any, package: str, space: Any) -> Names:
    """Return the names of a call's frames, after a look that they name the same rows and bins in the same order."""
    rows_x, bins_x = _names(x)
    rows_y, bins_y = _names(y)
    _check_order(rows_x, rows_y, "rows", "b.loc[a.index]")
    _check_order(bins_x, bins_y, "columns", "b[a.columns]")
    bins = bins_x if bins_x is not None else bins_y
    labels = getattr(space, "bin_labels", None)
    if labels is not None and bins is not None and list(bins) != list(labels) and set(bins) == set(labels):
        raise ValueError(
            "The columns of a frame are the labels of the tree's bins in another order. Needed: the order of the bins; "
            "try frame[list(space.bin_labels)]."
        )
    return Names(package, rows_x if rows_x is not None else rows_y, bins)


def _names(x: Any) -> tuple[Any, Any]:
    """Return the names of rows and of bins; None where `x` has none."""
    package = type(x).__module__.partition(".")[0]
    if package not in PACKAGES:
        return None, None
    if _is_frame(x):
        return (x.index if package == "pandas" else None), x.columns
    return None, (x.index if package == "pandas" and hasattr(x, "index") else None)


def _check_order(x: Sequence[Any] | None, y: Sequence[Any] | None, axis: str, mend: str) -> None:
    """Raise if both frames name the same things in another order, which would pair them wrongly."""
    if x is None or y is None or len(x) != len(y) or list(x) == list(y):
        return
    shared = len(set(x) & set(y))
    if shared and not (_are_numbers(x) or _are_numbers(y)):
        i = next(i for i, (one, other) in enumerate(zip(x, y, strict=True)) if one != other)
        mend = f"{mend}, or " if shared == len(x) else ""
        raise ValueError(
            f"a and b name their {axis} differently: number {i} is {x[i]!r} in a and {y[i]!r} in b, and {shared} of "
            f"{len(x)} names are in both. Needed: the same names in the same order; try {mend}b.to_numpy(), which is "
            "paired with a by position."
        )


def _are_numbers(labels: Sequence[Any]) -> bool:
    """Whether labels are 0, 1, 2, ..., which name nothing."""
    return all(label == i for i, label in enumerate(labels))


def pairs_frame(array: np.ndarray, x: Any, y: Any) -> Any:
    """Return a matrix of pairs of rows as a frame of the library of `x`, with the names of both."""
    package = type(x).__module__.partition(".")[0]
    library = sys.modules[package]
    if package == "polars":
        return _polars_answer(library, array, None)
    columns = y.index if type(y).__module__.partition(".")[0] == "pandas" else None
    return library.DataFrame(array, index=x.index, columns=columns)

"""From files to rows of histograms, with the names of rows and bins."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

KINDS = ".npy, .npz (scipy.sparse), .csv, .tsv, .biom, .parquet"
TURNED = ("#otu id", "#name", "feature id", "feature-id")  # what heads the names of taxa, one a line


class NamedTable(NamedTuple):
    """Rows of histograms, dense or sparse, with the names of rows and bins where the file has them."""

    rows: Any
    names: list[str] | None
    bins: list[str] | None


def read_table(path: str, *, header: bool, names: bool, taxa: str | None, samples: str | None) -> NamedTable:
    """Read a table.

    Parameters
    ----------
    path : str
    header, names : bool
        Whether the first line of a text file names the columns, and the first field of a line the row.
    taxa, samples : str or None
        Paths of files with names of the columns and of the rows, one a line.

    Returns
    -------
    NamedTable
        Rows are samples; tables that have taxa in rows (biom, and text that says so in its first field) are turned.

    Raises
    ------
    OSError, TypeError, ValueError
        If the file is missing, of an unknown kind, or no table of numbers.
    ImportError
        If a library that reads it is not installed.
    """
    kind = Path(path.removesuffix(".gz")).suffix.lower()
    if kind == ".npy":
        table = NamedTable(np.load(path, mmap_mode="r", allow_pickle=False), None, None)
    elif kind == ".npz":
        from scipy.sparse import load_npz

        table = NamedTable(load_npz(path), None, None)
    elif kind in (".csv", ".tsv", ".txt"):
        table = _text(path, "," if kind == ".csv" else "\t", header, names)
    elif kind == ".biom":
        table = _biom(path)
    elif kind in (".parquet", ".pq"):
        table = _parquet(path)
    else:
        raise ValueError(f"{path} is of an unknown kind. Needed: {KINDS}.")
    if table.rows.ndim != 2:
        raise ValueError(f"{path} has shape {table.rows.shape}. Needed: two axes, a histogram a row.")
    if taxa is not None:
        table = table._replace(bins=_names(taxa, table.rows.shape[1], "--taxa", "columns"))
    if samples is not None:
        table = table._replace(names=_names(samples, table.rows.shape[0], "--samples", "rows"))
    return table


def _names(path: str, count: int, option: str, what: str) -> list[str]:
    found = Path(path).read_text(encoding="utf-8").split("\n")
    found = found[:-1] if found[-1] == "" else found
    if len(found) != count:
        raise ValueError(f"{option} {path} has {len(found)} lines. Needed: {count}, a name for each of the {what}.")
    return found


def _text(path: str, separator: str, header: bool, names: bool) -> NamedTable:
    pandas = _pandas(path)
    with gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8") as file:
        skipped = 0
        line = file.readline()
        while line.startswith("# "):
            skipped += 1
            line = file.readline()
    fields = next(csv.reader([line], delimiter=separator), [])
    if header and fields and all(map(_is_number, fields)):
        raise ValueError(
            f"The first line of {path} holds numbers only. Needed: a line with the names of the columns; --no-header "
            "if it is a row of data."
        )
    try:
        frame = pandas.read_csv(
            path, sep=separator, header=None, skiprows=skipped + header, dtype={0: str} if names else None
        )
    except pandas.errors.EmptyDataError:
        raise ValueError(f"{path} holds no rows. Needed: a histogram a line.") from None
    if header and len(fields) != frame.shape[1]:
        raise ValueError(
            f"The first line of {path} has {len(fields)} fields, and the next {frame.shape[1]}. Needed: as many; "
            "there is a field above the names of the rows, too."
        )
    rows = list(frame.pop(0)) if names else None
    columns = fields[names:] if header else None
    if columns and columns[-1].lower() in ("taxonomy", "consensus lineage"):
        frame, columns = frame.iloc[:, :-1], columns[:-1]
    found = _numbers(frame, columns, path)
    if header and names and fields[0].strip().lower() in TURNED:
        return NamedTable(np.ascontiguousarray(found.T), columns, rows)
    return NamedTable(found, rows, columns)


def _biom(path: str) -> NamedTable:
    try:
        import biom
    except ImportError:
        raise ImportError(
            f"{path} is read by biom-format, which is not installed. Needed: pip install 'fastemd[bio]'."
        ) from None
    table = biom.load_table(path)
    return NamedTable(
        table.matrix_data.T.tocsr(), [*map(str, table.ids("sample"))], [*map(str, table.ids("observation"))]
    )


def _parquet(path: str) -> NamedTable:
    pandas = _pandas(path)
    frame = pandas.read_parquet(path)
    names: list[str] | None = None
    if not isinstance(frame.index, pandas.RangeIndex):
        names = [*map(str, frame.index)]
    elif frame.shape[1] and not pandas.api.types.is_numeric_dtype(frame.dtypes.iloc[0]):
        names = [*map(str, frame.pop(frame.columns[0]))]
    bins = [*map(str, frame.columns)]
    return NamedTable(_numbers(frame, bins, path), names, bins)


def _numbers(frame: Any, columns: list[str] | None, path: str) -> np.ndarray:
    """Return the numbers of a frame; a column that holds something else is named."""
    for k, kind in enumerate(frame.dtypes):
        if getattr(kind, "kind", "O") not in "biuf":
            column = frame.iloc[:, k]
            some = next((repr(x) for x in column if not _is_number(x)), str(kind))
            name = repr(columns[k]) if columns else f"number {k}"
            raise ValueError(
                f"Column {name} of {path} holds {some}. Needed: numbers, a column a bin, names of rows in the first."
            )
    array: np.ndarray = frame.to_numpy()
    return array


def _is_number(field: Any) -> bool:
    try:
        float(field)
    except (TypeError, ValueError):
        return False
    return True


def _pandas(path: str) -> Any:
    try:
        import pandas
    except ImportError:
        raise ImportError(
            f"{path} is read by pandas, which is not installed. Needed: pip install 'fastemd[cli]'."
        ) from None
    return pandas

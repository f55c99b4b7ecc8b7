"""Tables are read from each kind of file, with the names that it has."""

import gzip
from pathlib import Path

import biom
import numpy as np
import pandas
import pytest
from scipy import sparse

from fastemd.cli.tables import read_table

ROWS = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 1.0]])
NAMES, BINS = ["s1", "s2"], ["a", "b", "c"]


def read(path, header=True, names=True, taxa=None, samples=None):
    return read_table(str(path), header=header, names=names, taxa=taxa, samples=samples)


def written(folder, kind):
    frame = pandas.DataFrame(ROWS, NAMES, BINS)
    path = folder / f"table.{kind}"
    if kind == "csv":
        frame.to_csv(path)
    elif kind == "tsv.gz":
        with gzip.open(path, "wt") as file:
            frame.to_csv(file, sep="\t", index_label="sample")
    elif kind == "tsv":
        lines = ["# Constructed from biom file", "#OTU ID\ts1\ts2\ttaxonomy"]
        lines += [f"{name}\t{x}\t{y}\tk__Bacteria" for name, (x, y) in zip(BINS, ROWS.T, strict=True)]
        path.write_text("\n".join(lines) + "\n")
    elif kind == "parquet":
        frame.to_parquet(path)
    else:
        with open(path, "w") as file:
            biom.Table(ROWS.T, BINS, NAMES).to_json("a test", direct_io=file)
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv.gz", "tsv", "parquet", "biom"])
def test_rows_are_samples_with_names_and_columns_are_bins_with_names(kind, tmp_path):
    table = read(written(tmp_path, kind))
    rows = table.rows.toarray() if sparse.issparse(table.rows) else table.rows
    np.testing.assert_array_equal(rows, ROWS)
    assert (table.names, table.bins) == (NAMES, BINS)


def test_a_column_of_text_names_the_rows_of_parquet(tmp_path):
    pandas.DataFrame({"who": NAMES, **dict(zip(BINS, ROWS.T, strict=True))}).to_parquet(tmp_path / "table.parquet")
    table = read(tmp_path / "table.parquet")
    np.testing.assert_array_equal(table.rows, ROWS)
    assert (table.names, table.bins) == (NAMES, BINS)


def test_numbers_have_no_names_but_those_of_other_files(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    sparse.save_npz(tmp_path / "rows.npz", sparse.csr_array(ROWS))
    (tmp_path / "bins.txt").write_text("\n".join(BINS))
    (tmp_path / "rows.txt").write_text("\n".join(NAMES) + "\n")
    assert read(tmp_path / "rows.npy")[1:] == (None, None)
    table = read(tmp_path / "rows.npz", taxa=str(tmp_path / "bins.txt"), samples=str(tmp_path / "rows.txt"))
    np.testing.assert_array_equal(table.rows.toarray(), ROWS)
    assert table[1:] == (NAMES, BINS)


def test_bare_text_is_read_when_it_is_said_to_be_bare(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("1,0,2\n0,3,1\n")
    table = read(path, header=False, names=False)
    np.testing.assert_array_equal(table.rows, ROWS)
    assert table[1:] == (None, None)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("rows.xlsx", "", "is of an unknown kind. Needed: .npy"),
        ("rows.csv", "name,a,b\n", "holds no rows"),
        ("rows.csv", "a,b\none,1,2\n", "has 2 fields, and the next 3"),
        ("rows.csv", "name,a,b\none,1,\n", None),
    ],
)
def test_what_is_no_table_is_refused(name, content, text, tmp_path):
    path = Path(tmp_path / name)
    path.write_text(content)
    if text is None:  # a missing number is NaN, which the functions refuse by row and bin
        assert np.isnan(read(path).rows[0, 1])
        return
    with pytest.raises(ValueError, match=text):
        read(path)

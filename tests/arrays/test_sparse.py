"""Sparse rows of cupyx are compared in host memory, and answered as cupy's arrays."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix

import fastemd as fe


class CupyxMatrix:
    """cupyx.scipy.sparse.csr_matrix, as far as it is looked at."""

    def __init__(self, rows):
        self.rows, self.nnz, self.shape, self.ndim = csr_matrix(rows), rows.nnz, rows.shape, 2

    def get(self):
        return self.rows


CupyxMatrix.__module__ = "cupyx.scipy.sparse._csr"


class CupyArray:
    """An array of cupy."""

    def __init__(self, array):
        self.array = array


@pytest.fixture
def cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(asarray=CupyArray))
    sparse = SimpleNamespace(csr_matrix=CupyxMatrix)
    monkeypatch.setitem(sys.modules, "cupyx", SimpleNamespace(scipy=SimpleNamespace(sparse=sparse)))


SPACE = fe.Tree([-1, 0, 0, 1, 1, 2, 2], [0, 1, 2, 1, 3, 1, 1])
ROWS = csr_array(np.random.default_rng(0).multinomial(3, np.full(7, 1 / 7), 6) / 3)


@pytest.mark.usefixtures("cupy")
def test_all_pairs_and_neighbours_are_those_of_scipys_rows():
    there = CupyxMatrix(ROWS)
    found = fe.pairwise(there, space=SPACE)
    assert isinstance(found, CupyArray)
    np.testing.assert_array_equal(found.array, fe.pairwise(ROWS, space=SPACE))
    distances, indices = fe.nearest(there, there, space=SPACE, k=2)
    expected = fe.nearest(ROWS, ROWS, space=SPACE, k=2)
    np.testing.assert_array_equal(distances.array, expected[0])
    np.testing.assert_array_equal(indices.array, expected[1])


@pytest.mark.usefixtures("cupy")
def test_values_and_embeddings_are_those_of_scipys_rows():
    there = CupyxMatrix(ROWS)
    found = fe.emd(there, CupyxMatrix(ROWS[[1]]), SPACE)
    np.testing.assert_array_equal(found.array, fe.emd(ROWS, ROWS[[1]], SPACE))
    embedded = fe.embed(there, SPACE)
    assert isinstance(embedded, CupyxMatrix)
    np.testing.assert_array_equal(embedded.get().toarray(), fe.embed(ROWS, SPACE).toarray())

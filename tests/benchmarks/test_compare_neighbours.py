"""The demo's nouns: their neighbours are those of the plain distance, and share a meaning."""

import numpy as np

import fastemd as fe
from benchmarks.compare import neighbours


def test_neighbours_and_pairs_are_those_of_emd():
    tree, nouns, rows = neighbours.noun_rows(200)
    found = fe.nearest(rows[:3], rows, space=tree, k=2, mass="normalize")[0]
    dense = rows.toarray()
    expected = np.sort(fe.emd(dense[:3, None], dense, tree, mass="normalize"), axis=1)[:, :2]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert len(nouns) == 200


def test_the_words_of_the_demo_have_neighbours_of_their_kind():
    found = neighbours.compute(quick=False)
    assert found.nouns == 11_908
    assert list(found.nearest) == list(neighbours.SHOWN)
    assert all(len(near) == neighbours.NEAR for near in found.nearest.values())
    assert found.matrix.shape == (neighbours.DRAWN, neighbours.DRAWN)
    for near in found.nearest.values():
        distances = [distance for _, distance in near]
        assert distances == sorted(distances)

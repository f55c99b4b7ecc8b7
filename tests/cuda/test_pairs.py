"""All pairs of rows on a device are those of the same rows in host memory."""

import numpy as np
import pytest

import fastemd as fe
from fastemd.arrays import driver
from fastemd.pairs import matrix, tiles
from tests.support import fake_libraries
from tests.support.devices import caterpillar
from tests.support.tolerance import tolerance

SPACES = {
    "chain": fe.Chain(positions=[0.0, 0.5, 2.0, 2.25, 3.5, 9.0, 9.5]),
    "ring": fe.Ring(7),
    "tree": fe.Tree([-1, 0, 0, 1, 1, 2, 2, 5, 5, 6, 6], [0, 1, 2, 0.5, 3, 1, 0, 2, 1, 1, 4], [1, 3, 4, 7, 8, 9, 10]),
    "deep tree": caterpillar(13),
}
KINDS = pytest.mark.parametrize("kind", SPACES)
# Every device computes with blocks of a few rows, so that small tables have several tiles.
GRAIN = 4


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    for module in (tiles, matrix):
        monkeypatch.setattr(module, "GRAIN", GRAIN)
    monkeypatch.setattr(matrix, "DIAGONAL", 3)


def table(space, rows, dtype=np.float64, seed=0):
    x = np.random.default_rng(seed).dirichlet(np.full(space.n, 0.5), rows)
    x[:, 2] = 0.0  # no row has mass there
    x /= x.sum(axis=1, keepdims=True)
    return x.astype(dtype)


def near(found, expected):
    slack = tolerance(np.float64, 100, 1.0, abs(expected).max(initial=1.0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=slack)


@KINDS
@pytest.mark.parametrize("rho", [1, 2, 1.5])
def test_distances_are_those_of_the_host(adapter, kind, rho):
    space = SPACES[kind]
    a, b = table(space, 6), table(space, 5, seed=1)
    found = fe.pairwise(adapter.to_device(a), adapter.to_device(b), space=space, rho=rho)
    near(adapter.to_host(found), fe.pairwise(a, b, space=space, rho=rho))


@KINDS
@pytest.mark.parametrize("condensed", [True, False])
def test_a_table_with_itself_is_symmetric_and_0_on_the_diagonal(adapter, kind, condensed):
    space = SPACES[kind]
    a = table(space, 6)
    found = adapter.to_host(fe.pairwise(adapter.to_device(a), space=space, condensed=condensed))
    near(found, fe.pairwise(a, space=space, condensed=condensed))
    if not condensed:
        np.testing.assert_array_equal(found, found.T)
        np.testing.assert_array_equal(found.diagonal(), 0.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32])
@pytest.mark.parametrize("kind", ["chain", "tree"])
def test_every_dtype_has_the_answer_of_the_host(adapter, kind, dtype):
    space = SPACES[kind]
    rng = np.random.default_rng(3)
    a = rng.multinomial(64, np.full(space.n, 1 / space.n), 6).astype(dtype)
    found = adapter.to_host(fe.pairwise(adapter.to_device(a), space=space))
    expected = fe.pairwise(a, space=space)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=4 * float(np.finfo(expected.dtype).eps), atol=0)


def test_bfloat16_rows_have_bfloat16_distances(adapter):
    space, a = SPACES["chain"], np.eye(7)[:5]
    found = adapter.from_bfloat16(fe.pairwise(adapter.to_bfloat16(a), space=space))
    np.testing.assert_array_equal(found, fe.pairwise(a, space=space))


@pytest.mark.parametrize("mass", ["normalize", "root"])
def test_mass_policies_are_those_of_the_host(adapter, mass):
    space = SPACES["tree"]
    a = table(space, 7) * np.random.default_rng(5).uniform(0.5, 2.0, (7, 1))
    near(
        adapter.to_host(fe.pairwise(adapter.to_device(a), space=space, mass=mass)),
        fe.pairwise(a, space=space, mass=mass),
    )
    near(adapter.to_host(fe.embed(adapter.to_device(a), space, mass=mass)), fe.embed(a, space, mass=mass))


@pytest.mark.parametrize("rho", [1, 2])
@pytest.mark.parametrize("kind", ["chain", "tree", "deep tree"])
def test_embedding_is_that_of_the_host(adapter, kind, rho):
    space = SPACES[kind]
    a = table(space, 9)
    found = adapter.to_host(fe.embed(adapter.to_device(a), space, rho=rho))
    near(found, fe.embed(a, space, rho=rho))


@KINDS
@pytest.mark.parametrize("k", [1, 3])
def test_nearest_rows_are_those_of_the_host_and_ties_go_to_the_first(adapter, kind, k):
    space = SPACES[kind]
    a, b = table(space, 3), table(space, 6, seed=1)
    b[5] = b[2]
    distances, indices = map(adapter.to_host, fe.nearest(adapter.to_device(a), adapter.to_device(b), space=space, k=k))
    expected, _ = fe.nearest(a, b, space=space, k=k)
    near(distances, expected)
    assert indices.dtype == np.int64
    full = adapter.to_host(fe.pairwise(adapter.to_device(a), adapter.to_device(b), space=space))
    np.testing.assert_array_equal(indices, np.argsort(full, axis=1, kind="stable")[:, :k])
    near(distances, np.take_along_axis(full, indices, axis=1))


def test_rows_of_any_strides_are_read(adapter):
    a = np.arange(1.0, 7 * 5 * 2 + 1).reshape(7, 10)
    view = adapter.view(a, (slice(None), slice(0, None, 2)), flip=True)
    expected = a.T[:, ::2]
    space = fe.Chain(4)
    near(
        adapter.to_host(fe.pairwise(view, space=space, mass="normalize")),
        fe.pairwise(expected, space=space, mass="normalize"),
    )


def test_out_may_be_an_array_on_the_device(adapter):
    space = SPACES["chain"]
    a = adapter.to_device(table(space, 6))
    out = adapter.to_device(np.full((6, 6), 5.0))
    assert fe.pairwise(a, space=space, out=out) is out
    np.testing.assert_array_equal(adapter.to_host(out), adapter.to_host(fe.pairwise(a, space=space)))


def test_out_may_be_a_file_and_an_interrupted_run_is_resumed(adapter, tmp_path, monkeypatch):
    space, a = SPACES["tree"], table(SPACES["tree"], 15)
    path = tmp_path / "distances.dat"
    out = np.memmap(path, np.float64, "w+", shape=(15, 15))
    monkeypatch.setattr("fastemd.pairs.store.FLUSHED", 1)
    tile, seen = tiles.DenseTiles.tile, []

    def interrupted(self, i, j):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append((i, j))
        return tile(self, i, j)

    monkeypatch.setattr(tiles.DenseTiles, "tile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fe.pairwise(adapter.to_device(a), space=space, out=out)
    first, seen[:] = list(seen), []
    monkeypatch.setattr(tiles.DenseTiles, "tile", lambda self, i, j: seen.append((i, j)) or tile(self, i, j))
    fe.pairwise(adapter.to_device(a), space=space, out=np.memmap(path, np.float64, "r+", shape=(15, 15)))
    assert not any(part in first for part in seen)
    near(np.memmap(path, np.float64, "r", shape=(15, 15)), fe.pairwise(a, space=space))


def test_memory_that_was_lent_is_waited_for(adapter, monkeypatch):
    if adapter.to_device is not fake_libraries.CupyArray:
        pytest.skip("the stand-in for a library that lends its memory is in the simulator")
    waited = []
    monkeypatch.setattr(driver, "synchronize", lambda *place: waited.append(place))
    rows = fake_libraries.JaxArray(table(SPACES["chain"], 3))
    for call in (
        lambda: fe.pairwise(rows, space=SPACES["chain"]),
        lambda: fe.embed(rows, SPACES["chain"]),
        lambda: fe.nearest(rows, rows, space=SPACES["chain"], k=1),
    ):
        waited.clear()
        call()
        assert waited


def test_tables_without_rows_or_edges_have_answers(adapter):
    none = fe.pairwise(
        adapter.to_device(np.zeros((0, 7))), adapter.to_device(table(SPACES["chain"], 2)), space=SPACES["chain"]
    )
    assert adapter.to_host(none).shape == (0, 2)
    alone = fe.pairwise(adapter.to_device(np.ones((3, 1))), space=fe.Chain(1))
    np.testing.assert_array_equal(adapter.to_host(alone), np.zeros((3, 3)))


# --- Errors -----------------------------------------------------------------------------------------------------------


def test_bad_rows_are_named_in_the_words_of_the_host(adapter):
    space = SPACES["chain"]
    for entry in (np.nan, -1.0, np.inf, 3.0):
        a, b = table(space, 5), table(space, 5, seed=1)
        b[3, 1] = entry
        with pytest.raises(ValueError) as host:
            fe.pairwise(a, b, space=space)
        with pytest.raises(ValueError) as there:
            fe.pairwise(adapter.to_device(a), adapter.to_device(b), space=space)
        assert str(there.value) == str(host.value)


def test_a_table_in_host_memory_beside_one_on_the_device_is_refused(adapter):
    space, a = SPACES["chain"], table(SPACES["chain"], 3)
    with pytest.raises(TypeError, match=r"A lies .* and B .*both on one side"):
        fe.pairwise(a, adapter.to_device(a), space=space)
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match=r"B .*sparse rows are compared there"):
        fe.nearest(csr_array(a), adapter.to_device(a), space=space, k=1)


def test_one_histogram_is_no_table(adapter):
    a = adapter.to_device(table(SPACES["chain"], 1)[0])
    with pytest.raises(ValueError, match=r"A has shape \(7,\).*A.reshape\(-1, 7\)"):
        fe.pairwise(a, space=SPACES["chain"])
    with pytest.raises(ValueError, match="a Ring"):
        fe.embed(adapter.to_device(table(SPACES["ring"], 2)), SPACES["ring"])

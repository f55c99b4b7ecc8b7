"""All pairs, embeddings and nearest rows are those of `emd`, dense and sparse, on every space."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix
from scipy.spatial.distance import squareform

import fastemd as fe
from fastemd import Chain, Ring, Tree, threads
from fastemd.pairs import tiles
from tests.support.errors import rejects
from tests.support.kernel_problems import spaces
from tests.support.tolerance import tolerance


@st.composite
def tables(draw, kinds=("chain", "ring", "tree")):
    space = draw(spaces(most=30).filter(lambda space: space.kind in kinds))
    mass = draw(st.sampled_from(["equal", "normalize", "root"][: 2 if space.kind == "ring" else 3]))
    rho = draw(st.sampled_from([1, 2, 1.5, 3]))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kept = rng.random(space.n) < draw(st.sampled_from([0.2, 1.0]))
    kept[rng.integers(space.n)] = True
    rows = []
    for count in (draw(st.integers(1, 9)), draw(st.integers(1, 150))):
        table = rng.dirichlet(np.full(space.n, 0.4), count) * kept + 1e-9 * kept
        table /= table.sum(axis=1, keepdims=True)
        rows.append((table if mass == "equal" else table * rng.uniform(0.5, 2, (count, 1))).astype(dtype))
    return space, *rows, {"rho": rho, "mass": mass}


def expected(space, a, b, rho, mass):
    # Rows of float32 have masses that differ by rounding; a surplus that small may go to the root.
    policy = mass if mass != "equal" else "normalize" if space.kind == "ring" else "root"
    return fe.emd(a[:, None].astype(np.float64), b.astype(np.float64), space, rho=rho, mass=policy)


def slack(space, a, b, rho):
    mass = max(1.0, float(a.sum(axis=1).max()), float(b.sum(axis=1).max()))
    edges = max(space.n, space.m)
    return 4 * rho * tolerance(a.dtype, edges, mass**rho, float(space.lengths.sum()))


@settings(max_examples=200)
@given(tables())
def test_all_pairs_are_those_of_emd(case):
    space, a, b, options = case
    near = {"rtol": 0, "atol": slack(space, a, b, options["rho"])}
    wanted = expected(space, a, b, **options)
    found = fe.pairwise(a, b, space=space, **options)
    assert found.dtype == a.dtype
    np.testing.assert_allclose(found, wanted, **near)
    for make in (csr_array, csc_array, coo_array, csr_matrix):
        np.testing.assert_allclose(fe.pairwise(make(a), make(b), space=space, **options), wanted, **near)
    np.testing.assert_allclose(fe.pairwise(csr_array(a), b, space=space, **options), wanted, **near)


@given(tables())
def test_a_table_with_itself_is_symmetric_and_0_on_the_diagonal_bit_for_bit(case):
    space, _, b, options = case
    for rows in (b, csr_array(b)):
        square = fe.pairwise(rows, space=space, **options)
        np.testing.assert_array_equal(square, square.T)
        np.testing.assert_array_equal(np.diag(square), 0)
        flat = fe.pairwise(rows, space=space, condensed=True, **options)
        np.testing.assert_array_equal(flat, squareform(square, checks=False))


@given(tables(), st.integers(1, 12))
def test_nearest_rows_are_the_first_of_the_sorted_pairs(case, k):
    space, a, b, options = case
    b = np.concatenate([b, b[:3]])  # ties
    k = min(k, len(b))
    for x, y in ((a, b), (csr_array(a), csr_array(b))):
        pairs = fe.pairwise(x, y, space=space, **options)
        order = np.argsort(pairs, axis=1, kind="stable")[:, :k]
        distances, indices = fe.nearest(x, y, space=space, k=k, **options)
        np.testing.assert_array_equal(indices, order)
        np.testing.assert_array_equal(distances, np.take_along_axis(pairs, order, axis=1))


@pytest.mark.parametrize("rho", [1, 2])
def test_nearest_among_many_rows_that_bounds_rule_out(rho):
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.full(100, 0.1), 3000).astype(np.float32)
    queries = np.concatenate([rows[:5], rng.dirichlet(np.full(100, 0.1), 20).astype(np.float32)])
    pairs = fe.pairwise(queries, rows, space=Chain(100), rho=rho)
    order = np.argsort(pairs, axis=1, kind="stable")[:, :7]
    for limit in (None, 3_000_000):
        distances, indices = fe.nearest(queries, rows, space=Chain(100), k=7, rho=rho, memory_limit=limit)
        np.testing.assert_array_equal(indices, order)
        np.testing.assert_array_equal(distances, np.take_along_axis(pairs, order, axis=1))


@given(tables(kinds=("chain", "tree")))
def test_distances_of_embeddings_are_those_of_the_rows(case):
    space, a, b, options = case
    wanted = expected(space, a, b, **options)
    one, other = (fe.embed(x, space, **options).astype(np.float64) for x in (a, b))
    assert one.shape == (len(a), space.m)
    found = (abs(one[:, None] - other) ** options["rho"]).sum(axis=-1)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=slack(space, a, b, options["rho"]))
    sparse = fe.embed(csr_array(a), space, **options)
    assert type(sparse) is csr_array
    near = slack(space, a, b, 1) + 8 * np.finfo(a.dtype).eps * abs(one).max(initial=0)
    np.testing.assert_allclose(sparse.toarray(), one, rtol=0, atol=near)


def test_near_rows_do_not_cancel_at_rho_two():
    rng = np.random.default_rng(1)
    row = rng.dirichlet(np.ones(50))
    rows = np.stack([row, row, row])
    rows[1, 3] += 1e-9
    rows[1, 4] -= 1e-9
    found = fe.pairwise(rows, space=Chain(50), rho=2)
    assert found[0, 2] == 0
    np.testing.assert_allclose(found[0, 1], 1e-18, rtol=1e-5)  # a flow of 1e-9 that holds some seven digits


def test_float32_rows_have_six_digits():
    rng = np.random.default_rng(2)
    tree = Tree([-1, *(rng.integers(0, i) for i in range(1, 1900))], rng.random(1900), bins=np.arange(900, 1900))
    rows = rng.dirichlet(np.ones(1000), 20).astype(np.float32)
    wanted = expected(tree, rows, rows, 1, "equal")
    found = fe.pairwise(rows, rows, space=tree)
    off = ~np.eye(20, dtype=bool)
    assert (abs(found - wanted)[off] <= 1e-6 * wanted[off]).all()


@pytest.mark.parametrize(
    "space", [Chain(40), Tree([-1] + [k // 2 for k in range(39)], np.ones(40)), Ring(40)], ids=repr
)
@pytest.mark.parametrize("rho", [1, 2, 1.5])
def test_bits_do_not_depend_on_threads_or_tiles(space, rho, monkeypatch):
    rows = np.random.default_rng(3).dirichlet(np.ones(40), 250).astype(np.float32)
    whole = fe.pairwise(rows, space=space, rho=rho)
    monkeypatch.setattr(tiles, "LARGEST", tiles.GRAIN)
    monkeypatch.setattr(threads, "PARALLEL", 1)
    monkeypatch.setattr(threads, "get_num_threads", lambda: 3)
    np.testing.assert_array_equal(fe.pairwise(rows, space=space, rho=rho), whole)
    np.testing.assert_array_equal(fe.pairwise(csr_array(rows), rows, space=space, rho=rho), whole)


def test_the_lemmas_of_wordnet_never_become_dense():
    from fastemd.data import table

    tree = Tree.wordnet_nouns()
    number = {wnid: v for v, wnid in enumerate(table("wordnet_noun_tree")["wnid"])}
    senses = table("wordnet_noun_senses")
    lemmas = sorted(set(senses["lemma"]))[:1500]
    place = {lemma: i for i, lemma in enumerate(lemmas)}
    kept = [k for k, lemma in enumerate(senses["lemma"]) if lemma in place]
    counts = np.array([float(senses["count"][k]) for k in kept])
    where = [place[senses["lemma"][k]] for k in kept], [number[senses["wnid"][k]] for k in kept]
    rows = csr_array(coo_array((counts, where), shape=(len(lemmas), tree.n)))
    found = fe.pairwise(rows, space=tree, mass="normalize")
    some = np.random.default_rng(4).integers(0, len(lemmas), (20, 2))
    a, b = (rows[side].toarray() for side in some.T)
    wanted = fe.emd(a, b, tree, mass="normalize")
    np.testing.assert_allclose(found[some[:, 0], some[:, 1]], wanted, atol=tolerance(np.float64, tree.n, 1, 40))
    distances, indices = fe.nearest(rows[:50], rows, space=tree, mass="normalize", k=4)
    np.testing.assert_array_equal(distances, np.sort(found[:50], axis=1)[:, :4])
    assert (indices[:, 0] <= np.arange(50)).all()


def test_answers_are_of_the_callers_kind():
    import pandas as pd
    import torch

    rows = np.random.default_rng(5).dirichlet(np.ones(4), 3)
    wanted = fe.pairwise(rows, space=Chain(4))
    found = fe.pairwise(torch.from_numpy(rows), space=Chain(4))
    assert isinstance(found, torch.Tensor)
    np.testing.assert_array_equal(found, wanted)
    frame = pd.DataFrame(rows, index=["x", "y", "z"])
    square = fe.pairwise(frame, space=Chain(4))
    assert list(square.index) == list(square.columns) == ["x", "y", "z"]
    np.testing.assert_array_equal(square, wanted)
    assert list(fe.nearest(frame, frame, space=Chain(4), k=2)[1].index) == ["x", "y", "z"]
    assert fe.pairwise(rows.tolist(), space=Chain(4)).tolist() == wanted.tolist()
    assert fe.pairwise((rows > 0.2).astype(int), space=Chain(4), mass="root").dtype == np.float64
    assert fe.pairwise(rows, space=Chain(4), dtype=np.float32).dtype == np.float32


def test_no_rows_and_one_bin():
    assert fe.pairwise(np.zeros((0, 3)), space=Chain(3)).shape == (0, 0)
    assert fe.pairwise(np.zeros((0, 3)), np.ones((2, 3)), space=Chain(3), mass="root").shape == (0, 2)
    np.testing.assert_array_equal(fe.pairwise(np.ones((2, 1)), space=Chain(1)), 0)
    assert fe.embed(csr_array((0, 3)), Chain(3)).shape == (0, 2)


ROWS = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])


@pytest.mark.parametrize("make", [np.array, csr_array], ids=["dense", "sparse"])
def test_bad_rows_are_named(make):
    bad = ROWS.copy()
    bad[1, 2] = -1
    rejects(ValueError, lambda: fe.pairwise(make(bad), space=Chain(3)), "A[1, 2] is -1.0 (row 1, bin 2)")
    bad[1, 2] = np.nan
    rejects(ValueError, lambda: fe.pairwise(ROWS, make(bad), space=Chain(3)), "B[1, 2] is nan (row 1, bin 2)")
    bad[1] = 0
    rejects(ValueError, lambda: fe.embed(make(bad), Chain(3), mass="normalize"), "A[1] (row 1) has mass 0")
    rejects(ValueError, lambda: fe.pairwise(make(bad), space=Chain(3)), "A[0] has mass 1 and A[1] (row 1) has mass 0")
    twice = 2 * ROWS
    text = "A[0] has mass 1 and B[0] (row 0) has mass 2"
    rejects(ValueError, lambda: fe.nearest(ROWS, make(twice), space=Chain(3), k=1), text, "mass='normalize'")
    assert fe.pairwise(ROWS, make(twice), space=Chain(3), mass="normalize").shape == (2, 2)


@pytest.mark.parametrize("make", [np.array, csr_array], ids=["dense", "sparse"])
def test_shapes_and_options_that_do_not_fit_are_refused(make):
    rows = make(ROWS)
    rejects(ValueError, lambda: fe.pairwise(rows, space=Chain(4)), "A ", "Needed:")
    rejects(ValueError, lambda: fe.nearest(rows, rows, space=Chain(3), k=3), "k is 3, and B has 2 rows", "from 1 to 2")
    rejects(TypeError, lambda: fe.nearest(rows, rows, space=Chain(3), k=1.5), "k is 1.5")
    rejects(ValueError, lambda: fe.pairwise(rows, rows, space=Chain(3), condensed=True), "condensed is True", "B=None")
    rejects(TypeError, lambda: fe.pairwise(rows, space=3), "space is of type int")
    rejects(ValueError, lambda: fe.pairwise(rows, space=Ring(3), mass="root"), "which has no root")
    rejects(ValueError, lambda: fe.embed(rows, Ring(3)), "space is a Ring", "fastemd.pairwise")
    rejects(TypeError, lambda: fe.pairwise(rows, space=Chain(3), dtype=int), "dtype is int64")
    rejects(TypeError, lambda: fe.pairwise(rows, space=Chain(3), memory_limit="x"), "memory_limit is 'x'", "2**30")
    rejects(ValueError, lambda: fe.pairwise(rows, space=Chain(3), memory_limit=0), "memory_limit is 0")


def test_a_single_row_is_refused_with_a_mend_that_works():
    rejects(ValueError, lambda: fe.pairwise(ROWS[0], space=Chain(3)), "A has shape (3,)", "numpy.reshape(A, (-1, 3))")
    assert fe.pairwise(np.reshape(ROWS[0], (-1, 3)), space=Chain(3)).shape == (1, 1)


def test_a_limit_below_one_tile_names_the_limit_that_does():
    rows = np.random.default_rng(6).dirichlet(np.ones(300), 200)
    with pytest.raises(ValueError, match=r"memory_limit is 1,000 bytes.*Needed: memory_limit=(\d+) or more") as error:
        fe.pairwise(rows, space=Chain(300), memory_limit=1000)
    needed = int(str(error.value).rpartition("memory_limit=")[2].partition(" ")[0])
    np.testing.assert_array_equal(
        fe.pairwise(rows, space=Chain(300), memory_limit=needed), fe.pairwise(rows, space=Chain(300))
    )


@pytest.mark.parametrize("entry", [np.nan, -1.0, np.inf])
def test_no_text_advises_an_argument_that_is_not_there(entry):
    rows = np.eye(3)
    rows[1, 1] = entry
    calls = (
        lambda: fe.pairwise(rows, space=Chain(3)),
        lambda: fe.nearest(rows, rows, space=Chain(3), k=1),
        lambda: fe.embed(rows, Chain(3)),
        lambda: fe.pairwise(np.zeros((2, 3)), space=Chain(3), mass="normalize"),
        lambda: fe.unifrac(rows, "((a:1,b:2):0.5,c:3);", taxa=list("abc")),
    )
    for call in calls:
        with pytest.raises(ValueError, match="Needed") as caught:
            call()
        assert "check=" not in str(caught.value)

"""Dask arrays: the same bits as on one machine, however they are chunked, and when a worker is killed."""

import os
import signal
import time

import numpy as np
import pytest

import fastemd as fe

da = pytest.importorskip("dask.array")
fed = pytest.importorskip("fastemd.dask")

CHAIN = fe.Chain(16)
RNG = np.random.default_rng(0)
A, B = RNG.dirichlet(np.ones(16), 23), RNG.dirichlet(np.ones(16), 23)
SPACES = [CHAIN, fe.Ring(16), fe.Tree(np.arange(-1, 15) // 2, np.ones(16))]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.kind)
@pytest.mark.parametrize("chunks", [(5, 16), (23, 4), (7, 9)])
@pytest.mark.parametrize("rho", [1, 2])
def test_answers_have_the_bits_of_one_machine(space, chunks, rho):
    a, b = da.from_array(A, chunks), da.from_array(B, (6, 16))
    np.testing.assert_array_equal(fed.emd(a, b, space, rho=rho).compute(), fe.emd(A, B, space, rho=rho))
    np.testing.assert_array_equal(fed.emd(a, B[0], space, rho=rho).compute(), fe.emd(A, B[0], space, rho=rho))
    table = fe.emd(A[:, None], B[None], space, rho=rho)
    np.testing.assert_array_equal(fed.pairwise(a, b, space=space, rho=rho).compute(), table)
    own = fed.pairwise(a, space=space, rho=rho).compute()
    np.testing.assert_array_equal(own, own.T)
    upper = np.triu_indices(len(A))
    np.testing.assert_array_equal(own[upper], fe.emd(A[:, None], A[None], space, rho=rho)[upper])


def test_nearest_are_sorted_and_ties_go_by_index():
    points = np.eye(16)[[3, 3, 9, 4, 2, 3]]
    distances, indices = fed.nearest(da.from_array(points[:1], 1), da.from_array(points, (2, 16)), space=CHAIN, k=5)
    np.testing.assert_array_equal(distances.compute(), [[0, 0, 0, 1, 1]])
    np.testing.assert_array_equal(indices.compute(), [[0, 1, 5, 3, 4]])


def test_nearest_are_those_of_the_whole_table():
    distances, indices = fed.nearest(da.from_array(A, (9, 16)), da.from_array(B, (4, 16)), space=CHAIN, k=7)
    table = fe.emd(A[:, None], B[None], CHAIN)
    order = np.argsort(table, axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(indices.compute(), order)
    np.testing.assert_array_equal(distances.compute(), np.take_along_axis(table, order, axis=1))


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: fed.emd(A, B[:4], CHAIN), ValueError, "as many rows"),
        (lambda: fed.pairwise(A[0], space=CHAIN), ValueError, r"A has shape \(16,\)"),
        (lambda: fed.pairwise(A, space=fe.Chain(4)), ValueError, "Needed: 4 bins"),
        (lambda: fed.nearest(A, B, space=CHAIN, k=24), ValueError, "k is 24. Needed: from 1 to 23"),
        (lambda: fed.nearest(A, B, space=CHAIN, k=1.5), TypeError, "k is of type float"),
        (lambda: fed.pairwise(A, space=CHAIN, rho=0), ValueError, "rho is 0"),
        (lambda: fed.emd(A, B * 2, CHAIN).compute(), ValueError, "equal masses"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


@pytest.mark.filterwarnings("ignore")  # of a cluster that loses a process
def test_answer_is_whole_and_the_same_where_a_worker_is_killed(tmp_path):
    distributed = pytest.importorskip("distributed")
    zarr = pytest.importorskip("zarr")
    space = fe.Chain(256)
    rows = np.random.default_rng(1).dirichlet(np.ones(256), 1600)
    expected = fe.emd(rows[:, None], rows[None], space)
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        first, second = client.run(os.getpid).values()
        assert first != second
        target = fed.pairwise(da.from_array(rows, (100, 256)), rows, space=space).to_zarr(
            str(tmp_path / "out.zarr"), compute=False
        )
        running = client.compute(target)
        started = time.monotonic()
        while not list((tmp_path / "out.zarr").rglob("c/*/*")) and time.monotonic() < started + 60:
            time.sleep(0.01)
        assert not running.done()
        os.kill(first, signal.SIGKILL)
        running.result(timeout=120)
    np.testing.assert_array_equal(zarr.open_array(str(tmp_path / "out.zarr"))[:], expected)

"""Dask arrays: the answers of one machine, and the same bits of the same chunks when a worker is killed."""

import os
import signal
import time

import numpy as np
import pytest

import fastemd as fe
from tests.support.tolerance import tolerance

da = pytest.importorskip("dask.array")
fed = pytest.importorskip("fastemd.dask")

CHAIN = fe.Chain(16)
RUN = 25  # rows of a chunk in the run that loses a worker: many tasks, so that it is not over before
RNG = np.random.default_rng(0)
A, B = RNG.dirichlet(np.ones(16), 23), RNG.dirichlet(np.ones(16), 23)
SPACES = [CHAIN, fe.Ring(16), fe.Tree(np.arange(-1, 15) // 2, np.ones(16))]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.kind)
@pytest.mark.parametrize("chunks", [(5, 16), (23, 4), (7, 9)])
@pytest.mark.parametrize("rho", [1, 2])
def test_answers_are_those_of_one_machine(space, chunks, rho):
    a, b = da.from_array(A, chunks), da.from_array(B, (6, 16))
    np.testing.assert_array_equal(fed.emd(a, b, space, rho=rho).compute(), fe.emd(A, B, space, rho=rho))
    np.testing.assert_array_equal(fed.emd(a, B[0], space, rho=rho).compute(), fe.emd(A, B[0], space, rho=rho))
    slack = tolerance(float, 160, 1.0, space.lengths.sum())
    table = fe.pairwise(A, B, space=space, rho=rho)
    found = fed.pairwise(a, b, space=space, rho=rho).compute()
    np.testing.assert_allclose(found, table, rtol=0, atol=slack)
    own = fed.pairwise(a, space=space, rho=rho).compute()
    np.testing.assert_array_equal(own, own.T)
    np.testing.assert_allclose(own, fe.pairwise(A, space=space, rho=rho), rtol=0, atol=slack)


@pytest.mark.parametrize("options", [{}, {"method": "unweighted"}, {"method": "generalized", "alpha": 0.5}])
def test_unifrac_is_that_of_one_machine(options):
    counts = np.random.default_rng(3).integers(0, 3, (9, 5)) + np.eye(9, 5, dtype=int)
    counts[:, 0] += 1
    tree = fe.Tree([-1, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 1, 1, 2, 1, 1], range(3, 8), ["", "", "", *"abcde"])
    found = fed.unifrac(da.from_array(counts, (4, 3)), tree, taxa=list("abcde"), **options).compute()
    slack = tolerance(float, 80, 1.0, 9.0)
    np.testing.assert_allclose(found, fe.unifrac(counts, tree, taxa=list("abcde"), **options), rtol=0, atol=slack)


def test_nearest_are_sorted_and_ties_go_by_index():
    points = np.eye(16)[[3, 3, 9, 4, 2, 3]]
    distances, indices = fed.nearest(da.from_array(points[:1], 1), da.from_array(points, (2, 16)), space=CHAIN, k=5)
    np.testing.assert_array_equal(distances.compute(), [[0, 0, 0, 1, 1]])
    np.testing.assert_array_equal(indices.compute(), [[0, 1, 5, 3, 4]])


def test_nearest_are_those_of_the_whole_table():
    distances, indices = fed.nearest(da.from_array(A, (9, 16)), da.from_array(B, (4, 16)), space=CHAIN, k=7)
    expected, at = fe.nearest(A, B, space=CHAIN, k=7)
    np.testing.assert_array_equal(indices.compute(), at)
    np.testing.assert_allclose(distances.compute(), expected, rtol=0, atol=tolerance(float, 160, 1.0, 15.0))


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
    space = fe.Chain(512)
    rows = np.random.default_rng(1).dirichlet(np.ones(512), 2000)
    table = fed.pairwise(da.from_array(rows, (RUN, 512)), da.from_array(rows[:1000], (500, 512)), space=space)
    expected = table.compute(scheduler="synchronous")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        first, second = client.run(os.getpid).values()
        assert first != second
        target = table.to_zarr(str(tmp_path / "out.zarr"), compute=False)
        running = client.compute(target)
        started = time.monotonic()
        while not list((tmp_path / "out.zarr").rglob("c/*/*")) and time.monotonic() < started + 60:
            time.sleep(0.01)
        assert not running.done()
        os.kill(first, signal.SIGKILL)
        running.result(timeout=120)
    np.testing.assert_array_equal(zarr.open_array(str(tmp_path / "out.zarr"))[:], expected)

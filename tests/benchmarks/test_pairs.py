"""The suite of all pairs runs, at tiny sizes, and its page says what its results say. No time is looked at."""

import json

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import fastemd as fe
from benchmarks import pairs
from benchmarks.opponents import l1


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    threads = fe.get_num_threads()
    pairs.run(folder, quick=True)
    fe.set_num_threads(threads)
    return folder


def test_every_job_has_times_and_the_page_names_them(results):
    (path,) = results.glob("pairs-*.json")
    lines = json.loads(path.read_text(encoding="utf-8"))["lines"]
    assert len(lines) == len(pairs.JOBS)
    written = pairs.write_pages(results, results)
    page = written[0].read_text(encoding="utf-8")
    for line in lines:
        assert line["job"] in page
        assert all(bar["figure"] is not None or line["absent"] for bar in line["bars"])


def test_the_loop_in_c_computes_l1_distances():
    a, b = (np.random.default_rng(seed).random((rows, 40), dtype=np.float32) for seed, rows in ((0, 13), (1, 33)))
    try:
        call = l1.loop(a, b, 2)
    except l1.NoCompilerError as error:
        pytest.skip(str(error))
    np.testing.assert_allclose(call()[:13, :33], cdist(a, b, "cityblock"), rtol=40 * np.finfo(np.float32).eps)

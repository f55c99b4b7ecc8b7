"""The suite of time against size runs, at two sizes, and its page says what its results say. No time is looked at."""

import json

import numpy as np
import pytest

import fastemd as fe
from benchmarks import growth


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder, threads = tmp_path_factory.mktemp("results"), fe.get_num_threads()
    growth.run(folder, quick=True)
    fe.set_num_threads(threads)
    return folder


def test_every_size_has_times_and_the_page_names_them(results):
    (path,) = results.glob("growth-*.json")
    lines = json.loads(path.read_text(encoding="utf-8"))["lines"]
    page, picture = growth.write_pages(results, results)
    assert picture.exists()
    for line in lines:
        assert {"fastemd", "torch eager", "jax, jit"} <= set(line["median_ms"])
        assert line["job"] in page.read_text(encoding="utf-8")


def test_opponents_compute_the_same():
    job = growth.job("", growth.VALUE, 3, 20)
    expected = job.fastemd()
    for name, call in job.beside.items():
        assert abs(np.asarray(call()) - expected).max() < 1e-5, name

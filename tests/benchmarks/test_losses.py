"""The suite of the losses runs, at tiny sizes, and its page says what its results say. No time is looked at."""

import json

import numpy as np
import pytest

import fastemd as fe
from benchmarks import losses
from benchmarks.harness import tables
from benchmarks.opponents import plain_jax


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    threads = fe.get_num_threads()
    losses.run(folder, quick=True)
    fe.set_num_threads(threads)
    return folder


@pytest.fixture(scope="module")
def result(results):
    (path,) = results.glob("losses-*.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_bar_of_the_losses_has_a_figure(result):
    names = " ".join(line["job"] for line in result["lines"])
    for word in ("EMDLoss, chain", "EMDLoss, ImageNet", "32 × 100", "in a step", "jax", "memory"):
        assert word in names
    assert all(bar["figure"] is not None for line in result["lines"] for bar in line["bars"])
    assert {"torch", "jax"} <= set(result["versions"])


def test_the_gradient_is_all_the_memory_of_its_size_that_the_loss_takes(result):
    bars = [bar for line in result["lines"] if "memory" in line["job"] for bar in line["bars"]]
    assert len(bars) == 2 and all(bar["met"] for bar in bars)


def test_the_pages_have_a_row_for_every_line(results, result):
    *pages, picture = losses.write_pages(results, results / "pages")
    assert len(pages) == 2
    for page in (path.read_text(encoding="utf-8") for path in pages):
        assert all(f"| {line['job']} |" in page for line in result["lines"])
        assert tables.provenance(result) in page
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("space", [fe.Chain(7), fe.Tree([-1, 0, 0, 1, 1], [0, 1, 2, 1, 3], bins=[3, 4, 2])], ids=repr)
def test_plain_jax_answers_the_same(space):
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((5, space.n)).astype(np.float32), rng.integers(space.n, size=5)
    values, _ = fe.emd_with_logits(z, y, space, rho=2)
    for formula in plain_jax.formulas(space).values():
        assert float(formula(z, y)) == pytest.approx(values.mean(), rel=8 * space.n * float(np.finfo(np.float32).eps))

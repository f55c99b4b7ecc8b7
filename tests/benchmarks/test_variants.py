"""The variants of the kernels answer what the reference does, at tiny sizes. No figure of time is looked at."""

import json

import numpy as np
import pytest

import fastemd as fe
from benchmarks.harness import problems
from benchmarks.variants import lanes as lane
from benchmarks.variants import suite
from benchmarks.variants.jobs import all_contests, contracted


@pytest.fixture(autouse=True)
def same_threads_afterwards(monkeypatch):
    monkeypatch.setattr("fastemd.threads._count", None)


@pytest.fixture(scope="module")
def contests():
    return [make() for make in all_contests(suite.SMALL)]


def test_all_variants_agree_with_the_reference(contests):
    assert len(contests) == 8
    for contest in contests:
        suite.verify(contest)


def test_a_variant_that_answers_something_else_is_refused(contests):
    contest = contests[0]
    contest.job.opponents["wrong"] = lambda: contest.job.fastemd() + np.float32(1)
    with pytest.raises(ArithmeticError, match="wrong: off by 1"):
        suite.verify(contest)
    del contest.job.opponents["wrong"]


def test_a_variant_answers_through_its_own_sweep_and_only_in_its_own_space():
    def twice(inputs, space, rho, n, scratch):
        total, balance, negative = lane._chain_value(inputs, space, rho, n, scratch)
        return total + total, balance, negative

    space = fe.Chain(43)
    a, b = problems.pair(13, 43)
    variant = lane.Variant("chain", lane._value, value=twice)
    expected = fe.emd(a, b, space)
    assert np.array_equal(fe.emd(a, b, variant.space(space, fe.emd)), 2 * expected)
    assert np.array_equal(fe.emd(a, b, space), expected)


@pytest.mark.parametrize("rho", [1, 2])
def test_contracting_bare_nodes_of_one_child_keeps_values_and_gradients(rho):
    tree = problems.random_tree(80, 43)
    short = contracted(tree)
    a, b = (x.astype(np.float64) for x in problems.pair(13, 43))
    for x, y in zip(
        *(fe.reference.emd_value_and_grad(a, b, s, rho=rho, mass="root") for s in (tree, short)), strict=True
    ):
        np.testing.assert_allclose(x, y, rtol=0, atol=8 * 80 * np.finfo(float).eps * float(tree.lengths.sum()))
    bare = np.setdiff1d(np.arange(1, short.n_nodes), short.bins)
    assert short.n_nodes < tree.n_nodes
    assert not np.any(np.bincount(short.parent[short.parent >= 0], minlength=short.n_nodes)[bare] == 1)


def test_a_path_is_contracted_to_its_ends():
    path = fe.Tree([-1, 0, 1, 2, 3], [0.0, 1.0, 2.0, 3.0, 4.0], bins=[0, 4])
    short = contracted(path)
    assert short.n_nodes == 2
    assert np.array_equal(short.cost_matrix(), path.cost_matrix())


def test_the_table_has_a_row_for_every_variant(tmp_path):
    path = suite.run(tmp_path, quick=True, only="ring")
    result = json.loads(path.read_text(encoding="utf-8"))
    (line,) = result["lines"]
    page = suite.write_page(tmp_path, tmp_path / "variants.md").read_text(encoding="utf-8")
    rows = [row.split(" | ")[1] for row in page.splitlines() if row.startswith("| ")]
    assert rows == ["variant", "---", f"**shipped: {line['shipped']}**", *line["ratio"]]
    assert "figures mean nothing" in page


def test_the_table_needs_results(tmp_path):
    with pytest.raises(FileNotFoundError, match="python -m benchmarks variants"):
        suite.write_page(tmp_path, tmp_path / "variants.md")

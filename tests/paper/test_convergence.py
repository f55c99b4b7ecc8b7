"""The descents of the paper's experiments: gradients, projection, counting, and the whole on a small scale."""

import json

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

import fastemd as fe
from benchmarks.paper import __main__ as command
from benchmarks.paper.convergence import experiment
from benchmarks.paper.convergence import page as convergence_page
from tests.support.tolerance import tolerance

SPACES = list(experiment.spaces(quick=True).values())


@pytest.mark.parametrize("space", SPACES, ids=["chain", "tree"])
def test_the_unit_of_length_is_the_mean_distance_of_two_bins(space):
    assert abs(space.cost_matrix().mean() - 1) <= tolerance(np.float64, space.n, 1, space.lengths.sum())


def test_subtree_has_the_distances_of_the_tree():
    whole = fe.Tree.imagenet()
    part = experiment.subtree(whole, "feline")
    names = [whole.labels[v] for v in whole.bins]
    inside = [k for k in range(whole.n) if below(whole, whole.bins[k], "feline")]
    assert part.n == len(inside) > 5
    assert "tabby" in {names[k] for k in inside}
    np.testing.assert_array_equal(part.cost_matrix(), whole.cost_matrix()[np.ix_(inside, inside)])


def below(tree, v, label):
    while v >= 0 and tree.labels[v] != label:
        v = tree.parent[v]
    return v >= 0


@pytest.mark.parametrize("target", experiment.TARGETS)
@pytest.mark.parametrize("space", SPACES, ids=["chain", "tree"])
def test_problems_are_histograms_drawn_from_their_seed(space, target):
    a, b = experiment.problem(3, space, target)
    for x in (a, b):
        assert x.min() >= 0
        assert abs(x.sum() - 1) <= tolerance(np.float64, space.n, 1, 1)
    assert a.min() > 0
    assert (np.count_nonzero(b) == 1) == (target == "one bin")
    np.testing.assert_array_equal(a, experiment.problem(3, space, target)[0])
    assert not np.array_equal(a, experiment.problem(4, space, target)[0])


VALUES = {
    "rho 2": lambda a, b, space: fe.reference.emd(a, b, space, rho=2),
    "rho 3": lambda a, b, space: fe.reference.emd(a, b, space, rho=3),
    "cross entropy": lambda a, b, space: -(b * np.log(a)).sum(),
    "Sinkhorn 0.3": lambda a, b, space: fe.sinkhorn(a, b, space, reg=0.3).regularised_value,
    "divergence 0.1": lambda a, b, space: fe.sinkhorn_divergence(a, b, space, reg=0.1).value,
}


@pytest.mark.parametrize("method", VALUES)
@pytest.mark.parametrize("space", SPACES, ids=["chain", "tree"])
def test_gradients_are_those_of_the_values(method, space, monkeypatch):
    monkeypatch.setattr(experiment, "INNER", 10_000)
    monkeypatch.setattr(experiment, "COLD", 10_000)
    a, b = experiment.problem(0, space, "spread")
    z, loss = np.log(a), experiment.METHODS[method](space)
    value, h = VALUES[method], 1e-4
    numeric = [
        (value(scipy.special.softmax(z + h * e), b, space) - value(scipy.special.softmax(z - h * e), b, space))
        / (2 * h)
        for e in np.eye(space.n)
    ]
    # Differences are off by h squared, and Sinkhorn's gradients by its stopping rule, 1e-4 of the mass.
    np.testing.assert_allclose(loss.on_logits(a[None], b[None])[0], numeric, atol=1e-4, rtol=1e-3)


def test_both_gradients_of_cross_entropy_agree():
    a, b = experiment.problem(1, SPACES[0], "spread")
    loss = experiment.CrossEntropy()
    chained = experiment.Loss.on_logits(loss, a[None], b[None])
    np.testing.assert_allclose(loss.on_logits(a[None], b[None]), chained, atol=tolerance(np.float64, len(a), 1, 1))


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=9))
def test_projection_is_the_nearest_point_of_the_simplex(x):
    x = np.array(x)
    p = experiment.projected(x[None])[0]
    allowed = tolerance(np.float64, len(x), 100, len(x))
    assert p.min() >= 0
    assert abs(p.sum() - 1) <= allowed
    # The nearest point is the one from which x lies at no acute angle to any corner.
    assert ((x - p) @ (np.eye(len(x)) - p).T <= allowed).all()


@pytest.mark.parametrize("route", experiment.ROUTES)
def test_descent_of_the_relaxed_distance_arrives(route):
    space = SPACES[0]
    a, b = (x[None] for x in experiment.problem(2, space, "spread"))
    steps = experiment.Steps(np.array([20.0 if route == "softmax" else 0.1]), np.array([False]))
    curve = experiment.curves(experiment.Distance(space, 2), route, a, b, steps, 500, space)
    assert curve.shape == (1, 501)
    assert curve[0, 0] == 1
    assert curve.min() < 0.1


def test_step_sizes_fall_with_the_root_of_the_step_where_they_fall():
    steps = experiment.Steps(np.array([2.0, 2.0]), np.array([False, True]))
    assert steps.at(1).tolist() == [[2.0], [2.0]]
    assert steps.at(4).tolist() == [[2.0], [1.0]]


def test_hits_are_counted_from_the_first_time():
    curve = np.array([[1.0, 0.4, 0.6, 0.2], [1.0, 0.9, 0.8, 0.7]])
    assert experiment.first(curve, 0.5).tolist() == [1, np.inf]


def test_best_step_size_is_the_one_that_arrives_first_or_comes_nearest():
    fast, slow = np.array([1.0, 0.1, 0.1, 0.1]), np.array([1.0, 0.9, 0.8, 0.1])
    near, far = np.array([1.0, 0.9, 0.8, 0.3]), np.array([1.0, 0.9, 0.8, 0.7])
    assert experiment.best(np.stack([slow, fast, near])[:, None], 0.2) == 1
    assert experiment.best(np.stack([far, near])[:, None], 0.2) == 1
    assert experiment.best(np.array([[fast, far], [slow, slow]]), 0.2) == 1


def test_experiment_runs_from_end_to_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiment, "METHODS", {k: experiment.METHODS[k] for k in ("rho 1", "rho 2", "cross entropy")})
    command.main(["convergence", "--quick", "--seeds", "2", "--results", str(tmp_path)])
    result = json.loads((tmp_path / "paper-convergence.json").read_text())
    cases = 2 * len(experiment.ROUTES) * len(experiment.TARGETS)
    assert len(result["records"]) == cases * 3 * len(experiment.FRACTIONS) * 2
    assert len(convergence_page.cases(result["records"])) == cases
    assert (tmp_path / "paper-convergence.png").stat().st_size > 10_000
    page = (tmp_path / "paper-convergence.md").read_text()
    assert page.count("| rho 2 |") == cases
    assert str(tmp_path / "paper-convergence.png") in capsys.readouterr().out

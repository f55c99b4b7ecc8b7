"""The comparison compares right: its solvers agree with the reference, its histograms are what they claim to be."""

import time

import numpy as np
import pytest
from tolerance import tolerance

from fastemd import Chain, Ring, Tree, reference
from fastemd.compare import cases, measure, packages, report
from fastemd.compare.examples import layout
from fastemd.compare.solvers import SOLVERS, STOP, Answer, Solver

pytest.importorskip("ot")
pytest.importorskip("sklearn")

SPACES = {
    "chain": Chain(positions=[0.0, 1.0, 1.5, 4.0, 7.0, 7.25]),
    "ring": Ring(lengths=[1.0, 2.0, 0.5, 3.0, 1.0, 0.25]),
    "tree": Tree([-1, 0, 0, 1, 1, 2, 5, 5], [0.0, 1.0, 2.0, 0.5, 3.0, 1.0, 2.0, 0.25], bins=[3, 4, 2, 6, 7, 0]),
}
APPLICABLE = [pytest.param(solver, kind, id=f"{solver.name}-{kind}") for solver in SOLVERS for kind in solver.kinds]


def small_case(kind, pairs=8):
    space = SPACES[kind]
    counts = np.random.default_rng(1).integers(0, 4, size=(2, pairs, space.n)) + np.eye(space.n, dtype=int)[0]
    a, b = counts / counts.sum(axis=-1, keepdims=True)
    return cases.Case(kind, f"a small {kind}", "metres", space, a, b, ("a", "b"))


@pytest.mark.parametrize(("solver", "kind"), [param for param in APPLICABLE if param.values[0].exact])
def test_every_exact_solver_agrees_with_the_reference(solver, kind):
    case = small_case(kind)
    answer = solver.prepare(case.space)(case.a, case.b)
    exact = reference.emd(case.a, case.b, case.space)
    allowed = tolerance(np.float64, max(case.space.n, case.space.m), 1.0, float(case.space.lengths.sum()))
    np.testing.assert_allclose(answer.values, exact, rtol=0, atol=allowed)
    assert answer.converged is None


@pytest.mark.parametrize(("solver", "kind"), [param for param in APPLICABLE if not param.values[0].exact])
def test_an_approximate_solver_that_converges_finds_a_plan_that_costs_no_less(solver, kind):
    case = small_case(kind)
    answer = solver.prepare(case.space)(case.a, case.b)
    exact = reference.emd(case.a, case.b, case.space)
    misplaced = STOP * case.space.n  # what a marginal may be off by
    assert answer.converged.mean() > 0.5
    assert np.all((answer.values > exact - misplaced * case.space.diameter)[answer.converged])


def test_a_smaller_regularisation_is_closer_to_the_exact_value():
    case = small_case("chain")
    exact = reference.emd(case.a, case.b, case.space)
    coarse, fine = (solver.prepare(case.space)(case.a, case.b).values for solver in SOLVERS if not solver.exact)
    assert np.all(np.abs(fine - exact) < np.abs(coarse - exact))


def test_solvers_that_do_not_apply_or_are_missing_are_told_with_the_reason():
    absent = Solver("absent", "no_such_module", ("chain",), lambda space: None)
    for_rings = Solver("circle", "numpy", ("ring",), lambda space: None)
    found = measure.compare(small_case("chain"), measure.QUICK, [absent, for_rings])
    assert [result.status for result in found.results] == ["not possible", "not possible"]
    assert "pip install 'fastemd[demo]'" in found.results[0].note
    assert "for rings only" in found.results[1].note


def test_a_slow_solver_is_timed_on_fewer_pairs():
    def slow(space):
        def solve(a, b):
            time.sleep(0.01 * len(a))
            return Answer(reference.emd(a, b, space))

        return solve

    effort = measure.Effort(pairs=8, seconds=0.06, runs=2)
    result = measure.measure(
        Solver("slow", "numpy", ("chain",), slow), case := small_case("chain"), _exact(case), effort
    )
    assert 1 <= result.pairs <= 3
    assert result.runs >= 2
    assert result.seconds_per_pair > 0.009
    assert result.largest_error == 0


def test_errors_are_relative_to_the_exact_values():
    case = small_case("ring")
    off = np.linspace(0, 0.07, 8)
    wrong = Solver(
        "wrong",
        "numpy",
        ("ring",),
        lambda space: lambda a, b: Answer(_exact(case) * (1 + off), off < 0.05),
        batched=True,
    )
    result = measure.measure(wrong, case, _exact(case), measure.QUICK)
    assert result.largest_error == pytest.approx(0.07)
    assert result.median_error == pytest.approx(0.035)
    assert result.unconverged == 3


@pytest.mark.parametrize("name", cases.CASES)
def test_cases_hold_different_histograms_of_mass_1_and_follow_the_seed(name):
    case, again, other = (cases.CASES[name](50, seed) for seed in (3, 3, 4))
    assert case.a.shape == case.b.shape == (len(case.a), case.space.n)
    assert 40 <= len(case.a) <= 50
    for histograms in (case.a, case.b):
        assert np.all(histograms >= 0)
        np.testing.assert_allclose(histograms.sum(axis=1), 1, rtol=0, atol=tolerance(np.float64, case.space.n, 1, 1))
    assert np.all(np.any(case.a != case.b, axis=1))
    assert np.array_equal(case.a, again.a)
    assert np.array_equal(case.a[0], other.a[0])  # the example
    assert not np.array_equal(case.a, other.a)


def test_hues_are_degrees_and_grey_pixels_weigh_nothing():
    colours = [
        [255, 0, 0],
        [255, 255, 0],
        [0, 255, 0],
        [0, 128, 128],
        [0, 0, 255],
        [255, 0, 255],
        [90, 90, 90],
        [200, 100, 100],
    ]
    hue, weight = cases.hues(np.array([colours], dtype=np.uint8))
    assert hue[0].tolist() == [0, 60, 120, 180, 240, 300, 0, 0]
    np.testing.assert_allclose(weight[0], np.array([255, 255, 255, 128, 255, 255, 0, 100]) / 255)


def test_grey_levels_run_from_black_to_white():
    levels, weight = cases.grey_levels(np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0]]], dtype=np.uint8))
    assert levels.tolist() == [[0, 255, 76]]
    assert np.all(weight == 1)


def test_the_noun_tree_is_spanned_by_the_senses():
    words, histograms, tree = cases.noun_senses()
    assert tree.labels[tree.root] == "entity"
    assert np.all((histograms > 0).any(axis=0))
    assert np.all((histograms > 0).sum(axis=1) >= cases.SENSES)
    leaves = np.setdiff1d(np.arange(tree.n_nodes), tree.parent)
    assert np.isin(leaves, tree.bins).all()
    star = histograms[words.index("star")]
    assert {tree.bin_labels[i] for i in np.flatnonzero(star)} == {"star", "ace"}


def test_a_layout_joins_the_bins_and_nothing_more():
    part = layout(SPACES["tree"], np.array([0, 1]))  # the nodes 3 and 4, below node 1
    assert part.parent == {1: -1, 3: 1, 4: 1}
    assert part.at[1] == (0.0, 0.5)
    assert {part.at[3], part.at[4]} == {(1.0, 0.0), (1.0, 1.0)}


def test_numbers_are_told_in_fitting_units():
    assert [report.duration(t) for t in (2.0, 0.0123, 4.56e-5, 7.8e-8)] == ["2 s", "12.3 ms", "45.6 µs", "78 ns"]
    assert [report.relative(e) for e in (0.0, 2e-16, 0.0012, 0.25, 3.0)] == ["0", "2e-16", "0.12 %", "25 %", "300 %"]


def test_a_missing_package_is_named_with_the_mend(monkeypatch):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda module: None)
    with pytest.raises(packages.MissingPackageError, match=r"scikit-learn is not installed; .*fastemd\[demo\]"):
        packages.load("sklearn.datasets")


def _exact(case):
    return reference.emd(case.a, case.b, case.space)

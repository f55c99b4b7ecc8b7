"""The limits of Sinkhorn: the plain loop against POT, the minimiser against theory, and the whole on a small scale."""

import json
from pathlib import Path

import numpy as np
import ot
import pytest

import fastemd as fe
from benchmarks.paper import __main__ as command
from benchmarks.paper import runs
from benchmarks.paper.sinkhorn_limits import accuracy, experiment, pictures, problems, solving
from benchmarks.paper.sinkhorn_limits import bias as biased
from benchmarks.paper.sinkhorn_limits import page as sinkhorn_limits_page
from tests.support.tolerance import tolerance

SPACES = list(problems.spaces(quick=True).values())
BOTH = pytest.mark.parametrize("space", SPACES, ids=["chain", "tree"])


@BOTH
def test_unit_of_reg_is_the_largest_cost(space):
    assert abs(space.cost_matrix().max() - 1) <= tolerance(np.float64, space.n, 1, 1)
    assert abs(space.diameter - 1) <= tolerance(np.float64, space.n, 1, 1)


@BOTH
@pytest.mark.parametrize("kind", [*problems.KINDS, problems.FAR])
def test_histograms_are_drawn_from_their_seed(space, kind):
    a, b = problems.pair(3, space, kind)
    for x in (a, b):
        assert x.min() >= 0
        assert abs(x.sum() - 1) <= tolerance(np.float64, space.n, 1, 1)
    np.testing.assert_array_equal(a, problems.pair(3, space, kind)[0])
    assert (a * b).any() == (kind != problems.FAR)


@BOTH
@pytest.mark.parametrize("reg", [1, 0.1, 0.03])
def test_plain_scaling_makes_the_steps_of_pot(space, reg):
    (a, b), cost = problems.pair(0, space, "Dirichlet"), space.cost_matrix()
    found = problems.plain_scaling(a, b, cost, reg, np.float64, -1.0, 30)  # no error is as small: 30 iterations
    plan = found.u[:, None] * np.exp(-cost / reg) * found.v
    allowed = tolerance(np.float64, space.n * 30, 1, 1 / reg)
    np.testing.assert_allclose(plan.sum(axis=1), a, atol=allowed)
    np.testing.assert_allclose(found.error, np.abs(plan.sum(axis=0) - b).sum(), atol=allowed)
    for other in (ot.sinkhorn, ot.bregman.sinkhorn_log):
        theirs = other(a, b, cost, reg, numItermax=30, stopThr=0, warn=False)
        np.testing.assert_allclose(plan, theirs, atol=allowed)


def test_plain_scaling_stops_at_its_target_and_not_before():
    (a, b), cost = problems.pair(0, SPACES[0], "peaked"), SPACES[0].cost_matrix()
    found = problems.plain_scaling(a, b, cost, 0.1, np.float64, 1e-5, 1000)
    before = problems.plain_scaling(a, b, cost, 0.1, np.float64, 1e-5, found.iterations - 1)
    assert found.error <= 1e-5 < before.error
    assert problems.outcome(found.error, 1e-5) == "converged"
    assert problems.outcome(before.error, 1e-5) == "ran out"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_border_is_where_the_least_entry_of_the_kernel_stops_being_normal(dtype):
    tiny, reg = np.finfo(dtype).tiny, problems.border(dtype)
    assert np.exp(-1 / (1.01 * reg)) > tiny > np.exp(-1 / (0.99 * reg)) > 0


@BOTH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_plain_scaling_of_far_histograms_holds_above_the_border_and_underflows_well_below(space, dtype):
    (a, b), cost = problems.pair(0, space, problems.FAR), space.cost_matrix()
    border = problems.border(dtype)
    above = problems.plain_scaling(a, b, cost, 1.1 * border, dtype, 1e-5, 50)
    below = problems.plain_scaling(a, b, cost, 0.5 * border, dtype, 1e-5, 50)
    assert np.isfinite(above.error)
    assert problems.outcome(below.error, 1e-5) == "broke"
    assert problems.what_broke(a, b, cost, 0.5 * border, dtype, below.iterations) == "underflow"


def test_overflow_is_told_from_underflow():
    # All mass is carried through an entry of exp(-100): no 0 in float32, but its inverse is infinite there.
    cost, a, b = np.array([[0.0, 100.0], [100.0, 0.0]]), np.array([1.0, 0.0]), np.array([0.0, 1.0])
    for dtype, how in ((np.float32, "overflow"), (np.float16, "underflow")):
        found = problems.plain_scaling(a, b, cost, 1.0, dtype, 1e-5, 50)
        assert problems.outcome(found.error, 1e-5) == "broke"
        assert problems.what_broke(a, b, cost, 1.0, dtype, found.iterations) == how


@BOTH
def test_all_solvers_come_to_the_target_at_about_one_value(space):
    a, b = problems.pair(1, space, "peaked")
    case = solving.Case(a, b, space, space.cost_matrix(), 0.1, 1000)
    threshold = solving.euclidean_target(case)
    found = {method: solving.solver(method, threshold)(case) for method in solving.METHODS}
    assert {one.outcome for one in found.values()} == {"converged"}
    exact = found.pop(solving.EXACT).value
    assert abs(exact - fe.emd(a, b, space)) <= tolerance(np.float64, space.n, 1, 1)
    values = [one.value for one in found.values()]
    assert np.ptp(values) <= 10 * solving.TARGET  # in units of the largest cost
    assert min(values) > exact
    plain, theirs = (found[name].iterations for name in ("plain float64", "POT in logarithms"))
    assert plain <= theirs <= plain + 10  # it looks every ten iterations


@BOTH
def test_plain_steps_and_over_relaxed_ones_come_to_one_value_and_direction(space):
    (records,) = [[*accuracy.against_iterations("x", space, "Dirichlet", 0, (0.1,), 1000)]]
    plain, relaxed = records
    assert (plain["method"], relaxed["method"]) == ("plain", "over-relaxed")
    for figure in ("value_error", "cosine"):
        assert abs(plain[figure][-1] - relaxed[figure][-1]) <= 1e-6
    assert plain["cosine"][-1] <= 1 + tolerance(np.float64, space.n, 1, 1)


def test_exact_gradients_that_are_not_unique_are_refused():
    a = np.full(4, 0.25)
    with pytest.raises(ValueError, match="a flow is 0"):
        accuracy.Exact(a, a, fe.Chain(4))


@BOTH
def test_entropic_minimiser_is_the_fixed_point_of_blahut_and_arimoto(space):
    (start, b), reg = problems.pair(0, space, "peaked"), 0.3
    found = biased.minimum(biased.entropic(b, space, reg), start, 400)
    kernel, a = np.exp(-space.cost_matrix() / reg), start
    for _ in range(20_000):  # the problem of rate and distortion: its iteration needs no gradient
        a = a * (kernel @ (b / (a @ kernel)))
    # The gap bounds how much lower the value may get; near the minimum the distance goes with its root.
    assert -tolerance(np.float64, space.n, 1, 1 / reg) <= found.gap <= 1e-4
    assert fe.emd(found.a, a, space, mass="normalize") <= 1e-2


@BOTH
def test_minimiser_of_the_entropy_of_the_plan_alone_has_no_better_neighbour(space):
    b, cost, reg = problems.pair(0, space, "peaked")[1], space.cost_matrix(), 0.3
    best = biased.blurred(b, cost, reg)

    def value(a):
        plan = ot.bregman.sinkhorn_log(a, b, cost, reg, numItermax=500, stopThr=1e-13, warn=False)
        return (plan * cost).sum() + reg * (plan * np.log(plan)).sum()

    assert abs(best.sum() - 1) <= tolerance(np.float64, space.n, 1, 1)
    rng = np.random.default_rng(0)
    assert all(value(0.99 * best + 0.01 * rng.dirichlet(np.ones(space.n))) > value(best) for _ in range(5))


@BOTH
@pytest.mark.parametrize("make", [lambda b, s: biased.exact(b, s, 2), lambda b, s: biased.debiased(b, s, 0.3)])
def test_search_finds_b_where_the_minimum_is_at_b(space, make):
    start, b = problems.pair(0, space, "peaked")
    found = biased.minimum(make(b, space), start, 300)
    assert fe.emd(found.a, b, space, mass="normalize") <= 1e-4 * fe.emd(start, b, space)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A quick run, by the command."""
    folder = tmp_path_factory.mktemp("limits")
    command.main(["sinkhorn_limits", "--quick", "--seeds", "2", "--results", str(folder)])
    return folder


@pytest.fixture
def result(folder):
    return json.loads((folder / "paper-sinkhorn_limits.json").read_text())


def test_experiment_runs_from_end_to_end(folder, result):
    assert {one["question"] for one in result["records"]} == {"steps", *experiment.PICTURES}
    page = (folder / "paper-sinkhorn_limits.md").read_text()
    assert all(f"**{title}**" in page for title in sinkhorn_limits_page.TABLES)
    shown = (Path(__file__).parents[2] / "docs/paper/sinkhorn_limits.md").read_text(encoding="utf-8")
    for question in experiment.PICTURES:
        assert f"../generated/paper-sinkhorn_limits-{question}.png" in shown
        assert (folder / f"paper-sinkhorn_limits-{question}.png").stat().st_size > 10_000
    assert fe.get_num_threads() >= 1


def changed(result, question, change, **where):
    """The result with records of a question changed."""
    records = [
        one | change(one)
        if one["question"] == question and all(one[name] == value for name, value in where.items())
        else one
        for one in result["records"]
    ]
    return result | {"records": records}


def test_median_of_runs_counts_what_did_not_converge_as_infinite(result):
    where = {"space": runs.names(result["records"], "space")[0], "method": "plain float64", "reg": 0.1}

    def middle(change):
        after = changed(result, "speed", change, **where)
        return np.median(pictures.reached(pictures.chosen(after, "speed", **where), "iterations"))

    good = {"outcome": "converged", "iterations": 9}
    assert middle(lambda _: good) == 9
    assert middle(lambda one: good if one["seed"] == 0 else {"outcome": "broke", "iterations": 1}) == np.inf


def test_table_of_the_range_has_the_first_reg_that_breaks_and_from_where_on_all_do():
    def rows(*outcomes):
        return [{"reg": reg, "outcome": outcome} for reg, outcome in zip((1, 1, 0.1, 0.1), outcomes, strict=True)]

    assert sinkhorn_limits_page.broken(rows(*["converged"] * 4)) == (None, None)
    assert sinkhorn_limits_page.broken(rows("broke", "converged", "broke", "broke")) == (1, 0.1)
    assert sinkhorn_limits_page.broken(rows(*["broke"] * 4)) == (1, 1)
    assert sinkhorn_limits_page.broken(rows("broke", "broke", "ran out", "broke")) == (1, None)


def test_methods_that_lose_patience_or_have_no_room_stop_and_say_why(monkeypatch):
    monkeypatch.setattr(solving, "PATIENCE", 0.0)
    growth = solving.Growth(0.1, 3, 50)
    records = list(growth.at("chain", 10))
    assert len(records) == len(solving.METHODS) - 1  # one seed each
    assert len(growth.stopped) == len(records)
    assert not list(growth.at("chain", 30))
    monkeypatch.setattr(solving, "LARGEST_MATRIX", 10)
    growth = solving.Growth(0.1, 1, 50)
    assert [one["method"] for one in growth.at("tree", 20)] == ["fastemd on the space", solving.EXACT]
    assert "its matrix would have 20 × 20 entries" in growth.stopped[0]["why"]

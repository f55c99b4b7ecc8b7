"""The comparison compares right: it measures what it says, its histograms are what they claim to be."""

import csv
import dataclasses
import io
import time

import numpy as np
import pytest

from benchmarks.compare import accuracy, cases, curves, measure, packages, report, sizes
from benchmarks.compare.contenders import Effort, Result
from benchmarks.compare.examples import layout
from benchmarks.compare.solver import STOP, Answer, Ready, Solver, one_by_one
from benchmarks.harness import memory, tables
from fastemd import reference
from tests.support.compare_problems import SPACES, small_case
from tests.support.tolerance import tolerance

pytest.importorskip("sklearn")

ANYWHERE = ("chain", "ring", "tree")


def exact_of(case):
    return reference.emd(case.a, case.b, case.space)


def fake(name, answer, wait=lambda *_: 0.0, **rest):
    """A solver that answers `answer(a, b, space)`, and takes its time."""

    def prepare(space, *share):
        def run(a, b):
            time.sleep(wait(len(a), *share))
            return answer(a, b, space, *share)

        return Ready(lambda a, b: (a, b), run, lambda found, *_: found)

    return Solver(name, ("numpy",), ANYWHERE, prepare, "a fake", **rest)


def right(a, b, space, *_):
    return Answer(reference.emd(a, b, space))


def results_of(case, effort, *solvers):
    return measure.compare(case, effort, solvers).results


def test_solvers_that_do_not_apply_or_are_missing_are_told_with_the_reason():
    absent = Solver("absent", ("no_such_module",), ("chain",), lambda space: None, "")
    for_rings = Solver("circle", ("numpy",), ("ring",), lambda space: None, "")
    even = Solver("even", ("numpy",), ("ring",), lambda space: None, "", equal_ring=True)
    found = results_of(small_case("chain"), measure.QUICK, absent, for_rings)
    assert [result.status for result in found] == ["missing", "does not apply"]
    assert "pip install no_such_module" in found[0].note
    assert "for rings only" in found[1].note
    assert "equal edges" in even.unfit(SPACES["uneven ring"]) and even.unfit(SPACES["ring"]) is None
    assert report.missing(found) == [f"{found[0].note} (absent)"]


def test_a_solver_that_fails_is_told_and_the_others_go_on():
    def breaks(a, b, space):
        raise RuntimeError("no compiler\nand more")

    found = results_of(small_case("chain"), measure.QUICK, fake("broken", breaks), fake("fine", right))
    assert [result.status for result in found] == ["failed", "timed"]
    assert found[0].note == "RuntimeError: no compiler"


def test_a_slow_solver_is_timed_on_fewer_pairs():
    def slow(space):
        return one_by_one(lambda a, b: (time.sleep(0.01), reference.emd(a, b, space))[1])

    effort = Effort(pairs=8, seconds=0.15, turns=3)
    (result,) = results_of(small_case("chain"), effort, Solver("slow", ("numpy",), ("chain",), slow, ""))
    assert 1 <= result.pairs <= 3
    assert result.turns == 3
    assert result.seconds_per_pair > 0.009
    assert result.largest_error < measure.ROUNDING


def test_errors_are_relative_to_the_exact_values_and_unmet_marginals_are_counted():
    case, share = small_case("ring"), 0.1
    factor, off = 1 + np.linspace(0, 0.07, 8), STOP * share * np.array([0, 1, 1, 0.5, 2, 3, np.nan, 0])

    def wrong(a, b, space, share):
        return Answer(exact_of(case) * factor, off)

    (result,) = results_of(case, measure.FULL, fake("wrong", wrong, settings=(share,), batched=True))
    assert result.largest_error == pytest.approx(0.07)
    assert result.median_error == pytest.approx(0.035)
    assert result.unconverged == 3
    assert not result.exact and result.setting == share


def test_set_up_transfer_and_compilation_are_timed_apart_from_the_call():
    case, called = small_case("chain"), []

    def prepare(space):
        time.sleep(0.02)

        def transfer(a, b):
            time.sleep(0.03)
            return a, b

        def run(a, b):
            called.append(None)
            if len(called) == 1:
                time.sleep(0.05)
            return reference.emd(a, b, space)

        return Ready(transfer, run, lambda values, *_: Answer(values))

    solver = Solver("parts", ("numpy",), ("chain",), prepare, "", batched=True)
    (result,) = results_of(case, measure.QUICK, solver)
    assert result.setup_seconds >= 0.02
    assert result.transfer_seconds >= 0.03 / 8
    assert result.compile_seconds >= 0.04
    assert result.seconds_per_pair < 0.01


def test_smaller_regularisations_are_left_out_where_they_would_take_too_long():
    seconds = {0.1: 0.0, 0.03: 0.1, 0.01: 1.0}
    solver = fake("slow", right, lambda pairs, share: seconds[share], settings=tuple(seconds), batched=True)
    found = results_of(small_case("chain"), Effort(patience=0.2, turns=1), solver)
    assert [result.status for result in found] == ["timed", "timed", "not tried"]
    assert "expected to take" in found[2].note


def test_a_run_whose_time_is_up_tries_the_cheapest_setting_of_every_solver_first():
    slow = [fake(str(k), right, lambda *_: 0.1, settings=(0.1, 0.03), batched=True) for k in range(2)]
    found = results_of(small_case("chain"), Effort(limit=0.35, turns=1), *slow)
    assert [result.status for result in found] == ["timed", "not tried", "timed", "not tried"]
    assert "time of this run was up" in found[1].note


def result(solver, setting, seconds, error, status="timed"):
    return Result(solver, setting, status, "", setting is None, seconds_per_pair=seconds, median_error=error)


LADDER = [
    result("exact", None, 0.002, 1e-16),
    result("entropic", 0.1, 0.001, 0.2),
    result("entropic", 0.03, 0.004, 0.05),
    result("entropic", 0.01, 0.003, 0.009),
    result("entropic", 0.003, None, None, "not tried"),
    result("lost", 0.1, 0.001, np.nan),
    result("never", 0.1, None, None, "missing"),
]


def test_at_equal_accuracy_the_cheapest_setting_that_reaches_an_error_counts():
    found = accuracy.equal_accuracy(LADDER)
    assert set(found) == {"exact", "entropic", "lost"}
    assert [each and each.setting for each in found["entropic"]] == [0.01, 0.01, None]  # 0.03 is dearer and worse
    assert [each and each.seconds_per_pair for each in found["exact"]] == [0.002] * 3
    assert found["lost"] == [None] * 3
    assert [each.setting for each in accuracy.shown(LADDER)] == [None, 0.01, 0.1]
    assert list(report.equal_rows(LADDER)) == [
        ("exact (exact)", "2 ms", "2 ms", "2 ms"),
        ("entropic", "3 ms at 0.01", "3 ms at 0.01", "–"),
        ("lost", "–", "–", "–"),
    ]


def test_the_memory_of_a_call_is_that_of_its_arrays():
    def call(count):
        return lambda: np.ones(count).sum()

    small, large = (memory.peak_of(call(count)) for count in (1_000, 4_000_000))
    if small is None:
        pytest.skip("this system does not tell its peak of memory")
    assert 32e6 <= large < 64e6
    assert small < 8e6


def test_sizes_leave_out_what_would_be_too_large_or_take_too_long():
    dense = fake("dense", right, dense=True, batched=True)
    slow = fake("slow", right, lambda pairs: 0.1, batched=True)
    effort = Effort(turns=1, patience=0.5)
    found = sizes.compare_sizes(dataclasses.replace(effort, sizes=(4, 40)), 0, [slow, dense])
    assert [[result.solver for result in each.results] for each in found] == [["slow", "dense"], ["dense"]]
    found = sizes.compare_sizes(dataclasses.replace(effort, sizes=(4, 5_000)), 0, [dense])
    assert [len(each.results) for each in found] == [1, 0]
    for each in found:
        assert np.all(each.exact > 0) and each.case.space.n == each.case.a.shape[1]


@pytest.fixture(scope="module")
def figures():
    entropic = fake("fastemd.sinkhorn", right, settings=(0.1, 0.01), batched=True)
    solvers = [fake("POT", right, batched=True), entropic, Solver("gone", ("no_such",), ANYWHERE, None, "")]
    found = [measure.compare(small_case(name), measure.QUICK, solvers) for name in ("chain", "tree")]
    chains = sizes.compare_sizes(dataclasses.replace(measure.QUICK, sizes=(3, 4)), 0, solvers)
    return report.figures(report.head(seed=0, quick=True), found, chains, {"numpy": 0.1})


def test_figures_have_a_line_in_csv_for_each_result(figures):
    lines = list(csv.DictReader(io.StringIO(report.as_csv(figures))))
    found = [each for case in (*figures["cases"], *figures["sizes"]) for each in case["results"]]
    assert len(lines) == len(found) == 12
    assert set(lines[0]) == {"case", "space", "bins", *(field.name for field in dataclasses.fields(Result))}
    assert [line["solver"] for line in lines] == [each["solver"] for each in found]
    assert [float(line["seconds_per_pair"]) for line in lines if line["status"] == "timed"] == [
        each["seconds_per_pair"] for each in found if each["status"] == "timed"
    ]
    assert {line["status"] for line in lines} == {"timed", "missing"}
    assert report.results_of(figures["cases"][0])[1] == Result(**figures["cases"][0]["results"][1])


def test_curves_are_drawn_from_figures_alone(figures, tmp_path):
    pytest.importorskip("matplotlib")
    for draw, name in ((curves.draw_errors, "errors.png"), (curves.draw_sizes, "sizes.png")):
        draw(figures, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


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
    assert [tables.duration(t) for t in (2.0, 0.0123, 4.56e-5, 7.8e-8)] == ["2 s", "12.3 ms", "45.6 µs", "78 ns"]
    assert [report.relative(e) for e in (0.0, 2e-16, 0.0012, 0.25, 3.0)] == ["0", "2e-16", "0.12 %", "25 %", "300 %"]
    assert [report.size(count) for count in (12, 2_500, 3.2e6, 4.5e8, None)] == [
        "12 B",
        "2.5 kB",
        "3.2 MB",
        "450 MB",
        "–",
    ]


def test_a_value_that_is_no_number_is_told_and_never_counts_as_small():
    def lost(a, b, space, share):
        return Answer(np.full(len(a), np.nan), np.full(len(a), np.nan))

    (found,) = results_of(small_case("chain"), measure.QUICK, fake("lost", lost, settings=(0.1,), batched=True))
    assert found.median_error is None and found.unconverged == found.pairs
    assert report.cells(found)[2:4] == ("not finite", "not finite")
    assert accuracy.cheapest([found], 1.0) is None


def test_a_missing_package_is_named_with_the_mend(monkeypatch):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda module: None)
    with pytest.raises(packages.MissingPackageError, match=r"scikit-learn is not installed; .*fastemd\[demo\]"):
        packages.load("sklearn.datasets")

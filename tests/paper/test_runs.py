"""Shared parts of the paper's experiments: statistics against scipy's, choosing records, files out of files."""

import json
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.paper import __main__ as command
from benchmarks.paper import runs
from tests.support.tolerance import tolerance

figures = st.lists(st.tuples(*[st.integers(-1000, 1000)] * 2), min_size=2, max_size=12)


@given(figures, st.booleans())
def test_paired_comparison_is_the_paired_t_test_and_the_sign_test_of_scipy(pairs, higher_wins):
    x, y = np.array(pairs, float).T
    found = runs.paired(x, y, higher_wins=higher_wins)
    difference = x - y
    assert found.seeds == len(x)
    assert found.won == ((difference > 0) if higher_wins else (difference < 0)).sum()
    assert found.lost == ((difference < 0) if higher_wins else (difference > 0)).sum()
    allowed = tolerance(np.float64, len(x), 2000, len(x))
    assert abs(found.difference - difference.mean()) <= allowed
    assert abs(found.sd - difference.std(ddof=1)) <= allowed
    if found.won + found.lost:
        assert found.p_sign == scipy.stats.binomtest(found.won, found.won + found.lost).pvalue
    if np.ptp(difference) > 0:
        expected = scipy.stats.ttest_rel(x, y).pvalue
        assert abs(found.p_t - expected) <= tolerance(np.float64, len(x), 2000, len(x))


def test_paired_comparison_of_equal_figures_finds_nothing():
    assert runs.paired([1, 2], [1, 2], higher_wins=True) == (0.0, 0.0, 2, 0, 0, 1.0, 1.0)


def test_paired_comparison_of_one_constant_difference_is_no_chance():
    assert runs.paired([2, 3], [1, 2], higher_wins=True)[:6] == (1.0, 0.0, 2, 2, 0, 0.0)


@given(figures.filter(lambda pairs: np.ptp([x - y for x, y in pairs]) > 0))
def test_rows_shared_by_splits_make_the_t_test_more_careful(pairs):
    x, y = zip(*pairs, strict=True)
    alone, shared = (runs.paired(x, y, higher_wins=True, overlap=overlap) for overlap in (0.0, 0.25))
    assert shared.p_t >= alone.p_t
    t = abs(alone.difference) / (alone.sd * np.sqrt(1 / len(x) + 0.25))
    assert shared.p_t == pytest.approx(2 * scipy.stats.t.sf(t, len(x) - 1))


@pytest.mark.parametrize("x", [[1.0], [1.0, np.nan], [[1.0, 2.0]]])
def test_paired_comparison_refuses_what_it_cannot_compare(x):
    with pytest.raises(ValueError, match="finite figures of two seeds or more"):
        runs.paired(x, np.zeros_like(x), higher_wins=True)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_holms_steps_reject(p):
    adjusted = runs.holm(p)
    order = np.argsort(p, kind="stable")
    for level in (0.01, 0.05, 0.3):
        rejected = set()
        for k, i in enumerate(order):
            if p[i] * (len(p) - k) >= level:
                break
            rejected.add(i)
        assert {i for i in range(len(p)) if adjusted[i] < level} == rejected


RECORDS = [
    {"method": method, "seed": seed, "data": data, "worth": 10 * seed + k}
    for seed in (2, 0, 1)
    for k, method in enumerate("ab")
    for data in ("x", "y")
]


def test_figures_come_in_the_order_of_their_seeds():
    assert runs.by_seed(RECORDS, "worth", method="b", data="x").tolist() == [1, 11, 21]
    assert runs.names(RECORDS, "seed") == [2, 0, 1]


def test_a_comparison_that_mixes_records_is_refused():
    with pytest.raises(ValueError, match="two records of seed 2"):
        runs.by_seed(RECORDS, "worth", method="b")
    with pytest.raises(ValueError, match="no record with"):
        runs.by_seed(RECORDS, "worth", method="c")


def test_comparison_pairs_each_method_with_one_of_them():
    found = runs.comparison(RECORDS, "worth", "a", higher_wins=False, data="y")
    assert list(found) == ["b"]
    assert (found["b"].difference, found["b"].won, found["b"].lost) == (1.0, 0, 3)


def test_cells_say_how_large_how_often_and_how_likely():
    assert runs.mean_and_sd([1.0, 2.0, 3.0]) == "2 ± 1"
    assert runs.versus(runs.Paired(0.5, 0.1, 5, 5, 0, 0.0004, 0.06)) == "+0.5, won 5/5, p < 0.001"
    assert runs.versus(runs.Paired(-0.5, 0.1, 5, 1, 4, 0.02, 0.06), 0.24) == "-0.5, won 1/5, p = 0.24"


def test_progress_goes_through_all_items(capsys):
    assert list(runs.track([3, 1, 2], "things")) == [3, 1, 2]
    assert "things 3/3: 2" in capsys.readouterr().err


def test_pages_are_made_from_the_file_of_results_alone(tmp_path):
    experiment = SimpleNamespace(
        page=lambda result: f"found {result['found']}", draw=lambda result, path: path.write_text(str(result["found"]))
    )
    options = Namespace(quick=True, seeds=3)
    result = runs.measured(lambda _: {"found": 7}, options, ())
    runs.save(result, "thing", tmp_path)
    assert json.loads((tmp_path / "paper-thing.json").read_text())["seeds"] == 3
    page, picture = runs.write(experiment, "thing", tmp_path, tmp_path / "pages")
    assert "found 7" in page.read_text()
    assert "A quick run" in page.read_text()
    assert picture.read_text() == "7"


def test_an_experiment_of_several_pictures_has_a_file_for_each(tmp_path):
    def drawing(word):
        return lambda result, path: path.write_text(f"{word} {result['found']}")

    experiment = SimpleNamespace(page=lambda result: "a page", PICTURES={"one": drawing("1"), "two": drawing("2")})
    runs.save(runs.measured(lambda _: {"found": 7}, Namespace(quick=True, seeds=3), ()), "thing", tmp_path)
    page, *pictures = runs.write(experiment, "thing", tmp_path, tmp_path)
    assert "a page" in page.read_text()
    assert {path.name: path.read_text() for path in pictures} == {
        "paper-thing-one.png": "1 7",
        "paper-thing-two.png": "2 7",
    }


def test_results_that_are_not_there_or_are_no_numbers_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"make it with: python -m benchmarks\.paper thing"):
        runs.write(None, "thing", tmp_path, tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        runs.save({"found": float("nan")}, "thing", tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["convergence", "--quick"], "a quick run is not for the documentation"),
        (["convergence", "--seeds", "1"], "--seeds is 1. Needed: 2 or more"),
        (["imagenet", "--data", "."], "the following arguments are required: --results"),
    ],
)
def test_command_line_says_what_it_needs(words, said, capsys):
    with pytest.raises(SystemExit):
        command.main(words)
    assert said in capsys.readouterr().err


def test_command_line_finds_no_tables_where_there_are_no_results(tmp_path, capsys):
    with pytest.raises(SystemExit):
        command.main(["tables", "--results", str(tmp_path)])
    assert "has no results of an experiment" in capsys.readouterr().err


def test_help_of_the_training_script_says_that_no_result_is_claimed(capsys):
    with pytest.raises(SystemExit):
        command.main(["imagenet", "--help"])
    assert "No result of it is claimed" in capsys.readouterr().out

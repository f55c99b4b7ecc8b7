"""The classifiers of glosses from WordNet's file to the page: what a run sets aside, keeps and tells."""

import argparse
import json

import numpy as np
import pytest

from benchmarks.paper import __main__ as command
from benchmarks.paper import runs
from benchmarks.paper.wordnet import experiment
from benchmarks.paper.wordnet import page as wordnet_page
from benchmarks.paper.wordnet.data import task
from benchmarks.paper.wordnet.losses import METHODS
from tests.support.paper_glosses import write_database


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return write_database(tmp_path_factory.mktemp("wordnet") / "data.noun")


@pytest.fixture(scope="module")
def results(database, tmp_path_factory):
    """A quick run by the command line, with everything it makes."""
    folder = tmp_path_factory.mktemp("results")
    command.main(["wordnet", "--quick", "--seeds", "3", "--data", str(database), "--results", str(folder)])
    return folder


@pytest.fixture
def result(results):
    return json.loads((results / "paper-wordnet.json").read_text(encoding="utf-8"))


def test_validation_glosses_of_the_tuning_are_in_no_other_part(database):
    bench = experiment.Bench(task(database, at_most=4), experiment.QUICK)
    aside = set(bench.validation.flat)
    assert len(aside) == 4 * experiment.QUICK.validation
    assert not aside & set(bench.tuning.flat)
    assert not aside & set(np.concatenate(bench.pool))
    assert aside | set(np.concatenate(bench.pool)) == set(np.concatenate(bench.given.members))


def test_every_loss_meets_the_same_glosses_and_smaller_parts_are_in_larger_ones(database, monkeypatch):
    bench, seen = experiment.Bench(task(database, at_most=4), experiment.QUICK), []
    features = experiment.features
    monkeypatch.setattr(experiment, "features", lambda glosses, *parts: seen.append(parts) or features(glosses, *parts))
    best = {"rate": 0.02, "weight": 0.1, "epochs": 1}
    for train, method in ((3, METHODS[0]), (3, METHODS[-1]), (6, METHODS[0])):
        bench.test(train, method, 1, best)
    (first, test), (again, same), (larger, still) = seen
    assert np.array_equal(first, again) and np.array_equal(first, larger[:, :3])
    assert np.array_equal(test, same) and np.array_equal(test, still)
    assert not set(test.flat) & set(larger.flat)
    bench.test(3, METHODS[0], 2, best)
    assert not np.array_equal(seen[-1][1], test)


def test_the_test_is_met_with_the_best_setting_of_the_tuning(result):
    for best in result["chosen"]:
        tried = [one for one in result["tries"] if (one["train"], one["method"]) == (best["train"], best["method"])]
        assert len(tried) == 3 and best in tried
        assert best["top1"] == max(one["top1"] for one in tried)
    assert len(result["records"]) == 2 * len(METHODS) * 3
    for one in result["records"]:
        assert 0 <= one["top1"] <= one["top5"] <= 1 and 0 <= one["climb"] <= one["distance"] <= one["mistake"]


def test_controls_are_cross_entropy_in_the_schedule_of_the_other_loss(database, result):
    bench = experiment.Bench(task(database, at_most=8), experiment.QUICK)
    weighted = [method for method in METHODS if method.weights != (None,)]
    assert len(result["controls"]) == 2 * len(weighted) * 3
    for method in weighted:
        best = next(one for one in result["chosen"] if one["method"] == method.name and one["train"] == 6)
        expected = bench.test(6, METHODS[0], 2, {"rate": best["rate"], "weight": None, "epochs": best["epochs"]})
        name = f"cross entropy as {method.name}"
        assert runs.by_seed(result["controls"], "top5", method=name, train=6)[1] == expected["top5"]
        own = runs.by_seed(result["records"], "top1", method=method.name, train=6)
        plain = runs.by_seed(result["controls"], "top1", method=name, train=6)
        found, _ = wordnet_page.controlled(result, "top1", 6)[method.name]
        assert found == runs.paired(100 * own, 100 * plain, higher_wins=True)


def options(database, path, seeds):
    return argparse.Namespace(quick=True, seeds=seeds, data=database, resume=path)


def test_a_run_goes_on_where_it_was_broken_off_and_gives_the_same_figures(database, tmp_path, result, monkeypatch):
    path = tmp_path / "kept.jsonl"
    experiment.run(options(database, path, 2))
    path.write_text("\n".join(path.read_text().splitlines()[:-5]) + "\n")  # five of the controls
    tested = []
    test = experiment.Bench.test
    monkeypatch.setattr(experiment.Bench, "test", lambda self, *given: tested.append(given) or test(self, *given))
    monkeypatch.setattr(experiment.Bench, "tune", lambda self, *given: pytest.fail("tuned again"))
    records = experiment.run(options(database, path, 3))["records"]
    assert len(tested) == 5 + 2 * (len(METHODS) + 4)
    for one, other in zip(records, result["records"], strict=True):
        assert one | {"seconds": 0} == other | {"seconds": 0}


def test_runs_of_other_sizes_are_not_mixed(database, tmp_path, monkeypatch):
    path = tmp_path / "kept.jsonl"
    experiment.Kept(path, {"least": 40})
    with pytest.raises(ValueError, match="is of a run of other sizes"):
        experiment.run(options(database, path, 2))
    assert experiment.Kept(path, {"least": 40}).found == {}


def test_the_page_tells_every_loss_and_the_claim_and_the_picture_is_drawn(results, result):
    page = (results / "paper-wordnet.md").read_text(encoding="utf-8")
    for method in METHODS:
        assert f"| {method.name} | rate" in page
    for train in experiment.QUICK.train:
        for method in wordnet_page.CLAIMED:
            line = next(line for line in page.splitlines() if line.startswith(f"| {train} | {method} |"))
            top1 = [runs.by_seed(result["records"], "top1", method=m, train=train) for m in (method, "cross entropy")]
            assert f"| {100 * np.mean(top1[0] - top1[1]):+.2f} ± " in line
    assert (results / "paper-wordnet.png").read_bytes().startswith(b"\x89PNG")


def made_up(lift, seeds=6):
    """Records in which a loss is better than cross entropy by so much, and its answers farther off."""
    rng = np.random.default_rng(0)
    return [
        {"train": 5, "method": method, "seed": seed, "top1": 0.2 + up + 0.001 * rng.random(), "distance": 9 + 9 * up}
        for seed in range(seeds)
        for method, up in (("cross entropy", 0.0), ("EMD, ρ = 2", lift))
    ]


def test_differences_are_in_points_and_better_means_higher_for_accuracy_and_lower_for_distance():
    (found, p), (far, _) = (wordnet_page.comparisons(made_up(0.03), x, 5)["EMD, ρ = 2"] for x in ("top1", "distance"))
    assert 2.9 < found.difference < 3.1 and found.won == 6 and p < wordnet_page.LEVEL
    assert far.difference > 0 and far.lost == 6


def test_the_time_told_is_that_of_all_runs_even_of_those_kept(result):
    made = [*result["tries"], *result["records"], *result["controls"]]
    assert result["seconds"] == sum(one["seconds"] for one in made)


def test_a_loss_that_does_not_learn_is_named_in_the_picture_and_does_not_stretch_it(result, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(wordnet_page.Figure, "savefig", lambda self, path, dpi: drawn.append(self))
    broken = [
        one | ({"top1": 0.0} if one["method"] == "EMD, ρ = 1" else {"top1": 0.5 + 0.01 * one["seed"]})
        for one in result["records"]
    ]
    wordnet_page.draw(result | {"records": broken}, tmp_path / "picture.png")
    texts = [text.get_text() for text in drawn[0].axes[0].texts]
    assert texts == [f"not drawn: -52.0 at {train}" for train in experiment.QUICK.train]
    assert max(map(abs, drawn[0].axes[0].get_xlim())) < 5

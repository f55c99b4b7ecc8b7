"""The benchmarks run, at tiny sizes, and the table says what the results say. No figure of time is looked at."""

import json
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fastemd as fe
from benchmarks import __main__ as command
from benchmarks.__main__ import main
from benchmarks.core import exact, suite
from benchmarks.harness import measure, problems

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder, threads = tmp_path_factory.mktemp("results"), fe.get_num_threads()
    main(["--quick", "--results", str(folder), "--pages", str(folder / "pages")])
    fe.set_num_threads(threads)
    return folder


@pytest.fixture(scope="module")
def result(results):
    (path,) = results.glob("core-*.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_run_says_where_and_with_what_it_was_made(result):
    assert result["device"] and result["cores"] >= 1 and result["date"] and result["quick"]
    assert {"numpy", "numba", "torch"} <= set(result["versions"])
    assert {"commit", "dirty", "seconds"} <= set(result)


def test_every_kind_of_job_is_measured(result):
    names = " ".join(line["job"] for line in result["lines"])
    for word in (
        "chain", "ring", "random tree", "ImageNet", "caterpillar", "star", "logits", "pair", "import", "first call",
        "memory", "float32", "float64",
    ):  # fmt: skip
        assert word in names


def test_every_job_has_bars_and_every_bar_without_a_figure_is_explained(result):
    for line in result["lines"]:
        assert line["bars"]
        for bar in line["bars"]:
            if bar["met"] is None and bar["figure"] is None:
                assert any(name in bar["bar"] for name in line["absent"])


def test_the_errors_are_within_their_bars(result):
    bars = [bar for line in result["lines"] for bar in line["bars"] if "relative error" in bar["bar"]]
    assert len(bars) == 4
    assert all(bar["met"] for bar in bars)


def test_importing_the_package_loads_nothing_foreign(result):
    (line,) = [line for line in result["lines"] if line["job"].startswith("import")]
    assert line["figures"]["packages loaded"] == "none"


def test_the_table_has_a_row_for_every_line_and_an_outcome_for_every_bar(results, result):
    page = (results / "core-bars.md").read_text(encoding="utf-8")
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in page.splitlines() if row.startswith("| ")}
    for line in result["lines"]:
        cells = rows[line["job"]].strip("| ").split(" | ")[-1].split("; ")
        assert len(cells) == len(line["bars"])
        for cell, bar in zip(cells, line["bars"], strict=True):
            assert cell.startswith(bar["bar"])
            assert cell.endswith({True: ", met", False: ", **MISSED**", None: ("not measured", ")")}[bar["met"]])
    assert "figures mean nothing" in page


def test_the_page_of_users_has_every_time_but_no_bars(results, result):
    page = (results / "pages" / "core.md").read_text(encoding="utf-8")
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in page.splitlines() if row.startswith("| ")}
    assert rows.keys() >= {line["job"] for line in result["lines"]}
    for line in result["lines"]:
        for name in line.get("ratio", ()):
            assert (f"{name} " in rows[line["job"]]) != name.startswith("fastemd, ")
    assert not any(word in page for word in ("MISSED", "bars", " met"))


def test_pictures_are_drawn_and_shown_in_the_documentation(results):
    shown = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    for name in ("core-times.png", "core-bandwidth.png"):
        assert (results / "pages" / name).read_bytes().startswith(b"\x89PNG")
        assert f"(generated/{name})" in shown


def test_the_tables_need_results(tmp_path):
    with pytest.raises(FileNotFoundError, match="python -m benchmarks core"):
        suite.write_pages(tmp_path, tmp_path)
    with pytest.raises(SystemExit, match="has no results; make some with: python -m benchmarks core"):
        main(["tables", "--results", str(tmp_path), "--pages", str(tmp_path)])


def test_a_partial_run_does_not_replace_the_figures_of_the_documentation(capsys, monkeypatch, tmp_path):
    with pytest.raises(SystemExit):
        main(["core", "--quick", "--results", str(command.RESULTS)])
    assert "--results" in capsys.readouterr().err
    written = []
    monkeypatch.setattr(command, "PART", tmp_path)
    monkeypatch.setitem(command.SUITES, "core", SimpleNamespace(run=lambda folder, **_: written.append(folder)))
    main(["core", "--quick"])
    assert written == [tmp_path]


def test_bars_are_met_on_their_own_side():
    medians = {"fastemd": 2.0, "other": 10.0}
    assert measure.faster(5, "other").checked(medians) == {"bar": "≥ 5 × other", "figure": 5.0, "met": True}
    assert measure.faster(5.1, "other").checked(medians)["met"] is False
    assert measure.within(0.2, "× other", "other").checked(medians)["met"] is True
    assert measure.within(0.1, "× other", "other").checked(medians)["met"] is False
    assert measure.faster(5, "nobody").checked(medians) == {"bar": "≥ 5 × nobody", "figure": None, "met": None}


def test_a_share_of_the_bandwidth_that_memory_cannot_explain_is_not_judged():
    job = measure.Job("a job", lambda: None, counted=100, bandwidth="read", loops={"read": 100})
    bar = job.share_at_least(0.6)
    assert bar.checked({"fastemd": 1.0, "read": 0.7})["met"] is True
    assert bar.checked({"fastemd": 1.0, "read": 0.5})["met"] is False
    too_good = bar.checked({"fastemd": 1.0, "read": 5.7})
    assert too_good["met"] is None and "more than memory can do" in too_good["why"]


def test_an_opponent_that_answers_something_else_is_refused():
    job = measure.Job("a job", lambda: np.ones(3), {"wrong": lambda: np.full(3, 2.0)})
    with pytest.raises(ArithmeticError, match="a job: wrong"):
        measure.row(job, seconds=0.0, most=1)


@pytest.mark.parametrize(("nodes", "leaves"), [(1_900, 1_000), (76, 40), (3, 1), (3, 2)])
def test_the_random_tree_has_the_leaves_that_it_is_asked_for(nodes, leaves):
    tree = problems.random_tree(nodes, leaves)
    assert tree.n_nodes == nodes
    assert np.array_equal(tree.bins, np.setdiff1d(np.arange(nodes), tree.parent))
    assert tree.n == leaves


def test_exact_values_are_those_of_fractions():
    a, b = (np.array(x, dtype=np.float32) for x in ([0.1, 0.7, 0.2], [0.3, 0.3, 0.4]))
    p, q = ([Fraction(float(x)) for x in row] for row in (a, b))
    first = p[0] - q[0]
    second = first + p[1] - q[1]
    space = fe.Chain(positions=[0.0, 0.3, 1.0])
    lengths = [Fraction(float(x)) for x in space.lengths]
    for rho in (1, 2):
        assert exact.value(a, b, space, rho) == lengths[0] * abs(first) ** rho + lengths[1] * abs(second) ** rho

"""``python -m benchmarks.compare`` prints, writes and refuses what it says, in a folder of its own."""

import json

import pytest

from benchmarks.compare import cases, measure, packages, run
from benchmarks.compare.__main__ import main
from benchmarks.compare.contenders import Effort
from benchmarks.compare.solver import Solver
from benchmarks.compare.solvers import SOLVERS
from fastemd import threads

for package in ("matplotlib", "ot", "rich", "sklearn"):
    pytest.importorskip(package)


@pytest.fixture
def tiny(monkeypatch):
    """Few solvers, on few pairs and bins: all of them are called, and compiled, by test_compare_solvers."""
    monkeypatch.setattr(measure, "QUICK", Effort(pairs=4, few=2, seconds=0.0, turns=1, patience=0.05, sizes=(3, 5)))
    kept = [solver for solver in SOLVERS if solver.modules in (("fastemd",), ("ot",), ("scipy",))]
    absent = Solver("absent", ("no_such_module",), ("chain", "tree"), lambda space: None, "")
    monkeypatch.setattr(run, "SOLVERS", (*kept, absent))
    return kept


def test_a_comparison_prints_tables_and_writes_pictures_and_figures(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--quick"]) == 0
    printed = capsys.readouterr().out
    for title in ("Grey levels of photographs", "Hues of photographs", "Senses of WordNet nouns"):
        assert f"{title}: " in printed and f"{title}: time per pair at equal accuracy" in printed
    for solver in tiny:
        assert printed.count(solver.name) >= len(cases.CASES)
    assert printed.count("pip install no_such_module") == 1
    assert max(map(len, printed.splitlines())) <= 140

    made = {"grey.png", "hue.png", "nouns.png", "neighbours.png", "time_against_n.png", "time_against_error.png"}
    assert {file.name for file in (tmp_path / "demo").iterdir()} == made | {"figures.json", "figures.csv"}
    for name in made:
        assert (tmp_path / "demo" / name).read_bytes().startswith(b"\x89PNG")
    figures = json.loads((tmp_path / "demo" / "figures.json").read_text(encoding="utf-8"))
    assert {"date", "device", "versions", "commit", "seed", "quick", "threads", "import_seconds"} < set(figures)
    assert [case["name"] for case in figures["cases"]] == list(cases.CASES)
    assert [case["bins"] for case in figures["sizes"]] == [3, 5]
    assert figures["neighbours"]["pairs"] == 2000 * 1999 // 2
    assert "Nearest nouns: 2,000 rows" in printed
    for case in (*figures["cases"], *figures["sizes"]):
        timed = [result for result in case["results"] if result["status"] == "timed"]
        assert all(result["seconds_per_pair"] > 0 for result in timed)
        assert all(result["largest_error"] < 1e-9 for result in timed if result["exact"])
        assert {"fastemd, batched", "fastemd, one by one"} <= {result["solver"] for result in timed}
    assert not any(result["status"] == "failed" for case in figures["cases"] for result in case["results"])


def test_a_comparison_prints_json_of_the_chosen_case_only(tiny, tmp_path, capsys):
    assert main(["--quick", "--json", "--case", "nouns", "--seed", "5", "--out", str(tmp_path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [case["name"] for case in printed["cases"]] == ["nouns"]
    assert printed["seed"] == 5
    assert printed == json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))


def test_the_number_of_threads_is_as_before_after_a_comparison(tiny, tmp_path):
    before = threads.get_num_threads()
    threads.set_num_threads(3)
    try:
        main(["--quick", "--json", "--case", "grey", "--out", str(tmp_path)])
        assert threads.get_num_threads() == 3
    finally:
        threads.set_num_threads(before)


def test_a_comparison_says_what_to_install_where_something_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda module: None)
    assert main(["--out", str(tmp_path)]) == 1
    assert "pip install 'fastemd[demo]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_missing_library_is_listed_and_the_others_are_compared(tiny, tmp_path, monkeypatch, capsys):
    found = packages.missing
    monkeypatch.setattr(packages, "missing", lambda module: "POT is absent" if module == "ot" else found(module))
    assert main(["--quick", "--case", "grey", "--case", "nouns", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    (line,) = [line for line in printed.splitlines() if "POT is absent" in line]
    assert all(solver.name in line for solver in tiny if solver.modules == ("ot",) and "circle" not in solver.name)
    assert (tmp_path / "nouns.png").exists()


def test_a_folder_that_cannot_be_made_is_named(tiny, tmp_path, capsys):
    (tmp_path / "taken").write_text("", encoding="utf-8")
    assert main(["--quick", "--out", str(tmp_path / "taken")]) == 1
    assert "taken" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--case", "sounds"], ["--seed", "-1"], ["fly"]])
def test_a_wrong_command_is_refused_with_the_choices(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: python -m benchmarks.compare" in capsys.readouterr().err

"""The commands do what they say, in a folder of their own."""

import json

import pytest

from fastemd import cli
from fastemd.compare import cases, packages
from fastemd.compare.solvers import SOLVERS

for package in ("matplotlib", "ot", "rich", "sklearn"):
    pytest.importorskip(package)


def test_compare_prints_a_table_and_draws_a_picture_of_each_case(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.app(["compare", "--quick"]) == 0
    printed = capsys.readouterr().out
    for title in ("Grey levels of photographs", "Hues of photographs", "Senses of WordNet nouns"):
        assert title in printed
    assert all(printed.count(solver.name) >= len(cases.CASES) for solver in SOLVERS)

    assert {file.name for file in (tmp_path / "demo").iterdir()} == {"grey.png", "hue.png", "nouns.png", "figures.json"}
    for name in cases.CASES:
        assert (tmp_path / "demo" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    figures = json.loads((tmp_path / "demo" / "figures.json").read_text(encoding="utf-8"))
    assert {"date", "machine", "versions", "seed", "quick"} < set(figures)
    assert [case["name"] for case in figures["cases"]] == list(cases.CASES)
    for case in figures["cases"]:
        timed = [result for result in case["results"] if result["status"] == "timed"]
        assert all(result["seconds_per_pair"] > 0 for result in timed)
        assert all(result["largest_error"] < 1e-9 for result in timed if result["exact"])
        assert {"fastemd, batched", "fastemd, one by one", "POT LP"} <= {result["solver"] for result in timed}


def test_compare_prints_json_of_the_chosen_case_only(tmp_path, capsys):
    assert cli.app(["compare", "--quick", "--json", "--case", "nouns", "--seed", "5", "--out", str(tmp_path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [case["name"] for case in printed["cases"]] == ["nouns"]
    assert printed["seed"] == 5
    assert printed == json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))


def test_info_tells_versions_threads_and_folders(capsys):
    assert cli.app(["info"]) == 0
    printed = capsys.readouterr().out
    for fact in (*packages.versions(), "cpus", "fastemd threads", "kernels kept in", "cuda"):
        assert f"\n{fact} " in f"\n{printed}"


def test_compare_says_what_to_install_where_something_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda module: None)
    assert cli.app(["compare", "--out", str(tmp_path)]) == 1
    assert "pip install 'fastemd[demo]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_missing_solver_is_listed_and_the_others_are_compared(tmp_path, monkeypatch, capsys):
    found = packages.missing
    monkeypatch.setattr(packages, "missing", lambda module: "POT is absent" if module == "ot" else found(module))
    assert cli.app(["compare", "--quick", "--case", "grey", "--case", "nouns", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("POT is absent") >= 4
    assert (tmp_path / "nouns.png").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path, capsys):
    (tmp_path / "taken").write_text("", encoding="utf-8")
    assert cli.app(["compare", "--quick", "--out", str(tmp_path / "taken")]) == 1
    assert "taken" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["compare", "--case", "sounds"], ["compare", "--seed", "-1"], ["fly"]])
def test_a_wrong_command_is_refused_with_the_choices(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.app(arguments)
    assert exit_.value.code == 2
    assert "usage: fastemd" in capsys.readouterr().err

"""The benchmark of all solvers writes what the command measures, and its page shows every solver of it."""

import json
from pathlib import Path

import pytest

from benchmarks.compare import measure, run, suite
from benchmarks.compare.contenders import Effort
from benchmarks.compare.solver import Solver
from benchmarks.compare.solvers import SOLVERS

ROOT = Path(__file__).parents[2]

for package in ("matplotlib", "ot", "rich", "sklearn"):
    pytest.importorskip(package)


@pytest.fixture
def tiny(monkeypatch):
    """Two solvers and one that is missing, on few pairs and bins."""
    monkeypatch.setattr(measure, "QUICK", Effort(pairs=4, few=2, seconds=0.0, turns=1, patience=1.0, sizes=(3, 5)))
    kept = [solver for solver in SOLVERS if solver.name in ("fastemd, batched", "POT sinkhorn2")]
    absent = Solver("absent", ("no_such_module",), ("chain", "tree"), lambda space: None, "")
    monkeypatch.setattr(run, "SOLVERS", (*kept, absent))


def test_the_page_shows_what_was_measured_and_where(tiny, tmp_path):
    path = suite.run(tmp_path, quick=True, only="nouns")
    result = json.loads(path.read_text(encoding="utf-8"))
    assert {"date", "device", "versions", "commit", "dirty", "seconds", "import_seconds"} < set(result)
    assert [case["name"] for case in result["cases"]] == ["nouns"]
    assert {each["status"] for each in result["cases"][0]["results"]} == {"timed", "missing"}

    page = suite.write_pages(tmp_path, tmp_path)[0].read_text(encoding="utf-8")
    for words in ("**fastemd, batched**", "POT sinkhorn2, reg", "pip install no_such_module", "figures mean nothing"):
        assert words in page
    for name in ("compare-time-against-error.png", "compare-time-against-n.png"):
        assert f"(generated/{name})" in (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    (shown,) = [line for line in page.splitlines() if line.startswith("| POT sinkhorn2 |")]
    assert " at 0." in shown  # the setting that reaches the error

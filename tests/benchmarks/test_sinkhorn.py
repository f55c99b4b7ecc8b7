"""The benchmark of Sinkhorn runs at tiny sizes, holds every solver to the same error, and its page says so."""

import json

import numpy as np
import pytest

import fastemd as fe
from benchmarks import sinkhorn
from benchmarks.opponents.entropic import Opponent, Problem


@pytest.fixture
def given():
    return sinkhorn.problem(sinkhorn.QUICK, 12, 0.1, "float64")


def opponent(given, tolerances):
    def solved(tol):
        return fe.sinkhorn(given.a, given.b, given.cost, reg=given.reg, tol=tol, plan=True)

    return Opponent(
        "itself", True, lambda tol: solved(tol).value, lambda tol: solved(tol).plan, lambda: iter(tolerances)
    )


def test_the_cheapest_effort_that_reaches_the_target_is_taken(given):
    made = sinkhorn.calibrated(opponent(given, [1.0, 1e-2, 1e-7, 1e-9]), given)
    assert made.facts["effort"] == 1e-7 and made.facts["error"] <= given.target


def test_a_solver_that_does_not_reach_the_target_is_not_measured(given):
    why = sinkhorn.calibrated(opponent(given, [1.0, 1e-2]), given)
    assert "marginal error" in why and "at effort 0.01" in why


def test_error_is_the_worst_of_the_rows_and_infinite_for_nan(given):
    result = fe.sinkhorn(given.a, given.b, given.cost, reg=given.reg, tol=1e-3, plan=True)
    assert given.error(result.plan) == pytest.approx(result.marginal_error.max(), rel=1e-6)
    assert given.error(np.full_like(result.plan, np.nan)) == np.inf


def test_lines_have_bars_and_the_page_has_every_solver(tmp_path, monkeypatch):
    def itself(problem: Problem):
        return [opponent(problem, [1e-7])], {"ott-jax": "not installed; pip install ott-jax"}

    monkeypatch.setattr(sinkhorn, "opponents", itself)
    threads = fe.get_num_threads()
    try:
        path = sinkhorn.run(tmp_path, quick=True)
    finally:
        fe.set_num_threads(threads)
    result = json.loads(path.read_text(encoding="utf-8"))
    names = [line["job"] for line in result["lines"]]
    assert names[:2] == ["chain", "tree"] and len(names) == 4
    for line in result["lines"]:
        assert line["bars"] and set(line["median_ms"]) == set(line["facts"]) == set(line["turns"])
    *pages, picture = sinkhorn.write_pages(tmp_path, tmp_path / "pages")
    for page in (path.read_text(encoding="utf-8") for path in pages):
        for word in ("itself", "**fastemd log**", "pip install ott-jax", "figures mean nothing", "error of 1e-05"):
            assert word in page
    assert ["bars" in path.read_text(encoding="utf-8") for path in pages] == [False, True]
    assert picture.read_bytes().startswith(b"\x89PNG")

"""Two commits side by side: every job runs, and the table has their ratio."""

import pytest

from benchmarks import commits


def test_every_job_runs(monkeypatch):
    monkeypatch.setattr(commits, "TURN", 0.0)
    found = commits.measure("")
    assert set(found) == set(commits.jobs())
    assert all(seconds > 0 for seconds in found.values())


def test_table_has_the_ratio_and_leaves_out_what_a_commit_lacks():
    text = commits.table({"old": {"one": 2.0}, "new": {"one": 1.0, "two": 3.0}})
    one, two = text.splitlines()[2:]
    assert one.endswith("| 0.500 |")
    assert "| - |" in two


def test_a_commit_is_asked_for():
    with pytest.raises(SystemExit):
        commits.main([])

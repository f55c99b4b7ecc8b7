"""The suite of the CPU core."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..harness import measure, processes, runs
from ..harness.problems import Sizes
from ..harness.record import RESULTS
from . import exact, jobs


def run(folder: Path = RESULTS, *, quick: bool = False, only: str = "") -> Path:
    """Measure, write ``core-<device>.json`` into a folder and return its path; see `harness.runs.run`."""
    return runs.run("core", _lines, folder, quick=quick, only=only)


def _lines(sizes: Sizes, only: str) -> Iterator[dict]:
    for make in jobs.all_jobs(sizes):
        job = make()
        if re.search(only, job.name):
            yield measure.row(job, sizes.seconds, sizes.rounds)
    if not only:
        yield from processes.lines(sizes)
        yield from exact.lines(sizes)

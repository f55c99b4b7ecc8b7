"""The suite of the CPU core."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from ..harness import measure, pictures, processes, runs, tables
from ..harness.problems import Sizes
from ..harness.record import RESULTS
from . import exact, few_rows, jobs

# Jobs on the picture of times: how a name begins, and which of those that begin so.
SHOWN = (
    ("chain, value, ρ = 1", 0),
    ("chain, value + gradient, ρ = 2", 0),
    ("ImageNet tree, value, ρ = 1", 0),
    ("ImageNet tree, value + gradient, ρ = 2", 0),
    ("logits, chain", 0),
    ("logits, ImageNet tree", 0),
    ("chain, value + gradient, ρ = 2", 1),
    ("one pair on a chain, value, ", 0),
)


def run(folder: Path = RESULTS, *, quick: bool = False, only: str = "") -> Path:
    """Measure, write ``core-<device>.json`` into a folder and return its path; see `harness.runs.run`."""
    return runs.run("core", _lines, folder, quick=quick, only=only)


def _lines(sizes: Sizes, only: str) -> Iterator[dict]:
    for make in itertools.chain(jobs.all_jobs(sizes), few_rows.all_jobs(sizes)):
        job = make()
        if re.search(only, job.name):
            yield measure.row(job, sizes.seconds, sizes.rounds)
    if not only:
        yield from processes.lines(sizes)
        yield from exact.lines(sizes)


def write_pages(folder: Path, pages: Path) -> list[Path]:
    """Write tables and pictures of the newest results, and the table with bars beside the results."""
    newest = tables.load(folder, "core")[0]
    times, shares = pages / "core-times.png", pages / "core-bandwidth.png"
    written = [
        tables.write_sections(folder, "core", pages / "core.md", tables.section),
        tables.write_sections(folder, "core", folder / "core-bars.md", tables.section_with_bars),
    ]
    pictures.draw_times(_panels(newest["lines"]), times)
    pictures.draw_shares(newest["lines"], shares)
    return [*written, times, shares]


def _panels(lines: list[dict]) -> dict[str, dict[str, float]]:
    found = {}
    for start, number in SHOWN:
        named = [line for line in lines if line["job"].startswith(start)][number : number + 1]
        found |= {re.sub(r" on [\d,]+ nodes", "", line["job"]): tables.rivals(line) for line in named}
    return found

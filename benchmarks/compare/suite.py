"""The comparison at full effort: the documentation's tables and curves are made from it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from ..harness import record, tables
from ..harness.record import RESULTS
from . import curves, measure, report
from .accuracy import ERRORS
from .cases import CASES
from .run import run as run_comparison

FILE = "compare.json"


def run(folder: Path = RESULTS, *, quick: bool = False, only: str = "") -> Path:
    """Measure, write ``compare.json`` into a folder and return its path.

    Parameters
    ----------
    folder : Path
    quick : bool
        The effort of ``python -m benchmarks.compare --quick``; the figures mean nothing.
    only : str
        Only the cases in whose names it is found.
    """
    begin = time.perf_counter()
    names = [name for name in CASES if only in name]

    def progress(doing: str) -> None:
        print(f"{time.perf_counter() - begin:5.0f} s  {doing}", file=sys.stderr, flush=True)

    figures = run_comparison(names, quick=quick, effort=None if quick else measure.FULL, progress=progress)
    return record.write(figures | {"seconds": time.perf_counter() - begin}, folder / FILE)


def write_pages(folder: Path, pages: Path) -> list[Path]:
    """Write the tables and both pictures of curves."""
    result = json.loads((folder / FILE).read_text(encoding="utf-8"))
    drawn = {name: pages / f"compare-time-against-{name}.png" for name in ("error", "n")}
    pages.mkdir(parents=True, exist_ok=True)
    curves.draw_errors(result, drawn["error"])
    curves.draw_sizes(result, drawn["n"])
    parts = []
    for case in result["cases"]:
        parts += _case(case)
    missing = report.missing(each for case in result["cases"] for each in report.results_of(case))
    if missing:
        parts.append("\n".join(["Not measured:", "", *(f"- {line}" for line in missing)]))
    imports = ", ".join(f"{name} {tables.number(seconds)}" for name, seconds in result["import_seconds"].items())
    parts += [f"Seconds that imports took, in this order: {imports}.", tables.provenance(result)]
    return [tables.write(parts, pages / "compare.md"), *drawn.values()]


def _case(case: dict[str, Any]) -> list[str]:
    """The two tables of a case."""
    results = report.results_of(case)
    head = [words.replace("\n", " ") for words in report.HEAD]
    errors = [f"≤ {100 * error:g} %" for error in ERRORS]
    rows = [_bold(report.cells(result)) for result in report.in_order(results)]
    equal = [_bold(cells) for cells in report.equal_rows(results)]
    unfit = ", ".join(result.solver for result in results if result.status == "does not apply")
    failed = [f"{report.name(result)} failed: {result.note}" for result in results if result.status == "failed"]
    return [
        f"**{case['title']}**: {case['pairs']:,} pairs on a {case['space']} of {case['bins']:,} bins, exact values "
        f"from {case['smallest_value']:.3g} to {case['largest_value']:.3g} {case['unit']}. Does not apply: {unfit}.",
        *failed,
        tables.table(head, rows),
        "Time per pair of the cheapest setting with a median error of at most …",
        tables.table(["solver", *errors], equal),
    ]


def _bold(cells: tuple[str, ...]) -> list[str]:
    return [f"**{cells[0]}**" if cells[0].startswith("fastemd") else cells[0], *cells[1:]]

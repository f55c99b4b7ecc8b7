"""Comparisons as tables to read and as figures to keep."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable, Iterator
from typing import Any

from ..harness import record
from ..harness.tables import duration
from . import packages
from .accuracy import ERRORS, SHOWN, equal_accuracy, shown
from .contenders import Result
from .formulas import THREADS
from .measure import ROUNDING, Comparison
from .solver import MOST_ITERATIONS, STOP

HEAD = (
    "solver",
    "time\nper pair",
    "median\nerror",
    "largest\nerror",
    "marginals\noff by",
    "memory",
    "set-up",
    "transfer",
    "compile",
    "pairs\n× turns",
)
NEVER = "–"


def relative(error: float | None) -> str:
    """Return a relative error: in percent, or in powers of ten where it is one of rounding.

    >>> relative(0.0123), relative(2.2e-16), relative(0.0)
    ('1.2 %', '2e-16', '0')
    """
    if error is None:
        return "not finite"
    if error == 0:
        return "0"
    return f"{error:.0e}" if error < 1e-5 else f"{100 * error:.2g} %" if error < 1 else f"{100 * error:,.0f} %"


def size(count: float | None) -> str:
    """Return a number of bytes with a fitting unit.

    >>> size(2_500_000), size(300), size(None)
    ('2.5 MB', '300 B', '–')
    """
    if count is None:
        return NEVER
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_:
            return f"{count / bytes_:.2g} {unit}" if count < 100 * bytes_ else f"{count / bytes_:.0f} {unit}"
    return f"{count:.0f} B"


def name(result: Result) -> str:
    """Return the solver and its setting."""
    return result.solver if result.setting is None else f"{result.solver}, reg {result.setting:g}"


def cells(result: Result) -> tuple[str, ...]:
    """Return a timed result as a line under `HEAD`."""
    marginals = "" if result.exact else relative(None)
    if result.marginal_error is not None:
        marginals = f"{result.marginal_error:.0e}"
    if result.unconverged:
        marginals += f" ({result.unconverged} not)"
    return (
        name(result),
        duration(result.seconds_per_pair or 0.0),
        relative(result.median_error),
        relative(result.largest_error),
        marginals,
        size(result.memory_bytes),
        *(duration(seconds or 0.0) for seconds in (result.setup_seconds, result.transfer_seconds)),
        duration(result.compile_seconds) if result.compile_seconds and result.compile_seconds > 1e-3 else "",
        f"{result.pairs:,} × {result.turns}",
    )


def in_order(results: Iterable[Result]) -> list[Result]:
    """Return one result of each solver: exact ones first, then entropic ones, each from the fastest on."""
    return sorted(shown(results), key=lambda result: (not result.exact, result.seconds_per_pair))


def equal_rows(results: Iterable[Result]) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the comparison at equal accuracy: the fastest exact solver, fastemd, and all entropic ones."""
    exact = [result for result in in_order(results) if result.exact]
    named = [result for result in exact if result is exact[0] or result.solver == "fastemd, batched"]
    for result in named:
        yield (f"{result.solver} (exact)", *[duration(result.seconds_per_pair or 0.0)] * len(ERRORS))
    found = equal_accuracy(result for result in results if not result.exact)
    for solver, reached in sorted(found.items(), key=lambda entry: [_seconds(result) for result in entry[1]][::-1]):
        yield (solver, *(NEVER if best is None else _at(best) for best in reached))


def _at(result: Result) -> str:
    return f"{duration(result.seconds_per_pair or 0.0)} at {result.setting:g}"


def _seconds(result: Result | None) -> float:
    return float("inf") if result is None else result.seconds_per_pair or 0.0


def table(comparison: Comparison) -> Any:
    """Return a rich.table.Table of a comparison."""
    case = comparison.case
    low, high = comparison.exact.min(), comparison.exact.max()
    rows = _table(
        f"{case.title}: {len(comparison.exact):,} pairs on {str(case.space).strip('<>')}",
        f"Exact values from {low:.3g} to {high:.3g} {case.unit}.{_left_out(comparison.results)}",
        HEAD,
    )
    for result in in_order(comparison.results):
        row = list(cells(result))
        if result.exact:
            row[3] = f"[{'green' if (result.largest_error or 0.0) < ROUNDING else 'bold red'}]{row[3]}[/]"
        rows.add_row(*row)
    return rows


def equal_table(comparison: Comparison) -> Any:
    """Return a rich.table.Table of the comparison at equal accuracy."""
    head = ("solver", *(f"median error ≤ {100 * error:g} %" for error in ERRORS))
    rows = _table(f"{comparison.case.title}: time per pair at equal accuracy", "", head)
    for row in equal_rows(comparison.results):
        rows.add_row(*row)
    return rows


def _table(title: str, caption: str, head: Iterable[str]) -> Any:
    rows = packages.load("rich.table").Table(
        title=title, title_justify="left", title_style="bold", caption=caption, caption_justify="left", pad_edge=False
    )
    for column in head:
        rows.add_column(column, justify="left" if column == "solver" else "right", no_wrap=True)
    return rows


def _left_out(results: Iterable[Result]) -> str:
    """Return which solvers have no line and why, in a line or two; `missing` lists those that are not installed."""
    results = list(results)
    unfit = [result.solver for result in results if result.status == "does not apply"]
    words = f" Do not apply: {'; '.join(unfit)}." if unfit else ""
    timed_ones = {result.solver for result in shown(results)}
    late = dict.fromkeys(r.solver for r in results if r.status == "not tried" and r.solver not in timed_ones)
    if late:
        words += f" Not tried, as the time of this run was up: {'; '.join(late)}."
    failed = [f"\n{name(result)} failed: {result.note}." for result in results if result.status == "failed"]
    return words + "".join(failed)


def missing(results: Iterable[Result]) -> list[str]:
    """Return a line for each package that is not installed: how to install it, and which solvers need it."""
    found: dict[str, dict[str, None]] = {}
    for result in results:
        if result.status == "missing":
            found.setdefault(result.note, {})[result.solver] = None
    return [f"{note} ({'; '.join(solvers)})" for note, solvers in found.items()]


def head(seed: int, quick: bool) -> dict[str, Any]:
    """Return where, when and with what a comparison is made."""
    here = record.here_and_now(tuple(packages.DISTRIBUTIONS.values()))
    return here | {"threads": THREADS, "seed": seed, "quick": quick}


def figures(
    head: dict[str, Any], comparisons: Iterable[Comparison], sizes: Iterable[Comparison], imports: dict[str, float]
) -> dict[str, Any]:
    """Return all that was measured, and on what, in the types of JSON."""
    return head | {
        "import_seconds": imports,
        "cases": [_case(comparison) for comparison in comparisons],
        "sizes": [_case(comparison) for comparison in sizes],
    }


def _case(comparison: Comparison) -> dict[str, Any]:
    case = comparison.case
    return {
        "name": case.name,
        "title": case.title,
        "space": case.space.kind,
        "bins": case.space.n,
        "edges": case.space.m,
        "unit": case.unit,
        "pairs": len(comparison.exact),
        "smallest_value": float(comparison.exact.min()),
        "largest_value": float(comparison.exact.max()),
        "results": [dataclasses.asdict(result) for result in comparison.results],
    }


def results_of(case: dict[str, Any]) -> list[Result]:
    """Return the results of a case out of `figures`."""
    return [Result(**result) for result in case["results"]]


def as_csv(figures: dict[str, Any]) -> str:
    """Return all results of `figures`, one a line."""
    text = io.StringIO()
    fields = [field.name for field in dataclasses.fields(Result)]
    lines = csv.DictWriter(text, ["case", "space", "bins", *fields], lineterminator="\n")
    lines.writeheader()
    for case in (*figures["cases"], *figures["sizes"]):
        for result in case["results"]:
            lines.writerow({"case": case["name"], "space": case["space"], "bins": case["bins"], **result})
    return text.getvalue()


def explanation() -> str:
    """Return what the columns of a table mean."""
    return (
        "Time per pair: median of turns, in which the solvers alternate; slow ones get fewer pairs. Error: relative to "
        "the exact value, which is that of fastemd.reference. reg is the regularisation of an entropic solver as a "
        f"share of the largest cost; such a solver is to stop where its marginals are off by {STOP:g} of that share, "
        f"and at {MOST_ITERATIONS:,} iterations; “not” says on how many pairs it did not get there. The table shows "
        f"its cheapest reg with a median error of at most {100 * SHOWN:g} %, or else the most exact that was tried. "
        "Memory: by how much it rises during a call, for each pair that the call is given at once. Set-up (cost "
        "matrix, tables; once a space), transfer (into the solver's own arrays; per pair) and compile (the first call "
        "less the next; once a shape) are not part of the time per pair. All solvers compute in float64, on "
        f"{THREADS} threads where that can be set."
    )

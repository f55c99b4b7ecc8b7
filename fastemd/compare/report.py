"""Comparisons as tables to read and as figures to keep."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from . import packages
from .measure import ROUNDING, Comparison, Result
from .solvers import STOP


def duration(seconds: float) -> str:
    """Return a time with a fitting unit and about three digits.

    >>> duration(0.00001234)
    '12.3 µs'
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def relative(error: float) -> str:
    """Return a relative error: in percent, or in powers of ten where it is one of rounding.

    >>> relative(0.0123), relative(2.2e-16), relative(0.0)
    ('1.2 %', '2e-16', '0')
    """
    if error == 0:
        return "0"
    return f"{error:.0e}" if error < 1e-5 else f"{100 * error:.2g} %" if error < 1 else f"{100 * error:,.0f} %"


def table(comparison: Comparison) -> Any:
    """Return a rich.table.Table of a comparison."""
    case = comparison.case
    rows = packages.load("rich.table").Table(
        title=f"{case.title}: {len(comparison.exact):,} pairs on {str(case.space).strip('<>')}",
        title_justify="left",
        title_style="bold",
        caption=_caption(comparison),
        caption_justify="left",
        pad_edge=False,
    )
    for column in ("solver", "time per pair", "error: median", "largest", "pairs × runs", "set-up", "note"):
        right = column not in ("solver", "note")
        rows.add_column(column, justify="right" if right else "left", no_wrap=column != "note")
    for result in comparison.results:
        rows.add_row(*_cells(result), style=None if result.status == "timed" else "dim")
    return rows


def figures(comparisons: Iterable[Comparison], seed: int, quick: bool) -> dict[str, Any]:
    """Return all that was measured, and on what, in the types of JSON."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": packages.machine(),
        "versions": packages.versions(),
        "seed": seed,
        "quick": quick,
        "cases": [
            {
                "name": comparison.case.name,
                "title": comparison.case.title,
                "space": comparison.case.space.kind,
                "bins": comparison.case.space.n,
                "edges": comparison.case.space.m,
                "unit": comparison.case.unit,
                "pairs": len(comparison.exact),
                "smallest_value": float(comparison.exact.min()),
                "largest_value": float(comparison.exact.max()),
                "results": [dataclasses.asdict(result) for result in comparison.results],
            }
            for comparison in comparisons
        ],
    }


def explanation() -> str:
    """Return what the columns of a table mean."""
    return (
        "Time per pair: median of the runs; slow solvers are timed on fewer pairs. Error: relative to the exact value, "
        "which is that of fastemd.reference, over the pairs that were timed. Set-up (imports, cost matrix, first call, "
        "which compiles or loads kernels) is not part of the time per pair. Sinkhorn's regularisation is given as a "
        f"share of the largest cost; it stops at an error of {STOP:g} of the marginals or after 1,000 iterations. All "
        "solvers compute in float64."
    )


def _cells(result: Result) -> tuple[str, ...]:
    if result.seconds_per_pair is None or result.largest_error is None or result.median_error is None:
        return (result.solver, "–", "–", "–", "–", "–", result.note)
    note = result.note
    if result.unconverged:
        note += f"; did not converge on {result.unconverged} of {result.pairs}"
    largest = relative(result.largest_error)
    if result.exact:
        colour = "green" if result.largest_error < ROUNDING else "bold red"
        largest = f"[{colour}]{largest}[/]"
    return (
        result.solver,
        duration(result.seconds_per_pair),
        relative(result.median_error),
        largest,
        f"{result.pairs:,} × {result.runs}",
        duration(result.setup_seconds or 0.0),
        note,
    )


def _caption(comparison: Comparison) -> str:
    low, high = comparison.exact.min(), comparison.exact.max()
    return f"Exact values from {low:.3g} to {high:.3g} {comparison.case.unit}."

"""A picture of a comparison: an example pair and its flow on the left, the time of every solver on the right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..harness.pictures import OTHERS, colour
from ..harness.tables import duration
from . import packages
from .contenders import Result
from .curves import label_times
from .examples import EXAMPLES
from .measure import Comparison
from .report import in_order, name, relative


def draw(comparison: Comparison, path: Path) -> None:
    """Draw a comparison and write it as a PNG file.

    Parameters
    ----------
    comparison : Comparison
    path : pathlib.Path
        Its folder must exist.

    Raises
    ------
    MissingPackageError
        If matplotlib is not installed.
    """
    figure = packages.load("matplotlib.figure").Figure(figsize=(15, 7), dpi=110, layout="constrained")
    left, right = figure.subfigures(1, 2, wspace=0.04)
    EXAMPLES[comparison.case.space.kind](left, comparison)
    draw_solvers(right.subplots(), in_order(comparison.results))
    space = comparison.case.space
    right.suptitle(f"Every solver on up to {len(comparison.exact):,} pairs, {space.n:,} bins", fontweight="bold")
    figure.savefig(path)


def draw_solvers(axes: Any, results: list[Result]) -> None:
    """Draw a bar for each solver, the fastest on top, with its time and, where it is not exact, its error."""
    results = sorted(results, key=_time)
    fastest, slowest = _time(results[0]), _time(results[-1])
    axes.set(xscale="log", xlabel="time per pair", xlim=(fastest / 4, slowest * (slowest / fastest) ** 0.6 * 4))
    for row, result in enumerate(results):
        shade = colour(result.solver)
        axes.barh(
            row,
            _time(result),
            color=shade if result.exact else "white",
            edgecolor=shade,
            hatch=None if result.exact else "////",
            height=0.7,
        )
        label = "" if result.exact else f", error {relative(result.median_error)}"
        axes.annotate(
            duration(_time(result)) + label, (_time(result), row), (5, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(range(len(results)), list(map(name, results)))
    axes.invert_yaxis()
    label_times(axes.xaxis)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.text(
        0.99,
        0.99,
        "filled: exact up to rounding\nhatched: entropic, with its median error",
        transform=axes.transAxes,
        ha="right",
        va="top",
        color=OTHERS,
    )


def _time(result: Result) -> float:
    return result.seconds_per_pair or 0.0

"""A whole run: all cases, all sizes, all pairs of nouns; tables as they come, pictures and CSV beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastemd import threads

from . import curves, measure, neighbours, packages, pictures, report, sizes
from .cases import CASES
from .contenders import Effort
from .formulas import THREADS
from .solvers import SOLVERS


def steps(names: Sequence[str]) -> int:
    """Return the largest number of steps that `run` may have."""
    return 2 + len(names) * (len(SOLVERS) + 1) + max(len(measure.FULL.sizes), len(measure.QUICK.sizes))


def run(
    names: Sequence[str],
    seed: int = 0,
    *,
    quick: bool = False,
    effort: Effort | None = None,
    out: Path | None = None,
    progress: Callable[[str], object] = lambda doing: None,
    show: Callable[[Any], object] = lambda printed: None,
) -> dict[str, Any]:
    """Compare all solvers.

    Parameters
    ----------
    names : sequence of str
        Of the cases.
    seed : int
        Which pairs are drawn.
    quick : bool
        Whether seconds are enough.
    effort : Effort, optional
        By default that of a quick run, or of one of a few minutes.
    out : Path, optional
        The folder for pictures and ``figures.csv``; none are made without.
    progress : callable
        Called with the name of each step before it begins.
    show : callable
        Called with each table that is ready.

    Returns
    -------
    dict
        See `report.figures`.

    Raises
    ------
    MissingPackageError
        If there is nothing to make tables, histograms or pictures with.
    """
    for package in ("rich", "sklearn", "matplotlib"):
        packages.load(package)
    effort = effort or (measure.QUICK if quick else Effort())
    head = report.head(seed, quick)
    before = threads.get_num_threads()
    threads.set_num_threads(THREADS)
    try:
        progress("imports")
        imported = measure.imports(SOLVERS)
        comparisons = [_case(name, seed, effort, out, progress, show) for name in names]
        chains = sizes.compare_sizes(effort, seed, SOLVERS, before=progress)
    finally:
        threads.set_num_threads(before)
    figures = report.figures(head, comparisons, chains, imported)
    if "nouns" in names:
        progress("all pairs of nouns")
        found = neighbours.compute(quick)
        show(neighbours.lines(found))
        figures["neighbours"] = neighbours.figures(found)
        if out is not None:
            neighbours.draw(found, out / "neighbours.png")
    lacking = report.missing(result for comparison in comparisons for result in comparison.results)
    if lacking:
        show("\n".join(["Not installed, so not compared:", *(f"  {line}" for line in lacking)]))
    show(report.explanation())
    if out is not None:
        curves.draw_errors(figures, out / "time_against_error.png")
        curves.draw_sizes(figures, out / "time_against_n.png")
        (out / "figures.csv").write_text(report.as_csv(figures), encoding="utf-8")
    return figures


def _case(
    name: str,
    seed: int,
    effort: Effort,
    out: Path | None,
    progress: Callable[[str], object],
    show: Callable[[Any], object],
) -> measure.Comparison:
    found = measure.compare(
        CASES[name](effort.pairs, seed), effort, SOLVERS, before=lambda solver: progress(f"{name}: {solver.name}")
    )
    progress(f"{name}: picture")
    if out is not None:
        pictures.draw(found, out / f"{name}.png")
    show(report.table(found))
    show(report.equal_table(found))
    return found

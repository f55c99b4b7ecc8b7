"""Two pictures of all solvers, out of figures that were kept: time against the number of bins, and against error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..harness.pictures import colour, save
from ..harness.tables import duration
from . import packages
from .accuracy import by_solver, timed
from .contenders import Result
from .report import results_of

FLOOR = 1e-8  # smaller errors are drawn here: entropic ones on the line, exact solvers one below the other in a band
BAND = 1e-12
# A library has a colour, its solvers have markers.
MARKERS = "os^Dv<"


def draw_sizes(figures: dict[str, Any], path: Path) -> None:
    """Draw each solver's time per pair against the number of bins, and write it as a PNG file."""
    figure = packages.load("matplotlib.figure").Figure(figsize=(11, 7), dpi=110, layout="constrained")
    axes = figure.subplots()
    curves: dict[str, list[tuple[int, Result]]] = {}
    for case in figures["sizes"]:
        for result in timed(results_of(case)):
            curves.setdefault(result.solver, []).append((case["bins"], result))
    styles = _styles(curves)
    # The legend lists the curves as they lie above one another where they end.
    for solver, points in sorted(curves.items(), key=lambda entry: -_time(entry[1][-1][1])):
        bins, results = zip(*points, strict=True)
        setting = results[0].setting
        label = solver if setting is None else f"{solver}, reg {setting:g}"
        axes.plot(bins, list(map(_time, results)), label=label, **styles[solver])
    axes.set(xscale="log", yscale="log", xlabel="bins of the chain", ylabel="time per pair")
    axes.set_title("Time per pair against the number of bins: dashed is entropic", loc="left", fontweight="bold")
    label_times(axes.yaxis)
    _finish(axes)
    figure.legend(loc="outside right center", frameon=False)
    save(figure, path, figures)


def draw_errors(figures: dict[str, Any], path: Path) -> None:
    """Draw the median error of each solver's settings against their time, a panel a case, and write a PNG file."""
    figure = packages.load("matplotlib.figure").Figure(
        figsize=(4.6 * len(figures["cases"]) + 3, 7), dpi=110, layout="constrained"
    )
    panels = figure.subplots(1, len(figures["cases"]), sharey=True, squeeze=False)[0]
    all_results = [result for case in figures["cases"] for result in timed(results_of(case))]
    styles = _styles(by_solver(all_results))
    for axes, case in zip(panels, figures["cases"], strict=True):
        axes.axhspan(BAND, FLOOR, color="0.93", zorder=0)
        solvers = by_solver(result for result in timed(results_of(case)) if result.median_error is not None)
        exact = [solver for solver, results in solvers.items() if results[0].exact]
        places = dict(zip(exact, np.geomspace(FLOOR / 3, BAND * 3, len(exact)), strict=True))
        for solver, results in solvers.items():
            errors = [places.get(solver, max(result.median_error or 0.0, FLOOR)) for result in results]
            axes.plot(list(map(_time, results)), errors, **styles[solver])
        axes.set(xscale="log", yscale="log", xlabel="time per pair", ylim=(BAND, 3.0))
        axes.set_title(case["title"], loc="left", fontweight="bold", fontsize=11)
        label_times(axes.xaxis)
        _finish(axes)
    small = {10.0**k: f"$10^{{{k}}}$" for k in (-7, -6, -5, -4)}
    middle = (BAND * FLOOR) ** 0.5
    ticks = {middle: "exact up\nto rounding", **small, 1e-3: "0.1 %", 1e-2: "1 %", 1e-1: "10 %", 1.0: "100 %"}
    panels[0].set_yticks(list(ticks), list(ticks.values()))
    panels[0].set_ylabel("median error, relative to the exact value")
    lines = packages.load("matplotlib.lines")
    handles = [lines.Line2D([], [], label=solver, **style) for solver, style in styles.items()]
    figure.legend(handles=handles, loc="outside right center", frameon=False)
    save(figure, path, figures)


def label_times(axis: Any) -> None:
    """Write times with their units on an axis."""
    ticker = packages.load("matplotlib.ticker")
    axis.set_major_formatter(ticker.FuncFormatter(lambda seconds, _: duration(seconds)))
    axis.set_minor_formatter(ticker.NullFormatter())


def _styles(solvers: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Colours by maker, markers within; dashed where a solver has settings."""
    found: dict[str, dict[str, Any]] = {}
    for solver, points in solvers.items():
        shade, first = colour(solver), points[0]
        before = sum(style["color"] == shade for style in found.values())
        entropic = not (first if isinstance(first, Result) else first[1]).exact
        found[solver] = {
            "color": shade,
            "marker": MARKERS[before % len(MARKERS)],
            "markersize": 6,
            "markeredgecolor": shade,
            "markerfacecolor": "white" if entropic else shade,
            "linestyle": "--" if entropic else "-",
            "linewidth": 2.4 if solver.startswith("fastemd") else 1.2,
        }
    return found


def _finish(axes: Any) -> None:
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _time(result: Result) -> float:
    return result.seconds_per_pair or 0.0

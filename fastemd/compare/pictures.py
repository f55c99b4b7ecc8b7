"""A picture of a comparison: an example pair and its flow on the left, every solver's time and error on the right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import packages
from .examples import EXAMPLES
from .measure import Comparison, Result
from .report import duration, relative

EXACT = 1e-12  # errors below are of rounding
FLOOR = 1e-17  # where an error of 0 is drawn on a logarithmic axis
COLOURS = {"fastemd": "#0072B2", "POT": "#D55E00", "SciPy": "#009E73"}


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
    draw_solvers(right.subplots(), comparison.results)
    space = comparison.case.space
    right.suptitle(f"Every solver on up to {len(comparison.exact):,} pairs, {space.n:,} bins", fontweight="bold")
    figure.savefig(path)


def draw_solvers(axes: Any, results: tuple[Result, ...]) -> None:
    """Draw each solver's time per pair against its error, both logarithmic.

    Exact solvers lie side by side at the floor. Their labels stand on stems, the fastest solver's the highest, so that
    no label meets the stem of another.
    """
    timed = [result for result in results if result.status == "timed"]
    timed.sort(key=_time)
    exact = [result for result in timed if result.exact]
    approximate = [result for result in timed if not result.exact]

    axes.set(xscale="log", yscale="log", xlabel="time per pair", ylabel="error relative to the exact value")
    left = _time(timed[0]) / 3
    axes.set_xlim(left, left * (_time(timed[-1]) / left) ** 1.55)  # leaves room for the last label
    axes.set_ylim(FLOOR / 10, 100)
    axes.axhspan(FLOOR / 10, EXACT, color="0.93", zorder=0)
    axes.text(0.985, 0.015, "exact up to rounding", transform=axes.transAxes, ha="right", va="bottom", color="0.4")

    for k, result in enumerate(reversed(exact)):
        foot, top = max(result.largest_error or 0.0, FLOOR), EXACT * 10 ** (1 + 1.5 * k)
        axes.plot(2 * [_time(result)], [foot, top], color=_colour(result), lw=0.8, zorder=2)
        axes.scatter(_time(result), foot, s=80, color=_colour(result), edgecolor="white", zorder=3)
        _write(axes, f"{result.solver}\n{duration(_time(result))}", _time(result), top, right=True, gap=4)
    for result in approximate:
        middle, largest = max(result.median_error or 0.0, FLOOR), max(result.largest_error or 0.0, FLOOR)
        axes.plot(2 * [_time(result)], [middle, largest], color=_colour(result), lw=2, zorder=2)
        axes.scatter(_time(result), largest, s=80, color=_colour(result), edgecolor="white", zorder=3)
        axes.scatter(_time(result), middle, s=60, color="white", edgecolor=_colour(result), zorder=3)
        told = f"error {relative(middle)}, at most {relative(largest)}"
        text = f"{result.solver}\n{duration(_time(result))}\n{told}"
        _write(axes, text, _time(result), (middle * largest) ** 0.5, right=result is approximate[-1], gap=9)
    if approximate:
        axes.text(0.015, 0.985, "○ median   ● largest error", transform=axes.transAxes, va="top", color="0.4")
    _label_axes(axes)


def _label_axes(axes: Any) -> None:
    ticker = packages.load("matplotlib.ticker")
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda seconds, _: duration(seconds)))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    small = {10.0**k: f"$10^{{{k}}}$" for k in (-15, -12, -9, -6)}
    ticks = {FLOOR: "0", **small, 1e-3: "0.1 %", 1e-2: "1 %", 1e-1: "10 %", 1.0: "100 %"}
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _write(axes: Any, text: str, x: float, y: float, right: bool, gap: float) -> None:
    """Write to the right or to the left of a point."""
    offset, side = (gap, "left") if right else (-gap, "right")
    axes.annotate(text, (x, y), (offset, 0), textcoords="offset points", ha=side, va="center", linespacing=1.3)


def _time(result: Result) -> float:
    return result.seconds_per_pair or 0.0


def _colour(result: Result) -> str:
    return next((colour for maker, colour in COLOURS.items() if result.solver.startswith(maker)), "0.3")

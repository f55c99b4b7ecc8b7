"""The pictures of Sinkhorn's limits, one for each question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import runs
from .bias import BLURRED, DIVERGENCE, EXACT, SINKHORN
from .problems import FAR, KINDS
from .solving import EXACT as CLOSED
from .solving import METHODS

COLOURS = dict(zip(METHODS, ("#e69f00", "#d55e00", "#cc79a7", "#56b4e9", "#0072b2", "black"), strict=True))
MARKS = dict(zip(METHODS, "vsDo^.", strict=True))
REG = "reg / largest cost"
WIDTH = 10.5
DOTS = 110
FLOOR = 1e-9  # what is less is drawn there: rounding
ABOVE = 1e12  # above any picture


def chosen(result: runs.Record, question: str, **where: Any) -> list[runs.Record]:
    """The records of a question in which each name has its value."""
    return [
        one
        for one in result["records"]
        if one["question"] == question and all(one[name] == value for name, value in where.items())
    ]


def reached(records: Iterable[runs.Record], figure: str) -> list[float]:
    """A figure of each run, infinity where it did not converge: a median of those is right where most did."""
    return [one[figure] if one["outcome"] == "converged" else np.inf for one in records]


def _figure(rows: int, columns: int, height: float, **more: Any) -> tuple[Figure, np.ndarray]:
    picture = Figure(figsize=(WIDTH, height), layout="constrained")
    return picture, picture.subplots(rows, columns, squeeze=False, **more)


def _finish(picture: Figure, path: Path, axes: Iterable[Axes] = (), columns: int = 6) -> None:
    """Put one legend for all panels below them, each label once, and save."""
    seen = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            seen.setdefault(label, handle)
    if seen:
        picture.legend(
            seen.values(), seen.keys(), loc="outside lower center", ncols=columns, fontsize=9.5, frameon=False,
            columnspacing=1.2, handlelength=1.8,
        )  # fmt: skip
    picture.savefig(path, dpi=DOTS)


def _band(ax: Axes, x: Sequence[float], values: Sequence[Sequence[float]], colour: str, **look: Any) -> None:
    """A line of medians in a band from the least to the largest; it ends where the median is infinite."""
    kept = [(at, each) for at, each in zip(x, values, strict=True) if np.isfinite(np.median(each))]
    if kept:
        x, values = zip(*kept, strict=True)
        ax.plot(x, [np.median(each) for each in values], color=colour, **look)
        highest = [min(max(each), ABOVE) for each in values]
        ax.fill_between(x, [min(each) for each in values], highest, color=colour, alpha=0.15, lw=0)


def _fit(axes: Iterable[Axes]) -> None:
    """Set one height, that of the lines: a band that leaves the picture has rows that did not converge."""
    axes = list(axes)
    drawn = np.concatenate([line.get_ydata() for ax in axes for line in ax.get_lines()])
    for ax in axes:
        ax.set_ylim(drawn.min() / 2, drawn.max() * 4)


def draw_speed(result: runs.Record, path: Path) -> None:
    """Iterations and time against reg; a line ends where the median row did not converge."""
    places = runs.names(chosen(result, "speed"), "space")
    picture, axes = _figure(2, len(places), 7.2, sharex=True, sharey="row")
    for column, place in enumerate(places):
        for row, figure in enumerate(("iterations", "seconds")):
            ax = axes[row, column]
            for method in METHODS[:-1]:
                here = chosen(result, "speed", space=place, method=method)
                regs, scale = runs.names(here, "reg"), 1e3 if figure == "seconds" else 1
                values = [
                    scale * np.array(reached((one for one in here if one["reg"] == reg), figure)) for reg in regs
                ]  # fmt: skip
                _band(ax, regs, values, COLOURS[method], label=method, marker=MARKS[method], ms=5)
            ax.set(xscale="log", yscale="log")
        exact = [1e3 * one["seconds"] for one in chosen(result, "speed", space=place, method=CLOSED)]
        axes[1, column].axhline(np.median(exact), color=COLOURS[CLOSED], lw=2, label=CLOSED)
        axes[0, column].set_title(place, fontsize=11)
        axes[1, column].set_xlabel(REG, fontsize=11)
    axes[0, 0].invert_xaxis()
    _fit(axes[0])
    _fit(axes[1])
    axes[0, 0].set_ylabel(f"iterations to {result['target']:g}", fontsize=11)
    axes[1, 0].set_ylabel(f"ms to {result['target']:g}", fontsize=11)
    _finish(picture, path, axes.ravel(), columns=3)


def draw_accuracy(result: runs.Record, path: Path) -> None:
    """Value and direction of the gradient: against reg, and against iterations on either space."""
    places = runs.names(chosen(result, "accuracy"), "space")
    picture, axes = _figure(2, 1 + len(places), 7.6, sharey="row")
    for place, colour in zip(places, ("#009e73", "#d55e00"), strict=True):
        _draw_regs(chosen(result, "accuracy", space=place), place, axes[:, 0], colour)
    axes[0, 0].set_title(f"{result['limit']:,} iterations at most", fontsize=11)
    axes[0, 0].invert_xaxis()
    axes[1, 0].invert_xaxis()
    axes[1, 0].set_xlabel(REG, fontsize=11)
    for column, place in enumerate(places, 1):
        _draw_steps(result, place, axes[:, column])
    axes[0, 0].set_ylabel("relative error of the value", fontsize=11)
    axes[1, 0].set_ylabel("cosine with the exact gradient", fontsize=11)
    _finish(picture, path, axes[1], columns=5)


def _draw_regs(here: list[runs.Record], place: str, axes: Sequence[Axes], colour: str) -> None:
    """Value and cosine against reg; a point is hollow where a row has not converged."""
    regs = runs.names(here, "reg")
    done = [all(one["converged"] for one in here if one["reg"] == reg) for reg in regs]
    for ax, figures, floor in (
        (axes[0], ("value_error", "regularised_error"), FLOOR), (axes[1], ("cosine", "cosine_relaxed"), -1.0)
    ):  # fmt: skip
        solid, dotted = (
            [[max(one[name], floor) for one in here if one["reg"] == reg] for reg in regs] for name in figures
        )
        _band(ax, regs, solid, colour, label=place)
        for reg, values, full in zip(regs, solid, done, strict=True):
            ax.plot(reg, np.median(values), "o", color=colour, ms=5, mfc=colour if full else "white")
        middle = [np.median(each) for each in dotted]
        ax.plot(regs, middle, color=colour, ls=":", lw=1.8, label=f"{place}, dotted")
        ax.set_xscale("log")
    axes[0].set_yscale("log")


def _draw_steps(result: runs.Record, place: str, axes: Sequence[Axes]) -> None:
    """Value and cosine against iterations, for each reg; fastemd's dashed and without a band."""
    here = chosen(result, "steps", space=place)
    for reg, colour in zip(runs.names(here, "reg"), ("#56b4e9", "#0072b2", "black"), strict=False):
        for method in ("plain", "over-relaxed"):
            own = [one for one in here if one["reg"] == reg and one["method"] == method]
            for ax, figure, floor in zip(axes, ("value_error", "cosine"), (FLOOR, -1.0), strict=True):
                curves, label = np.maximum([one[figure] for one in own], floor), f"reg {reg:g}, {method}"
                if method == "plain":
                    _band(ax, own[0]["steps"], list(curves.T), colour, label=label)
                else:
                    ax.plot(own[0]["steps"], np.median(curves, axis=0), color=colour, ls="--", label=label)
    axes[0].set(xscale="log", yscale="log")
    axes[0].set_title(place, fontsize=11)
    axes[1].set_xscale("log")
    axes[1].set_xlabel("iterations", fontsize=11)


def draw_range(result: runs.Record, path: Path) -> None:
    """The share of rows that broke against reg, for each dtype and kind of histograms, and where that was expected."""
    places = runs.names(chosen(result, "range"), "space")
    picture, axes = _figure(1, len(places), 4.2, sharey=True)
    for ax, place in zip(axes[0], places, strict=True):
        for dtype, colour in (("float32", "#d55e00"), ("float64", "#0072b2")):
            for kind, style in zip((*KINDS, FAR), (("-", "o"), ("--", "s"), (":", "^")), strict=True):
                here = chosen(result, "range", space=place, dtype=dtype, kind=kind)
                regs = runs.names(here, "reg")
                broke = [np.mean([one["outcome"] == "broke" for one in here if one["reg"] == reg]) for reg in regs]
                ax.plot(
                    regs, broke, color=colour, ls=style[0], marker=style[1], ms=4, label=f"{dtype}, {kind}"
                )  # fmt: skip
            border = result["borders"][dtype]
            ax.axvline(border, color=colour, lw=4, alpha=0.3, label=f"{dtype}: exp(−largest cost / reg) = tiny")
        ax.set(xscale="log", xlabel=REG, ylim=(-0.04, 1.04))
        ax.set_title(place, fontsize=11)
        ax.invert_xaxis()
    axes[0, 0].set_ylabel("share of rows that broke", fontsize=11)
    _finish(picture, path, axes.ravel(), columns=4)


def draw_bias(result: runs.Record, path: Path) -> None:
    """Minimisers beside b on the first space, and the distances of minimisers from b on both."""
    places = runs.names(chosen(result, "bias"), "space")
    picture = Figure(figsize=(WIDTH, 7.6), layout="constrained")
    axes = picture.subplot_mosaic([["histograms"] * len(places), places], height_ratios=(1, 1.15))
    looks = {
        SINKHORN: ("#d55e00", "-", "s"), BLURRED: ("#e69f00", "--", "v"), DIVERGENCE: ("#0072b2", "-", "o"),
        **dict(zip(EXACT, (("black", "--", ""), ("#009e73", ":", "")), strict=True)),
    }  # fmt: skip
    top = axes["histograms"]
    first = [one for one in chosen(result, "bias", space=places[0], seed=0) if "histogram" in one]
    for one in first:
        histogram, bins = one["histogram"], np.arange(len(one["histogram"]))
        if one["method"] == "b":
            top.fill_between(bins, histogram, step="mid", color="0.8", label="b")
        elif one["reg"] in (None, result["histogram_reg"]):
            colour, style, _ = looks[one["method"]]
            top.plot(bins, histogram, color=colour, ls=style, lw=1.6)
    highest = 2 * max(max(one["histogram"]) for one in first if one["method"] == "b")
    top.set(ylim=(0, highest), xlim=(0, len(first[0]["histogram"]) - 1))
    top.set_title(f"{places[0]}, seed 0: minimisers, at reg {result['histogram_reg']:g}; cut off at {highest:.2g}")
    top.set_ylabel("mass", fontsize=11)
    for place in places:
        ax = axes[place]
        for method, (colour, style, mark) in looks.items():
            here = chosen(result, "bias", space=place, method=method)
            regs = runs.names(here, "reg")
            values = [[max(one["distance"] / one["start"], FLOOR) for one in here if one["reg"] == reg] for reg in regs]
            if method in EXACT:
                ax.axhline(np.median(values[0]), color=colour, ls=style, lw=1.6, label=method)
            else:
                _band(ax, regs, values, colour, ls=style, marker=mark, ms=5, label=method)
        ax.set(xscale="log", yscale="log", xlabel=REG, title=place, ylim=(FLOOR / 2, 3))
        regs = sorted({one["reg"] for one in chosen(result, "bias", space=place)} - {None})
        ax.set_xticks(regs, [f"{reg:g}" for reg in regs])
        ax.minorticks_off()
        ax.invert_xaxis()
    axes[places[0]].set_ylabel("exact distance of the minimiser\nfrom b / of the start", fontsize=11)
    _finish(picture, path, [top, axes[places[0]]])


def draw_growth(result: runs.Record, path: Path) -> None:
    """Time of one pair against the number of bins."""
    places = runs.names(chosen(result, "growth"), "space")
    picture, axes = _figure(1, len(places), 4.6, sharey=True)
    for ax, place in zip(axes[0], places, strict=True):
        for method in METHODS[1:]:
            here = chosen(result, "growth", space=place, method=method)
            sizes = runs.names(here, "n")
            times = [1e3 * np.array(reached((one for one in here if one["n"] == n), "seconds")) for n in sizes]
            _band(ax, sizes, times, COLOURS[method], marker=MARKS[method], ms=5, label=method)
        ax.set(xscale="log", yscale="log", xlabel="bins")
        ax.set_title(place, fontsize=11)
    _fit(axes[0])
    axes[0, 0].set_ylabel(f"ms to {result['target']:g}, reg {result['growth_reg']:g}", fontsize=11)
    _finish(picture, path, axes.ravel())


PICTURES = {
    "speed": draw_speed, "accuracy": draw_accuracy, "range": draw_range, "bias": draw_bias, "growth": draw_growth,
}  # fmt: skip

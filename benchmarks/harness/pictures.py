"""Pictures of times side by side and of shares of the memory bandwidth, drawn from files of results."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .tables import duration, number

# Okabe and Ito's colours, which readers who see fewer colours can tell apart; a library has one.
COLOURS = {
    "fastemd": "#0072B2",
    "EMDLoss": "#0072B2",
    "POT": "#D55E00",
    "SciPy": "#000000",
    "torch": "#CC79A7",
    "cross_entropy": "#CC79A7",
    "jax": "#009E73",
    "ott-jax": "#E69F00",
    "geomloss": "#56B4E9",
}
OTHERS = "0.4"


def colour(solver: str) -> str:
    """Return the colour of a solver's library."""
    return next((shade for library, shade in COLOURS.items() if solver.startswith(library)), OTHERS)


def save(picture: Any, path: Path, data: Any) -> None:
    """Write a PNG file that says, in its metadata, which data it was drawn from; a test finds a stale one."""
    text = json.dumps(data, sort_keys=True, default=str)
    picture.savefig(path, metadata={"Source": hashlib.sha256(text.encode()).hexdigest()})


def draw_times(panels: Mapping[str, Mapping[str, float]], path: Path, columns: int = 2) -> None:
    """Draw a panel of horizontal bars for each job, on a logarithmic axis, and write a PNG file.

    Parameters
    ----------
    panels : mapping
        From the title of a job to the milliseconds of each solver. The time of "fastemd" is the one that the others are
        compared with.
    path : Path
    columns : int
        Panels side by side.
    """
    from matplotlib.figure import Figure

    rows = math.ceil(len(panels) / columns)
    blocks = [list(panels.values())[row * columns : (row + 1) * columns] for row in range(rows)]
    heights = [max(map(len, block)) + 1.6 for block in blocks]
    picture = Figure(figsize=(6.2 * columns, 0.32 * sum(heights)), dpi=110, layout="constrained")
    parts = picture.subfigures(rows, columns, squeeze=False, height_ratios=heights).ravel()
    for part, (title, times) in zip(parts, panels.items(), strict=False):
        _draw_bars(part.subplots(), times)
        part.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    save(picture, path, panels)


def _draw_bars(axes: Any, times: Mapping[str, float]) -> None:
    ordered = sorted(times, key=times.__getitem__)
    least, most = times[ordered[0]], times[ordered[-1]]
    left = least / 3
    for row, name in enumerate(ordered):
        ratio = times[name] / times["fastemd"]
        label = duration(times[name] / 1e3) + ("" if name == "fastemd" else f"  (× {number(ratio)})")
        axes.barh(row, times[name] - left, left=left, color=colour(name), height=0.7)
        axes.annotate(label, (times[name], row), (4, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set(xscale="log", xlim=(left, most * (most / left) ** 0.55))
    axes.set_yticks(range(len(ordered)), ordered, fontsize=9)
    axes.set_ylim(len(ordered) - 0.4, -0.6)
    axes.xaxis.set_visible(False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def draw_shares(lines: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the share of the memory bandwidth that each line with one reaches, and write a PNG file."""
    from matplotlib.figure import Figure

    lines = [line for line in lines if "share_of_bandwidth" in line]
    picture = Figure(figsize=(11, 0.3 * len(lines) + 1), dpi=110, layout="constrained")
    axes = picture.subplots()
    for row, line in enumerate(lines):
        share = line["share_of_bandwidth"]
        measured = line["bandwidth_gb_per_s"][line["bandwidth"]]
        axes.barh(row, share, color=COLOURS["fastemd"], height=0.7)
        axes.annotate(
            f"{100 * share:.0f} % of {number(measured)} GB/s", (1, row), (6, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", fontsize=9,
        )  # fmt: skip
    axes.axvline(1, color="0.5", lw=1, zorder=0)
    axes.set_xlim(0, max([1.05, *(1.05 * line["share_of_bandwidth"] for line in lines)]))
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.set_yticks(range(len(lines)), [line["job"] for line in lines], fontsize=9)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    axes.set_xlabel("share of the memory bandwidth measured beside it")
    axes.spines[["top", "right"]].set_visible(False)
    save(picture, path, lines)

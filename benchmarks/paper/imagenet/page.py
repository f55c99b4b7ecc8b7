"""The table and the picture of a training on pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ...harness import tables
from .. import runs

FIGURES = {"top1": True, "top5": True, "distance": False}  # whether higher is better
AGAINST = "cross entropy"


def page(result: runs.Record) -> str:
    """The figures of each loss, and beside cross entropy where that was trained as well."""
    records = result["records"]
    methods = runs.names(records, "method")
    rows = []
    for method in methods:
        first = next(one for one in records if one["method"] == method)
        cells = [method, tables.number(first["rate"]), "" if first["weight"] is None else f"{first['weight']:g}"]
        for figure, higher in FIGURES.items():
            cells.append(runs.mean_and_sd(runs.by_seed(records, figure, method=method)))
            if method != AGAINST and AGAINST in methods:
                compared = runs.comparison(records, figure, AGAINST, higher_wins=higher)
                p = dict(zip(compared, runs.holm([one.p_t for one in compared.values()]), strict=True))
                cells[-1] += f"<br>{runs.versus(compared[method], p[method])}"
        rows.append(cells)
    about = (
        f"{result['classes']:,} classes, {result['per_class']} pictures each to train on, {result['epochs']} epochs at "
        f"{result['size']} pixels, ResNet-18 of width {result['width']}, on {result['device_of_torch']}. "
        f"{result['seeds']} seeds, mean ± standard deviation; below it, against {AGAINST} over the same seeds: mean "
        "difference, seeds won, p of the paired t test, adjusted by Holm's method for the losses of the column. Rates "
        f"and weights have the best top1 on {result['validation']} more pictures a class."
    )
    return "\n\n".join([about, tables.table(["loss", "rate", "weight", *FIGURES], rows)])


def draw(result: runs.Record, path: Path) -> None:
    """Each figure for each loss: every seed, and their mean."""
    records = result["records"]
    methods = runs.names(records, "method")
    picture = Figure(figsize=(3.4 * len(FIGURES) + 1, 0.45 * len(methods) + 1.4), layout="constrained")
    axes = picture.subplots(1, len(FIGURES), sharey=True)
    for ax, (figure, higher) in zip(axes, FIGURES.items(), strict=True):
        for k, method in enumerate(methods):
            values = runs.by_seed(records, figure, method=method)
            ax.plot(values, np.full(len(values), k), "o", ms=4, color="#56b4e9")
            ax.plot(values.mean(), k, "|", ms=16, color="black")
        ax.set_yticks(range(len(methods)), methods)
        ax.set_title(f"{figure} ({'higher' if higher else 'lower'} is better)", fontsize=10)
    axes[0].invert_yaxis()
    picture.savefig(path, dpi=110)

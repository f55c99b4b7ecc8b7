"""The tables and the picture of the classifiers over ordered classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ...harness import tables
from .. import runs
from .data import SHARES

CHOSEN_BY = {
    "accuracy": "accuracy",
    "mae": "mae",
    "emd": "emd",
    "rps": "rps",
    "brier": "brier",
    "ece": "accuracy",  # an untrained net is calibrated, so that is nothing to choose by
}
HIGHER = ("accuracy",)
DRAWN = ("accuracy", "mae", "rps")
AGAINST, EXACT = "cross entropy", "EMD rho 1"
OVERLAP = SHARES[2] / (1 - SHARES[2])
LEVEL = 0.05


def page(result: runs.Record) -> str:
    """Which losses are better than cross entropy, how often; then the figures of each data set."""
    records = result["records"]
    parts = [
        f"{result['seeds']} seeds (splits), mean ± standard deviation; below it, against cross entropy over the same "
        "seeds: the mean difference, seeds won, and p of the paired t test with the variance corrected for splits that "
        "share rows (Nadeau and Bengio), adjusted by Holm's method for the losses of the column. "
        f"{result['trials']} trials for each loss and seed. Bold: p < {LEVEL} and better; in italics: and worse.",
        *(_tally(records, against) for against in (AGAINST, EXACT)),
    ]
    for data, about in result["data"].items():
        for size in runs.names(records, "size"):
            own = [one for one in records if one["data"] == data and one["size"] == size]
            title = f"**{data}, {size}**: {about['what']}; {about['bins']} classes, {about['features']} features, "
            parts += [title + f"{about['rows']:,} rows in all", _table(own)]
    parts += [f"- {name} is not in these tables: {why}" for name, why in result["absent"].items()]
    return "\n\n".join(parts)


def compared(records: Sequence[runs.Record], figure: str, against: str) -> dict[str, tuple[runs.Paired, float]]:
    """For one data set and size, each loss against one of them, and the adjusted p value."""
    higher = figure in HIGHER
    found = runs.comparison(records, figure, against, higher_wins=higher, overlap=OVERLAP)
    adjusted = runs.holm([one.p_t for one in found.values()])
    return {method: (one, p) for (method, one), p in zip(found.items(), adjusted, strict=True)}


def better_or_worse(found: runs.Paired, p: float, figure: str) -> int:
    """1 where a loss is better than the other at the level, -1 where it is worse, else 0."""
    if p >= LEVEL:
        return 0
    return 1 if (found.difference > 0) == (figure in HIGHER) else -1


def _tally(records: Sequence[runs.Record], against: str) -> str:
    cases = list(dict.fromkeys((one["data"], one["size"]) for one in records))
    count: dict[tuple[str, str], list[int]] = {}
    for data, size in cases:
        own = [one for one in records if one["data"] == data and one["size"] == size]
        for figure in CHOSEN_BY:
            for method, (found, p) in compared(own, figure, against).items():
                count.setdefault((method, figure), []).append(better_or_worse(found, p, figure))
    methods = [method for method in runs.names(records, "method") if method != against]
    rows = [
        [method, *(f"{count[method, figure].count(1)} / {count[method, figure].count(-1)}" for figure in CHOSEN_BY)]
        for method in methods
    ]
    head = [f"better / worse than {against}, of {len(cases)}", *CHOSEN_BY]
    return tables.table(head, rows)


def _table(records: Sequence[runs.Record]) -> str:
    against = {figure: compared(records, figure, AGAINST) for figure in CHOSEN_BY}
    rows = []
    for method in runs.names(records, "method"):
        cells = [method]
        for figure in CHOSEN_BY:
            cell = runs.mean_and_sd(runs.by_seed(records, figure, method=method))
            if method != AGAINST:
                found, p = against[figure][method]
                mark = {1: "**", -1: "*", 0: ""}[better_or_worse(found, p, figure)]
                cell = f"{mark}{cell}{mark}<br>{runs.versus(found, p)}"
            cells.append(cell)
        rows.append(cells)
    return tables.table(["loss", *CHOSEN_BY], rows)


def draw(result: runs.Record, path: Path) -> None:
    """Differences from cross entropy over the same seeds, a panel for each data set and figure."""
    records, names = result["records"], list(result["data"])
    methods = [method for method in runs.names(records, "method") if method != AGAINST]
    picture = Figure(figsize=(3.1 * len(names) + 1.2, 2.4 * len(DRAWN) + 0.6), layout="constrained")
    axes = picture.subplots(len(DRAWN), len(names), sharey=True, squeeze=False)
    sizes = runs.names(records, "size")
    for (row, column), ax in np.ndenumerate(axes):
        figure, data = DRAWN[row], names[column]
        for k, size in enumerate(sizes):
            own = [one for one in records if one["data"] == data and one["size"] == size]
            found = runs.comparison(own, figure, AGAINST, higher_wins=figure in HIGHER)
            middle, sd = ([getattr(found[method], name) for method in methods] for name in ("difference", "sd"))
            height = np.arange(len(methods)) + 0.25 * (k - (len(sizes) - 1) / 2)
            colour = ("#0072b2", "#d55e00")[k % 2]
            ax.errorbar(middle, height, xerr=sd, fmt="os"[k % 2], ms=4, lw=1, color=colour, label=size)
        ax.axvline(0, color="grey", lw=0.8)
        ax.set_yticks(range(len(methods)), methods, fontsize=8)
        ax.tick_params(axis="x", labelsize=8)
        ax.locator_params(axis="x", nbins=4)
        ax.set_title(f"{data}: {figure} ({'higher' if figure in HIGHER else 'lower'} is better)", fontsize=9)
    axes[0, 0].invert_yaxis()
    picture.suptitle("difference from cross entropy over the same seeds: mean ± standard deviation", fontsize=10)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    picture.savefig(path, dpi=110)

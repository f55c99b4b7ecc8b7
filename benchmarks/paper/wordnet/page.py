"""The tables and the picture of the classifiers of glosses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ...harness import tables
from .. import runs

AGAINST = "cross entropy"
CLAIMED = ("EMD, ρ = 2", "cross entropy + EMD, ρ = 2")
LEVEL = 0.05
BROKEN = 0.5  # a loss with less than this share of the accuracy of cross entropy does not learn, and is not drawn


class Shown(NamedTuple):
    """A figure: its words, what it is multiplied by, whether more is better, whether it is compared."""

    words: str
    scale: float
    higher_wins: bool
    compared: bool


FIGURES = {
    "top1": Shown("top-1, %", 100, True, True),
    "top5": Shown("top-5, %", 100, True, True),
    "distance": Shown("distance, edges", 1, False, True),
    "climb": Shown("of it up to the common ancestor", 1, False, False),
    "mistake": Shown("distance of mistakes", 1, False, False),
}


def page(result: runs.Record) -> str:
    """Return the claim first, then a table for each number of glosses."""
    facts, sizes, seeds = result["task"], result["sizes"], result["seeds"]
    tries = len(result["tries"]) // len(result["chosen"])
    sets = [
        f"{facts['classes']} classes on a tree of {facts['nodes']:,} nodes, two classes {facts['mean_distance']:.1f} "
        f"edges apart on average and {facts['diameter']:.0f} at most; {facts['glosses']:,} glosses in all, "
        f"{facts['words']:.1f} words each once names and stop words are left out. {tries} settings tried of each loss "
        f"for each number of glosses; {seeds} seeds, mean ± standard deviation, {sizes['test']} test glosses a class.",
        "**The claim: the relaxed distance beats cross entropy in top-1 accuracy.**",
        _claim(result),
        "**Against cross entropy with the very rate and number of epochs of the other loss**",
        _controls(result),
    ]
    for train in sizes["train"]:
        sets += [f"**{train} glosses a class to learn from**", _table(result, train)]
    sets.append(
        "Below a figure: the mean difference from cross entropy over the same seeds, seeds won, and p of the paired t "
        f"test, adjusted by Holm's method for the losses of the column. Bold: p < {LEVEL} and better; in italics: and "
        "worse. Seeds draw from the same glosses, which the usual t test does not know. The last column of the first "
        "table has Nadeau and Bengio's correction for training parts that share as many rows as they can, which these "
        "do not; it is not adjusted."
    )
    return "\n\n".join(sets)


def comparisons(records: Sequence[runs.Record], figure: str, train: int) -> dict[str, tuple[runs.Paired, float]]:
    """Each loss against cross entropy at one number of glosses, and the adjusted p value."""
    shown = FIGURES[figure]
    scaled = [one | {figure: shown.scale * one[figure]} for one in records]
    found = runs.comparison(scaled, figure, AGAINST, higher_wins=shown.higher_wins, train=train)
    adjusted = runs.holm([one.p_t for one in found.values()])
    return {method: (one, p) for (method, one), p in zip(found.items(), adjusted, strict=True)}


def _claim(result: runs.Record) -> str:
    head = [
        "glosses a class", "loss", "top-1 − that of cross entropy, points", "seeds won", "p of the t test, adjusted",
        "p of the sign test", "p of the t test, as if each seed used all glosses",
    ]  # fmt: skip
    rows = []
    for train in result["sizes"]["train"]:
        for method in CLAIMED:
            found, p = comparisons(result["records"], "top1", train)[method]
            careful = runs.comparison(
                result["records"], "top1", AGAINST, higher_wins=True, methods=(method,), train=train,
                overlap=result["sizes"]["test"] / train,
            )[method]  # fmt: skip
            rows.append(
                [
                    str(train), method, f"{found.difference:+.2f} ± {found.sd:.2f}", f"{found.won} of {found.seeds}",
                    _p(p), _p(found.p_sign), _p(careful.p_t),
                ]
            )  # fmt: skip
    return tables.table(head, rows)


def controlled(result: runs.Record, figure: str, train: int) -> dict[str, tuple[runs.Paired, float]]:
    """Each loss with a weight against cross entropy in the schedule of that loss, and the adjusted p value."""
    shown, found = FIGURES[figure], {}
    for control in runs.names(result["controls"], "method"):
        method = control.removeprefix(f"{AGAINST} as ")
        own = shown.scale * runs.by_seed(result["records"], figure, method=method, train=train)
        plain = shown.scale * runs.by_seed(result["controls"], figure, method=control, train=train)
        found[method] = runs.paired(own, plain, higher_wins=shown.higher_wins)
    adjusted = runs.holm([one.p_t for one in found.values()])
    return {method: (one, p) for (method, one), p in zip(found.items(), adjusted, strict=True)}


def _controls(result: runs.Record) -> str:
    compared = [figure for figure, shown in FIGURES.items() if shown.compared]
    rows = []
    for train in result["sizes"]["train"]:
        found = {figure: controlled(result, figure, train) for figure in compared}
        for method in found[compared[0]]:
            cells = [
                _marked(runs.versus(*found[figure][method]), *found[figure][method], figure) for figure in compared
            ]
            rows.append([str(train), method, *cells])
    return tables.table(["glosses a class", "loss", *(FIGURES[figure].words for figure in compared)], rows)


def _marked(cell: str, found: runs.Paired, p: float, figure: str) -> str:
    mark = "" if p >= LEVEL else "**" if (found.difference > 0) == FIGURES[figure].higher_wins else "*"
    return f"{mark}{cell}{mark}"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def _table(result: runs.Record, train: int) -> str:
    records = result["records"]
    against = {figure: comparisons(records, figure, train) for figure, shown in FIGURES.items() if shown.compared}
    rows = []
    for best in (one for one in result["chosen"] if one["train"] == train):
        method, weight = best["method"], best["weight"]
        setting = f"rate {best['rate']:g}{'' if weight is None else f', weight {weight:g}'}, {best['epochs']} epochs"
        cells = [method, setting]
        for figure, shown in FIGURES.items():
            cell = runs.mean_and_sd(shown.scale * runs.by_seed(records, figure, method=method, train=train))
            if method in against.get(figure, ()):
                found, p = against[figure][method]
                cell = f"{_marked(cell, found, p, figure)}<br>{runs.versus(found, p)}"
            cells.append(cell)
        rows.append(cells)
    return tables.table(["loss", "setting", *(shown.words for shown in FIGURES.values())], rows)


def draw(result: runs.Record, path: Path) -> None:
    """Differences from cross entropy in top-1 and in distance; each seed a dot, each number of glosses a colour."""
    records, trains = result["records"], result["sizes"]["train"]
    methods = [method for method in runs.names(records, "method") if method != AGAINST]
    picture = Figure(figsize=(10, 0.62 * len(methods) + 1.6), layout="constrained")
    axes = picture.subplots(1, 2, sharey=True)
    for ax, figure in zip(axes, ("top1", "distance"), strict=True):
        shown = FIGURES[figure]
        for k, train in enumerate(trains):
            reference = runs.by_seed(records, figure, method=AGAINST, train=train)
            floor = BROKEN * runs.by_seed(records, "top1", method=AGAINST, train=train).mean()
            for row, method in enumerate(methods):
                difference = shown.scale * (runs.by_seed(records, figure, method=method, train=train) - reference)
                height, colour = row + 0.24 * (k - (len(trains) - 1) / 2), ("#0072b2", "#d55e00", "#009e73")[k % 3]
                if runs.by_seed(records, "top1", method=method, train=train).mean() < floor:
                    words = f"not drawn: {difference.mean():+.1f} at {train}"
                    ax.text(
                        0.02, height, words, transform=ax.get_yaxis_transform(), va="center", fontsize=8, color=colour
                    )
                    continue
                ax.plot(difference, np.full(len(difference), height), ".", ms=4, color=colour, alpha=0.4)
                ax.errorbar(difference.mean(), height, xerr=difference.std(ddof=1), fmt="o", ms=5, lw=1.2, color=colour)
        ax.axvline(0, color="grey", lw=0.8)
        better = "more" if shown.higher_wins else "less"
        ax.set_title(f"{shown.words} ({better} is better)", fontsize=10)
    axes[0].set_yticks(range(len(methods)), methods)
    axes[0].set_ylim(len(methods) - 0.5, -0.5)
    picture.supxlabel(
        "difference from cross entropy over the same seeds: each seed, mean ± standard deviation", fontsize=10
    )
    for k, train in enumerate(trains):
        axes[1].plot([], [], "o", color=("#0072b2", "#d55e00", "#009e73")[k % 3], label=f"{train} glosses a class")
    picture.legend(loc="outside upper center", ncols=len(trains), frameon=False)
    picture.savefig(path, dpi=110)

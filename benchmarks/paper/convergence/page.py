"""The tables and the picture of the descents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ...harness import tables
from .. import runs

AGAINST = ("rho 1", "cross entropy")
SHOWN = 0.1
CASE = ("space", "route", "target")
COLOURS = {
    "rho 1": "black", "rho 1.5": "#56b4e9", "rho 2": "#0072b2", "rho 3": "#009e73", "cross entropy": "#d55e00",
    "Sinkhorn 0.3": "#e8c9a0", "Sinkhorn 0.1": "#e69f00", "Sinkhorn 0.03": "#a6761d", "divergence 0.1": "#cc79a7",
}  # fmt: skip


def page(result: runs.Record) -> str:
    """A table for each space, route and target."""
    head = [
        "gradient",
        *(f"steps to {100 * f:g} %" for f in fractions(result)),
        "µs a step",
        f"ms to {100 * SHOWN:g} %",
    ]
    head += [f"steps to {100 * SHOWN:g} %, beside {name}" for name in AGAINST]
    parts = [
        f"{result['seeds']} seeds, mean ± standard deviation; at most {result['limit']:,} steps. Where not every seed "
        f"got there: how many did. Each gradient has the best of {result['grid']} step sizes, found for each fraction "
        f"on {result['tuning_seeds']} other seeds. Beside: the factor in steps (geometric mean; what did not get there "
        "counts as the limit), seeds with fewer steps, and p of the paired t test of the logarithms, adjusted by "
        "Holm's method for the rows of the column."
    ]
    for case in cases(result["records"]):
        records = [one for one in result["records"] if all(one[key] == case[key] for key in CASE)]
        rows = [_row(method, records, result) for method in runs.names(records, "method")]
        title = f"**{case['space'][0].upper()}{case['space'][1:]}, {case['route']}, target: {case['target']}**"
        parts += [title, tables.table(head, rows)]
    at_edge = sum(one["edge"] for one in result["records"] if one["seed"] == 0 and one["tuning_seeds_there"])
    parts.append(
        f"Best step sizes at an end of the grid: {at_edge} of {sum(r['seed'] == 0 for r in result['records'])}."
    )
    return "\n\n".join(parts)


def cases(records: Sequence[runs.Record]) -> list[dict[str, str]]:
    """Where something was descended: space, route and target."""
    found = dict.fromkeys(tuple(one[key] for key in CASE) for one in records)
    return [dict(zip(CASE, case, strict=True)) for case in found]


def fractions(result: runs.Record) -> list[float]:
    return runs.names(result["records"], "fraction")


def logarithms(records: Sequence[runs.Record], limit: int) -> list[runs.Record]:
    """The records with the logarithm of their steps; what never got there counts as the limit."""
    return [one | {"log": math.log(one["steps"] or limit)} for one in records]


def _row(method: str, records: Sequence[runs.Record], result: runs.Record) -> list[str]:
    own = [one for one in records if one["method"] == method]
    cells = [method]
    for fraction in fractions(result):
        cells.append(_mean_of_those_there([one["steps"] for one in own if one["fraction"] == fraction]))
    shown = [one for one in own if one["fraction"] == SHOWN]
    cells.append(tables.number(1e3 * float(np.median([one["ms_per_step"] for one in shown]))))
    times = [one["steps"] and one["steps"] * one["ms_per_step"] for one in shown]
    cells.append(_mean_of_those_there(times))
    return [*cells, *(_beside(method, name, records, result["limit"]) for name in AGAINST)]


def _mean_of_those_there(values: Sequence[float | None]) -> str:
    there = [value for value in values if value is not None]
    return runs.mean_and_sd(there) if len(there) == len(values) else f"{len(there)}/{len(values)} seeds"


def _beside(method: str, against: str, records: Sequence[runs.Record], limit: int) -> str:
    records = [one for one in records if one["fraction"] == SHOWN]
    there = {one["method"] for one in records if one["steps"] is not None}
    if method == against or not there & {method, against}:
        return ""
    found = runs.comparison(logarithms(records, limit), "log", against, higher_wins=False)
    adjusted = dict(zip(found, runs.holm([one.p_t for one in found.values()]), strict=True))
    one = found[method]
    return f"× {tables.number(math.exp(one.difference))}, {one.won}/{one.seeds}, {runs.p_value(adjusted[method])}"


def draw(result: runs.Record, path: Path) -> None:
    """The exact distance over the steps, in a panel for each case; medians over the seeds.

    A corner of the simplex is a step away for nearly every gradient, so that there is nothing to draw.
    """
    every = [case for case in cases(result["records"]) if (case["route"], case["target"]) != ("simplex", "one bin")]
    columns = len(every) // len({case["space"] for case in every})
    rows = len(every) // columns
    picture = Figure(figsize=(3.4 * columns, 3.1 * rows + 0.6), layout="constrained")
    axes = picture.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for ax, case in zip(axes, every, strict=True):
        for method in runs.names(result["records"], "method"):
            drawn = [
                one["curve"]
                for one in result["records"]
                if one["method"] == method and "curve" in one and all(one[key] == case[key] for key in CASE)
            ]
            steps, least = drawn[0][0], np.array([curve[1] for curve in drawn])
            width = 2 if method.startswith("rho") else 1.3
            ax.loglog(steps, np.median(least, axis=0), color=COLOURS[method], label=method, lw=width)
        ax.axhline(SHOWN, color="grey", lw=0.6)
        ax.set_title(f"{case['space']}, {case['route']},\ntarget: {case['target']}", fontsize=9)
        ax.set_ylim(fractions(result)[-1], 1.1)  # where a descent ends
        ax.set_xlabel("step")
    picture.supylabel("least exact distance so far / at the start", fontsize=10)
    handles, names = axes[0].get_legend_handles_labels()
    picture.legend(handles, names, loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    picture.savefig(path, dpi=110)

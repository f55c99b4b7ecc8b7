"""The tables of Sinkhorn's limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...harness import tables
from .. import runs
from .pictures import chosen
from .solving import EXACT as CLOSED
from .solving import METHODS


def page(result: runs.Record) -> str:
    """Return a table for each question."""
    parts = [
        f"{result['seeds']} seeds of each kind of histograms; reg in units of the largest cost; solved to a marginal "
        f"error of {result['target']:g}, with {result['limit']:,} iterations at most, and {result['log_limit']:,} of "
        "POT's."
    ]
    for title, make in TABLES.items():
        parts += [f"**{title}**", make(result)]
    return "\n\n".join(parts)


def from_there_down(regs: Sequence[float], holds: Callable[[float], bool]) -> float | None:
    """Return the largest reg at which, and at every smaller one of which, a condition holds; None if there is none."""
    found = None
    for reg in sorted(regs):
        if not holds(reg):
            break
        found = reg
    return found


def broken(records: Sequence[runs.Record]) -> tuple[float | None, float | None]:
    """Return the largest reg at which a row broke, and the reg from which down all rows did."""
    first = max((one["reg"] for one in records if one["outcome"] == "broke"), default=None)
    every = from_there_down(
        runs.names(records, "reg"),
        lambda reg: all(one["outcome"] == "broke" for one in records if one["reg"] == reg),
    )
    return first, every


def _speed(result: runs.Record) -> str:
    rows = []
    for place in runs.names(chosen(result, "speed"), "space"):
        for kind in runs.names(chosen(result, "speed"), "kind"):
            here = chosen(result, "speed", space=place, kind=kind)
            exact = [1e3 * one["seconds"] for one in here if one["method"] == CLOSED]
            for reg in sorted({one["reg"] for one in here} - {None}, reverse=True):
                found = [[one for one in here if one["method"] == m and one["reg"] == reg] for m in METHODS[:-1]]
                rows.append([place, kind, f"{reg:g}", *map(_solved, found), runs.mean_and_sd(exact)])
    return tables.table(["space", "histograms", "reg", *METHODS], rows)


def _solved(found: Sequence[runs.Record]) -> str:
    """Return iterations and milliseconds, or how many rows did not get there and why."""
    missed = [one["outcome"] for one in found if one["outcome"] != "converged"]
    if missed:
        counts = ", ".join(f"{missed.count(why)} {why}" for why in ("broke", "ran out") if why in missed)
        return f"{counts} of {len(found)}"
    iterations, times = ([scale * one[name] for one in found] for name, scale in (("iterations", 1), ("seconds", 1e3)))
    return f"{runs.mean_and_sd(iterations)}<br>{runs.mean_and_sd(times)} ms"


def _accuracy(result: runs.Record) -> str:
    head = [
        "space", "histograms", "reg", "error of ⟨P, C⟩", "of the regularised value", "cosine, ρ = 1", "cosine, ρ = 2",
        "of ρ = 1 and ρ = 2", "rows converged",
    ]  # fmt: skip
    rows = []
    for place in runs.names(chosen(result, "accuracy"), "space"):
        for kind in runs.names(chosen(result, "accuracy"), "kind"):
            for reg in runs.names(chosen(result, "accuracy"), "reg"):
                here = chosen(result, "accuracy", space=place, kind=kind, reg=reg)
                figures = [
                    runs.mean_and_sd([one[name] for one in here])
                    for name in ("value_error", "regularised_error", "cosine", "cosine_relaxed", "cosine_of_both")
                ]
                converged = sum(one["converged"] for one in here)
                rows.append([place, kind, f"{reg:g}", *figures, f"{converged} of {len(here)}"])
    return tables.table(head, rows)


def _range(result: runs.Record) -> str:
    head = [
        "space", "histograms", "dtype", "border", "first row breaks at", "all rows break from", "by underflow of a sum",
        "by overflow", "not converged, not broken",
    ]  # fmt: skip
    rows = []
    for place in runs.names(chosen(result, "range"), "space"):
        for kind in runs.names(chosen(result, "range"), "kind"):
            for dtype in runs.names(chosen(result, "range"), "dtype"):
                here = chosen(result, "range", space=place, kind=kind, dtype=dtype)
                first, every = broken(here)
                counts = [sum(one["by"] == why for one in here) for why in ("underflow", "overflow")]
                out = sum(one["outcome"] == "ran out" for one in here)
                at = ["never" if x is None else f"{x:.3g}" for x in (first, every)]
                border = f"{result['borders'][dtype]:.3g}"
                rows.append([place, kind, dtype, border, *at, *map(str, counts), f"{out} of {len(here)}"])
    return tables.table(head, rows)


def _bias(result: runs.Record) -> str:
    rows = []
    for place in runs.names(chosen(result, "bias"), "space"):
        here = [one for one in chosen(result, "bias", space=place) if one["method"] != "b"]
        for method in runs.names(here, "method"):
            for reg in sorted({one["reg"] for one in here if one["method"] == method}, key=lambda x: -(x or 0)):
                own = [one for one in here if one["method"] == method and one["reg"] == reg]
                found = (
                    ["closed form", ""]
                    if own[0]["gap"] is None
                    else [runs.mean_and_sd([one[name] for one in own]) for name in ("gap", "gain")]
                )
                share = runs.mean_and_sd([one["distance"] / one["start"] for one in own])
                rows.append([place, method, "" if reg is None else f"{reg:g}", share, *found])
    head = [
        "space",
        "loss",
        "reg",
        "distance from b / of the start",
        "above the minimum by at most",
        "below its value at b by",
    ]
    return tables.table(head, rows)


def _growth(result: runs.Record) -> str:
    rows = []
    for place in runs.names(chosen(result, "growth"), "space"):
        for n in runs.names(chosen(result, "growth"), "n"):
            cells = []
            for method in METHODS[1:]:
                found = chosen(result, "growth", space=place, n=n, method=method)
                if not found:
                    cells.append("")
                    continue
                missed = sum(one["outcome"] != "converged" for one in found)
                times = [1e3 * one["seconds"] for one in found]
                time = runs.mean_and_sd(times) if len(times) > 1 else f"{tables.number(times[0])}, one seed"
                cells.append(time + (f" ({missed} not converged)" if missed else ""))
            off = [
                one["value_error"] for one in chosen(result, "growth", space=place, n=n, method="fastemd on the space")
            ]
            rows.append([place, f"{n:,}", *cells, runs.mean_and_sd(off)])
    head = ["space", "bins", *(f"{method}, ms" for method in METHODS[1:]), "error of ⟨P, C⟩ on the space"]
    why = [
        f"- {one['method']}, {one['space']}: stopped at {one['n']:,} bins, as {one['why']}."
        for one in result["stopped"]
    ]
    return "\n".join([tables.table(head, rows), "", *why])


TABLES = {
    "Iterations and time": _speed,
    "Value and gradient": _accuracy,
    "Where plain scaling breaks": _range,
    "Minimisers": _bias,
    "Time against bins": _growth,
}

"""The page of Sinkhorn's limits: a picture for each question, what is seen on it, and the tables."""

from __future__ import annotations

from collections.abc import Sequence

from ...harness import tables
from .. import runs
from . import sentences
from .pictures import chosen
from .solving import EXACT as CLOSED
from .solving import METHODS

QUESTIONS = {
    "speed": ("How many iterations, how much time?", sentences.speed),
    "accuracy": ("How near are value and gradient?", sentences.accuracy),
    "range": ("Where does plain scaling break?", sentences.breaking),
    "bias": ("Is the minimum at b?", sentences.bias),
    "growth": ("What does a larger space cost?", sentences.growth),
}
LEGENDS = {
    "speed": "Lines: medians over both kinds of histograms and all seeds; bands: from the least to the largest. What "
    "did not converge counts as infinite: there a line ends, and a band leaves the picture. Plain scaling in either "
    "dtype and POT's in logarithms make the same steps.",
    "accuracy": "Left: solid, the cost of the plan, and the cosine with the exact gradient; dotted, the regularised "
    "value, and the cosine with the gradient of ρ = 2; hollow where a row had not converged. Middle and right: the "
    "cost of the plan, and the cosine with the exact gradient; over-relaxed are fastemd's steps.",
    "range": "Vertical lines: where the least entry of the kernel is the least normal number of the dtype.",
    "bias": "Top: b in grey. Below: the exact distance of each minimiser from b, as a share of that of the start.",
    "growth": "One pair of histograms, one thread.",
}


def page(result: runs.Record) -> str:
    """Pictures and sentences first, then the tables."""
    parts = [
        f"{result['seeds']} seeds of each kind of histograms; reg in units of the largest cost; solved to a marginal "
        f"error of {result['target']:g}, with {result['limit']:,} iterations at most, and {result['log_limit']:,} of "
        "POT's."
    ]
    for question, (title, sentence) in QUESTIONS.items():
        picture = f"![{title} {LEGENDS[question]}](paper-sinkhorn_limits-{question}.png)"
        parts += [f"**{title}**", picture, sentence(result), f"*{LEGENDS[question]}*"]
    for title, make in TABLES.items():
        parts += [f"**Table: {title}**", make(result)]
    return "\n\n".join(parts)


def _speed(result: runs.Record) -> str:
    rows = []
    for place in runs.names(chosen(result, "speed"), "space"):
        for kind in runs.names(chosen(result, "speed"), "kind"):
            here = chosen(result, "speed", space=place, kind=kind)
            exact = [1e3 * one["seconds"] for one in here if one["method"] == CLOSED]
            for reg in sorted({one["reg"] for one in here} - {None}, reverse=True):
                found = [[one for one in here if one["method"] == m and one["reg"] == reg] for m in METHODS[:-1]]
                rows.append([place, kind, f"{reg:g}", *map(_solved, found), runs.spread(exact)])
    return tables.table(["space", "histograms", "reg", *METHODS], rows)


def _solved(found: Sequence[runs.Record]) -> str:
    """Return iterations and milliseconds, or how many rows did not get there and why."""
    missed = [one["outcome"] for one in found if one["outcome"] != "converged"]
    if missed:
        counts = ", ".join(f"{missed.count(why)} {why}" for why in ("broke", "ran out") if why in missed)
        return f"{counts} of {len(found)}"
    iterations, times = ([scale * one[name] for one in found] for name, scale in (("iterations", 1), ("seconds", 1e3)))
    return f"{runs.spread(iterations)}<br>{runs.spread(times)} ms"


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
                    runs.spread([one[name] for one in here])
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
                first, every = sentences.broken(here)
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
                    else [runs.spread([one[name] for one in own]) for name in ("gap", "gain")]
                )
                share = runs.spread([one["distance"] / one["start"] for one in own])
                rows.append([place, method, "" if reg is None else f"{reg:g}", share, *found])
    head = [
        "space",
        "loss",
        "reg",
        "distance from b / of the start",
        "how much lower it may get, at most",
        "lower than at b by",
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
                time = runs.spread(times) if len(times) > 1 else f"{tables.number(times[0])}, one seed"
                cells.append(time + (f" ({missed} not converged)" if missed else ""))
            off = [
                one["value_error"] for one in chosen(result, "growth", space=place, n=n, method="fastemd on the space")
            ]
            rows.append([place, f"{n:,}", *cells, runs.spread(off)])
    head = ["space", "bins", *(f"{method}, ms" for method in METHODS[1:]), "error of ⟨P, C⟩ on the space"]
    why = [
        f"- {one['method']}, {one['space']}: stopped at {one['n']:,} bins, as {one['why']}."
        for one in result["stopped"]
    ]
    return "\n".join([tables.table(head, rows), "", *why])


TABLES = {
    "iterations and time": _speed,
    "value and gradient": _accuracy,
    "where plain scaling breaks": _range,
    "minimisers": _bias,
    "time against bins": _growth,
}

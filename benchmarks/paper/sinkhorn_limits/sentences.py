"""What is seen on the pictures of Sinkhorn's limits: a sentence each, and its figures for either space.

The records decide what a sentence says; each can say the opposite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...harness import tables
from .. import runs
from .bias import BLURRED, DIVERGENCE, EXACT, SINKHORN
from .pictures import chosen, reached
from .solving import EXACT as CLOSED
from .solving import METHODS

NEAR_VALUE, NEAR_COSINE = 0.01, 0.99
AT_B = 1e-3  # of the distance of the start: a minimiser that near counts as at b
LAST_SIZES = 3  # of which the exponent of growth is taken
FIGURES = ("value_error", "regularised_error", "cosine", "cosine_relaxed")
PLAIN, RELAXED = "plain float64", "fastemd on the space"

number = tables.number


def _told(lead: str, figures: Sequence[str]) -> str:
    """A sentence, and under it a line of figures for each space or dtype."""
    return "\n".join([lead, "", *(f"- {line}" for line in figures)])


def _on(held: Sequence[str], places: Sequence[str]) -> str:
    """On which of the spaces something holds."""
    if len(held) in (0, len(places)):
        return "on either space" if held else "on neither space"
    return f"only on the {' and the '.join(held)}"


def _duration(seconds: float) -> str:
    unit, scale = ("s", 1) if seconds >= 1 else ("ms", 1e3) if seconds >= 1e-3 else ("µs", 1e6)
    return f"{number(scale * seconds)} {unit}"


def _percent(share: float) -> str:
    return f"{number(100 * share)} %"


def _listed(regs: Sequence[float]) -> str:
    return ", ".join(f"{reg:g}" for reg in regs)


def medians(result: runs.Record, place: str, method: str, figure: str) -> dict[float, float]:
    """The median of a figure for each reg at which the median row converged, largest reg first."""
    here = chosen(result, "speed", space=place, method=method)
    found = {
        reg: float(np.median(reached((one for one in here if one["reg"] == reg), figure)))
        for reg in sorted(runs.names(here, "reg"), reverse=True)
    }
    return {reg: middle for reg, middle in found.items() if np.isfinite(middle)}


def speed(result: runs.Record) -> str:
    """Whether iterations grow as reg falls, and whether any Sinkhorn is as fast as the closed form."""
    places = runs.names(chosen(result, "speed"), "space")
    times, exact, grow = {}, {}, []
    for place in places:
        own = [one["seconds"] for one in chosen(result, "speed", space=place, method=CLOSED)]
        exact[place] = float(np.median(own))
        for method in METHODS[:-1]:
            for reg, t in medians(result, place, method, "seconds").items():
                times[place, method, reg] = t
        counts = list(medians(result, place, PLAIN, "iterations").values())
        if len(counts) > 1 and counts[-1] > counts[0]:
            grow.append(place)
    faster = sum(t < exact[place] for (place, _, _), t in times.items())
    lead = (
        f"Iterations grow as reg falls {_on(grow, places)}, and "
        f"{'a' if faster else 'no'} Sinkhorn beats the closed form: {faster} of {len(times)} combinations of "
        "space, method and reg at which the median row converged are faster."
    )
    figures = []
    for place in places:
        here = {(method, reg): t for (where, method, reg), t in times.items() if where == place}
        figures.append(f"{_sized(place)}: {_iterations(result, place)}. {_beside(here, exact[place])}.")
    return _told(lead, figures)


def _sized(place: str) -> str:
    return place[0].upper() + place[1:]


def _iterations(result: runs.Record, place: str) -> str:
    """What plain and over-relaxed steps take, and how many runs did not get there."""
    plain, relaxed = (medians(result, place, method, "iterations") for method in (PLAIN, RELAXED))
    words = f"{PLAIN} converges at no reg"
    if plain:
        most, least = max(plain), min(plain)
        words = (
            f"{PLAIN} takes {number(plain[most])} iterations at reg {most:g} and {number(plain[least])} at {least:g}"
        )
        if least in relaxed:
            fewer = _times(plain[least] / relaxed[least], "fewer", "more")
            words += f", where {RELAXED} takes {number(relaxed[least])}, {fewer}"
    for method in (PLAIN, RELAXED):
        here = chosen(result, "speed", space=place, method=method)
        missed = [one for one in here if one["outcome"] != "converged"]
        if missed:
            counts = {why: sum(one["outcome"] == why for one in missed) for why in ("broke", "ran out")}
            ends = " and ".join(f"{count} {why}" for why, count in counts.items() if count)
            words += (
                f"; of the {len(here)} runs of {method} {ends}, from reg {max(one['reg'] for one in missed):g} down"
            )
    return words


def _times(factor: float, more: str, less: str) -> str:
    return f"{number(factor)} times {more}" if factor >= 1 else f"{number(1 / factor)} times {less}"


def _beside(times: dict[tuple[str, float], float], exact: float) -> str:
    words = f"The closed form takes {_duration(exact)} for value and gradient"
    least = {key: t for key, t in times.items() if key[1] == min(reg for _, reg in times)}
    for which, some in (("the fastest Sinkhorn", times), ("that at the least reg of a converged median", least)):
        if some:
            (method, reg), t = min(some.items(), key=lambda item: item[1])
            words += f", {which} ({method}, {reg:g}) {_duration(t)}, {_times(t / exact, 'as long', 'faster')}"
    return words


def from_there_down(regs: Sequence[float], holds: Callable[[float], bool]) -> float | None:
    """The largest reg at which, and at every smaller one of which, something holds; None where there is none."""
    found = None
    for reg in sorted(regs):
        if not holds(reg):
            break
        found = reg
    return found


def accuracy(result: runs.Record) -> str:
    """From which reg on value and direction are right, where all rows converged; and what iterations leave."""
    places = runs.names(chosen(result, "accuracy"), "space")
    sooner, figures = [], []
    for place in places:
        here = chosen(result, "accuracy", space=place)
        done = [reg for reg in runs.names(here, "reg") if all(one["converged"] for one in here if one["reg"] == reg)]
        at = {reg: {name: _median(here, name, reg) for name in FIGURES} for reg in done}
        value = from_there_down(done, lambda reg, at=at: at[reg]["value_error"] <= NEAR_VALUE)
        regularised = from_there_down(done, lambda reg, at=at: at[reg]["regularised_error"] <= NEAR_VALUE)
        cosine = from_there_down(done, lambda reg, at=at: at[reg]["cosine"] >= NEAR_COSINE)
        if (cosine or 0.0) > (value or 0.0):
            sooner.append(place)
        words = (
            f"{_sized(place)}: cost within {_percent(NEAR_VALUE)} {_down(value)}, regularised value "
            f"{_down(regularised)}, cosine {NEAR_COSINE:g} or more {_down(cosine)}"
        )
        for reg in dict.fromkeys((max(done), min(done))) if done else ():
            near, relaxed = at[reg]["cosine"], at[reg]["cosine_relaxed"]
            words += f"; at reg {reg:g} it is {number(near)}, with the gradient of ρ = 2 {number(relaxed)}"
        figures.append(f"{words}. {_after_steps(result, place)}")
    lead = (
        f"As reg falls, the direction of the gradient is right (cosine {NEAR_COSINE:g}) sooner than the plan's cost "
        f"(to {_percent(NEAR_VALUE)}) {_on(sooner, places)}; medians, where all rows converged to "
        f"{result['tolerance']:g} within {result['limit']:,} iterations."
    )
    return _told(lead, figures)


def _median(records: Sequence[runs.Record], figure: str, reg: float) -> float:
    return float(np.median([one[figure] for one in records if one["reg"] == reg]))


def _down(reg: float | None) -> str:
    return "at no reg" if reg is None else f"from reg {reg:g} down"


def _after_steps(result: runs.Record, place: str) -> str:
    """What the last number of iterations leaves at the least reg."""
    here = chosen(result, "steps", space=place)
    reg, count = min(one["reg"] for one in here), here[0]["steps"][-1]
    (off, plain), (off_relaxed, relaxed) = (
        [float(np.median([one[name][-1] for one in here if one["reg"] == reg and one["method"] == method]))
         for name in ("value_error", "cosine")]
        for method in ("plain", "over-relaxed")
    )  # fmt: skip
    enough = "enough" if off <= NEAR_VALUE and plain >= NEAR_COSINE else "not enough"
    return (
        f"At reg {reg:g}, {count:,} plain iterations are {enough} for both: the cost is {_percent(off)} off, the "
        f"cosine {number(plain)} (over-relaxed: {_percent(off_relaxed)}, {number(relaxed)})."
    )


def broken(records: Sequence[runs.Record]) -> tuple[float | None, float | None]:
    """The largest reg at which a row broke, and that from which down all rows did."""
    first = max((one["reg"] for one in records if one["outcome"] == "broke"), default=None)
    every = from_there_down(
        runs.names(records, "reg"),
        lambda reg: all(one["outcome"] == "broke" for one in records if one["reg"] == reg),
    )
    return first, every


def breaking(result: runs.Record) -> str:
    """Whether anything breaks above the border, and for each dtype where the first and all rows do, and by what."""
    every_run = chosen(result, "range")
    above = [one for one in every_run if one["reg"] >= result["borders"][one["dtype"]]]
    crossed, lost_in_all = (sum(one["outcome"] == "broke" for one in some) for some in (above, every_run))
    figures = []
    for dtype in runs.names(chosen(result, "range"), "dtype"):
        here, border = chosen(result, "range", dtype=dtype), result["borders"][dtype]
        first, every = broken(here)
        words = f"{dtype}: the border is at reg {border:.3g}"
        if first is None:
            figures.append(f"{words}; no row breaks.")
            continue
        under, over = (sum(one["by"] == why for one in here) for why in ("underflow", "overflow"))
        lost = "at no reg are all rows lost" if every is None else f"from {every:.3g} down all rows are lost"
        figures.append(
            f"{words}, the first row breaks at {first:.3g}, which is {number(first / border)} of it, {lost}; of the "
            f"runs that break {under} do so as a sum underflows to 0, {over} as something overflows."
        )
    verdict = f"{crossed} of {len(above)} runs break" if crossed else f"none of {len(above)} runs breaks"
    verdict += f"; below it {lost_in_all - crossed} of {len(every_run) - len(above)} do"
    lead = (
        f"At or above the border of its dtype, where the least entry of the kernel is still a normal number, {verdict}."
    )
    return _told(lead, figures)


def bias(result: runs.Record) -> str:
    """Whether the entropic minimiser stays away from b, and whether the divergence mends that."""
    places, away, mended, figures = runs.names(chosen(result, "bias"), "space"), [], [], []
    for place in places:
        entropic, blurred, debiased = (_shares(result, place, name) for name in (SINKHORN, BLURRED, DIVERGENCE))
        reached = [reg for reg, share in entropic.items() if share <= AT_B]
        unmended = [reg for reg, share in debiased.items() if share > AT_B]
        away += [] if reached else [place]
        mended += [] if unmended else [place]
        ends = dict.fromkeys((max(entropic), min(entropic)))
        own = ", ".join(f"{_percent(entropic[reg])} at reg {reg:g} ({_percent(blurred[reg])})" for reg in ends)
        gains = [one["gain"] > 0 for one in chosen(result, "bias", space=place, method=SINKHORN)]
        lower = f"its value lower than at b in {sum(gains)} of {len(gains)} runs"
        words = f"{_sized(place)}: {own}, {lower}; debiased, {_percent(max(debiased.values()))} at worst"
        for regs, said in ((reached, "the entropic one is at b"), (unmended, "the debiased one is not at b")):
            words += f"; {said} at reg {_listed(regs)}" if regs else ""
        searched = (f"{_percent(_shares(result, place, name)[None])} by the {name} distance" for name in EXACT)
        figures.append(f"{words}. The same search leaves {', '.join(searched)}.")
    lead = (
        "At every reg that was tried, the minimiser of the entropic value stays away from b "
        f"{_on(away, places)}, and that of the debiased divergence comes to b {_on(mended, places)}; at b means within "
        f"{_percent(AT_B)} of the distance of the start. Below: the distance of the entropic minimiser; in brackets, "
        "where the entropy is that of the plan alone."
    )
    return _told(lead, figures)


def _shares(result: runs.Record, place: str, method: str) -> dict[float | None, float]:
    """For each reg, the median distance of a minimiser from b as a share of that of the start."""
    here = [
        one | {"share": one["distance"] / one["start"]} for one in chosen(result, "bias", space=place, method=method)
    ]
    return {reg: _median(here, "share", reg) for reg in runs.names(here, "reg")}


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float | None:
    """The power of n that time grows with over the largest sizes; None of fewer than two."""
    if len(sizes) < 2:
        return None
    return float(np.polyfit(np.log(sizes[-LAST_SIZES:]), np.log(times[-LAST_SIZES:]), 1)[0])


def growth(result: runs.Record) -> str:
    """Who is fastest at which size, the powers of n, and the times at the largest sizes."""
    places, first, figures = runs.names(chosen(result, "growth"), "space"), [], []
    for place in places:
        here = chosen(result, "growth", space=place)
        times: dict[str, dict[int, float]] = {}
        for method, n in dict.fromkeys((one["method"], one["n"]) for one in here):
            own = [one for one in here if one["method"] == method and one["n"] == n]
            middle = float(np.median(reached(own, "seconds")))
            if np.isfinite(middle):
                times.setdefault(method, {})[n] = middle
        exact = times[CLOSED]
        if all(t >= exact[n] for own in times.values() for n, t in own.items() if n in exact):
            first.append(place)
        powers = {name: exponent(list(own), list(own.values())) for name, own in times.items()}
        words = ", ".join(f"{name} n^{power:.2g}" for name, power in powers.items() if power is not None)
        shared = max(set.intersection(*(set(own) for own in times.values())), default=None)
        for n, names in ((shared, list(times)), (max(exact), [RELAXED, CLOSED])):
            if n is not None and all(n in times.get(name, {}) for name in names):
                order = sorted(names, key=lambda name, n=n, times=times: times[name][n])
                words += f"; {n:,} bins: " + ", ".join(f"{name} {_duration(times[name][n])}" for name in order)
        figures.append(f"{_sized(place)}: {words}.")
    lead = (
        f"At every size the closed form is the fastest {_on(first, places)}. Below: the power of n that time grows "
        f"with over the last {LAST_SIZES} sizes that a method got to, and times, fastest first."
    )
    return _told(lead, figures)

"""Tables out of the results: figures in the documentation are never typed by hand.

``docs/generated`` has what users read: fastemd beside what they would use otherwise. ``benchmarks/results`` has the
same lines with their bars.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from .record import ROOT

PAGES = ROOT / "docs" / "generated"
MADE = "<!-- made by python -m benchmarks tables; do not edit -->"
# Loops that are measured beside fastemd for their bandwidth: they compute no distance.
LOOPS = ("read", "triad", "copy")
OWN = ("fastemd, ", "random tree")  # other calls of fastemd, which only bars compare with


def load(folder: Path, suite: str) -> list[dict]:
    """Return the files of results of a suite, newest first."""
    paths = sorted(folder.glob(f"{suite}-*.json"))
    if not paths:
        raise FileNotFoundError(f"{folder} has no {suite}-*.json; make one with: python -m benchmarks {suite}")
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return sorted(results, key=lambda result: result["date"], reverse=True)


def write(parts: Iterable[str], page: Path) -> Path:
    """Write a page of these parts and return its path."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n\n".join([MADE, *filter(None, parts)]) + "\n", encoding="utf-8")
    return page


def write_sections(folder: Path, suite: str, page: Path, section: Callable[[dict], str]) -> Path:
    """Write a page with a section for each file of results of a suite, newest first, and return its path."""
    return write(map(section, load(folder, suite)), page)


def section(result: dict) -> str:
    """Return what users read of one file of results: times beside others, then other figures."""
    timed, others = split(result)
    parts = [f"**{result['device']}**, {result['cores']} cores", times_table(timed), plain_figure_table(others)]
    return "\n\n".join(filter(None, [*parts, absences(timed), provenance(result)]))


def section_with_bars(result: dict) -> str:
    """Return everything about one file of results."""
    timed, others = split(result)
    parts = [f"**{result['device']}**, {result['cores']} cores: {tally(result['lines'])}", timed_table(timed)]
    if others:
        parts.append(figure_table(others))
    return "\n\n".join(filter(None, [*parts, absences(timed), provenance(result)]))


def split(result: dict) -> tuple[list[dict], list[dict]]:
    """Return the lines that were timed, and those with other figures."""
    lines = result["lines"]
    return [line for line in lines if "median_ms" in line], [line for line in lines if "figures" in line]


def rivals(line: dict) -> dict[str, float]:
    """Return the milliseconds of fastemd, and of everything else that was timed for comparison, as users name it."""
    return {name: ms for name, ms in line["median_ms"].items() if name not in LOOPS and not name.startswith(OWN)}


def times_table(lines: list[dict]) -> str:
    """Return the table of fastemd's times beside others."""
    rows = []
    for line in lines:
        times = rivals(line)
        own = times.pop("fastemd")
        beside = (f"{name} {duration(ms / 1e3)} (× {number(ms / own)})" for name, ms in times.items())
        rows.append([line["job"], f"**{duration(own / 1e3)}**", "; ".join(beside)])
    return table(["job", "fastemd", "beside it (× fastemd's time)"], rows) if rows else ""


def tally(lines: list[dict]) -> str:
    """Return how many bars are met."""
    bars = [bar for line in lines for bar in line["bars"]]
    met, unknown = (sum(bar["met"] is state for bar in bars) for state in (True, None))
    return f"{met} of {len(bars)} bars met" + (f", {unknown} not measured or not checked" if unknown else "") + "."


def timed_table(lines: list[dict]) -> str:
    """Return the table of what was timed."""
    head = ["job", "fastemd, ms", "GB/s counted", "of measured", "beside it, ms", "bars"]
    return table(head, ([*_own(line), _others(line), _bars(line)] for line in lines))


def _own(line: dict) -> list[str]:
    cells = [line["job"], number(line["median_ms"]["fastemd"])]
    if "bandwidth" not in line:
        return [*cells, "", ""]
    measured = line["bandwidth_gb_per_s"][line["bandwidth"]]
    share = f"{line['share_of_bandwidth']:.2f} of {number(measured)} ({line['bandwidth']})"
    return [*cells, number(line["gb_per_s"]), share]


def _others(line: dict) -> str:
    return "; ".join(
        f"{name} {number(ms)}" for name, ms in line["median_ms"].items() if name not in ("fastemd", *LOOPS)
    )


def _bars(line: dict) -> str:
    return "; ".join(f"{bar['bar']}: {outcome(bar)}" for bar in line["bars"])


def outcome(bar: dict) -> str:
    if bar["figure"] is None:
        return "not measured"
    words = {True: "met", False: "**MISSED**", None: f"**not checked** ({bar.get('why')})"}
    return f"{number(bar['figure'])}, {words[bar['met']]}"


def figure_table(lines: list[dict]) -> str:
    """Return the table of what was counted otherwise, with its bars."""
    return table(["what", "figures", "bars"], ([line["job"], _figures(line), _bars(line)] for line in lines))


def plain_figure_table(lines: list[dict]) -> str:
    """Return the table of what was counted otherwise."""
    return table(["what", "figures"], ([line["job"], _figures(line)] for line in lines)) if lines else ""


def _figures(line: dict) -> str:
    note = f" ({line['note']})" if line["note"] else ""
    each = (f"{name}: {x if isinstance(x, str) else number(x)}" for name, x in line["figures"].items())
    return "; ".join(each) + note


def absences(lines: list[dict]) -> str:
    """Return which opponents could not be had, each reason once."""
    reasons = {(name, why): None for line in lines for name, why in line["absent"].items()}
    return "\n".join(f"- {name} was not measured: {why}" for name, why in reasons)


def provenance(result: dict) -> str:
    """Return when, where and with what it was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items() if version)
    commit = (result["commit"] or "no commit")[:12] + (" with changes" if result["dirty"] else "")
    quick = " **A quick run: its figures mean nothing.**" if result["quick"] else ""
    return (
        f"Measured {result['date']} in {result['seconds']:.0f} s; {result['system']}, {result['threads']} threads, "
        f"load before {result['load_before'] or 0:.1f}; Python {result['python']}, {versions}; commit {commit}.{quick}"
    )


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def number(x: float) -> str:
    """Three digits that say something, without an exponent where that is readable."""
    if x and not 1e-4 <= abs(x) < 1e6:
        return f"{x:.1e}"
    return f"{x:,.0f}" if abs(x) >= 100 else f"{x:.3g}"


def duration(seconds: float) -> str:
    """Return a time with a fitting unit and about three digits.

    >>> duration(0.00001234)
    '12.3 µs'
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"

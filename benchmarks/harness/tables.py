"""docs/generated/core.md out of the results: figures in the documentation are never typed by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from .record import RESULTS

PAGE = Path(__file__).parents[2] / "docs" / "generated" / "core.md"
OWN = ("fastemd", "read", "triad", "copy")


def write(folder: Path = RESULTS, page: Path = PAGE) -> Path:
    """Write the page of the core, newest results first, and return its path."""
    return write_sections(folder, "core", page, section)


def write_sections(folder: Path, suite: str, page: Path, section: Callable[[dict], str]) -> Path:
    """Write a page with a section for each file of results of a suite, newest first, and return its path."""
    paths = sorted(folder.glob(f"{suite}-*.json"))
    if not paths:
        raise FileNotFoundError(f"{folder} has no {suite}-*.json; make one with: python -m benchmarks {suite}")
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    results.sort(key=lambda result: result["date"], reverse=True)
    page.parent.mkdir(parents=True, exist_ok=True)
    head = "<!-- made by python -m benchmarks tables; do not edit -->"
    page.write_text("\n\n".join([head, *map(section, results)]) + "\n", encoding="utf-8")
    return page


def section(result: dict) -> str:
    """Everything about one file of results."""
    timed = [line for line in result["lines"] if "median_ms" in line]
    others = [line for line in result["lines"] if "figures" in line]
    parts = [f"**{result['device']}**, {result['cores']} cores: {tally(result['lines'])}", timed_table(timed)]
    if others:
        parts.append(figure_table(others))
    if why := absences(timed):
        parts.append(why)
    return "\n\n".join([*parts, provenance(result)])


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
    return "; ".join(f"{name} {number(ms)}" for name, ms in line["median_ms"].items() if name not in OWN)


def _bars(line: dict) -> str:
    return "; ".join(f"{bar['bar']}: {outcome(bar)}" for bar in line["bars"])


def outcome(bar: dict) -> str:
    if bar["figure"] is None:
        return "not measured"
    words = {True: "met", False: "**MISSED**", None: f"**not checked** ({bar.get('why')})"}
    return f"{number(bar['figure'])}, {words[bar['met']]}"


def figure_table(lines: list[dict]) -> str:
    """Return the table of what was counted otherwise."""

    def figures(line: dict) -> str:
        note = f" ({line['note']})" if line["note"] else ""
        each = (f"{name}: {x if isinstance(x, str) else number(x)}" for name, x in line["figures"].items())
        return "; ".join(each) + note

    return table(["what", "figures", "bars"], ([line["job"], figures(line), _bars(line)] for line in lines))


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

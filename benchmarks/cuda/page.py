"""docs/generated/cuda.md from results/cuda.json: figures measured on a GPU, or why there are none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ..harness import tables
from .suite import FILE


def write(folder: Path, page: Path) -> Path:
    """Write the page and return its path."""
    path = folder / FILE
    if not path.exists():
        raise FileNotFoundError(f"{folder} has no {FILE}; make one with: python -m benchmarks cuda")
    result = json.loads(path.read_text(encoding="utf-8"))
    page.parent.mkdir(parents=True, exist_ok=True)
    head = "<!-- made by python -m benchmarks tables; do not edit -->"
    page.write_text(f"{head}\n\n{section(result)}\n", encoding="utf-8")
    return page


def section(result: dict[str, Any]) -> str:
    """Return the page's text."""
    return _measured(result) if result["measured"] else _unmeasured(result)


def _unmeasured(result: dict[str, Any]) -> str:
    reason = f"not measured: {re.split(r' [(]|[.] ', result['reason'])[0]}"
    rows = ([line["job"], "; ".join(bar["bar"] for bar in line["bars"]), reason] for line in result["lines"])
    head = f"**None of these rows has been measured**, on {result['date'][:10]}: {result['reason']}"
    return f"{head}\n\n{tables.table(['job', 'bars', 'figure'], rows)}"


def _measured(result: dict[str, Any]) -> str:
    timed = [line for line in result["lines"] if "median_ms" in line]
    others = [line for line in result["lines"] if "figures" in line]
    parts = [f"**{result['device']}**: {tables.tally(result['lines'])}"]
    if timed:
        parts.append(tables.timed_table(timed))
    if others:
        parts.append(tables.figure_table(others))
    if why := tables.absences(timed):
        parts.append(why)
    return "\n\n".join([*parts, _provenance(result)])


def _provenance(result: dict[str, Any]) -> str:
    return (
        f"{result['multiprocessors']} multiprocessors, compute capability {result['compute_capability']}, "
        f"{result['cache_bytes'] / 2**20:.0f} MiB of second-level cache, driver {result['driver']}, CUDA "
        f"{result['cuda_of_torch']} in torch; host {result['processor']}. {tables.provenance(result)}"
    )

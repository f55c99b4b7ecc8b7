"""The time of barycentres of 1,000 histograms on 1,000 bins: ``python -m benchmarks.barycenters``."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

import fastemd as fe

from .harness import record, tables

FILE = "barycenters.json"
COUNT = 1000
TURNS = 5


def spaces() -> dict[str, fe.Chain | fe.Tree]:
    """Return spaces of 1,000 bins, shallow and deep."""
    from scipy.cluster.hierarchy import linkage

    rng = np.random.default_rng(0)
    points = rng.random((COUNT, 5))
    v = np.arange(2 * COUNT - 1)
    caterpillar = np.where(v % 2, v - 1, v - 2)
    caterpillar[0] = -1
    return {
        "chain": fe.Chain(COUNT),
        "tree, balanced": fe.Tree((v - 1) // 2, np.ones(len(v)), v[COUNT - 1 :]),
        "tree, average linkage": fe.Tree.from_linkage(linkage(points, "average")),
        "tree, single linkage": fe.Tree.from_linkage(linkage(points, "single")),
        "tree, caterpillar": fe.Tree(caterpillar, np.ones(len(v)), np.setdiff1d(v, caterpillar)),
    }


def measure() -> dict[str, object]:
    """Return the least time of each barycentre, of a few turns after the first."""
    rng = np.random.default_rng(1)
    rows: list[dict[str, object]] = []
    for name, space in spaces().items():
        histograms = rng.dirichlet(np.full(COUNT, 0.3), COUNT)[:, : space.n]
        for rho in (1, 2):
            times = []
            for _ in range(TURNS + 1):
                begin = time.perf_counter()
                found = fe.barycenter(histograms, space, rho=rho, mass="normalize")
                times.append(time.perf_counter() - begin)
            row = {"space": name, "rho": rho, "seconds": min(times[1:]), "gap": float(found.gap)}
            rows.append({**row, "value": float(found.value)})
    return {**record.here_and_now(), "rows": rows}


def write_page(results: Path, pages: Path) -> Path:
    """Write the table of the times, and return its path."""
    found = json.loads((results / FILE).read_text(encoding="utf-8"))
    lines = [
        f"{COUNT:,} histograms on {COUNT:,} bins, float64, {found['threads']} threads of {found['device']}.",
        "",
        "| space | rho | seconds | gap, relative |",
        "| --- | ---: | ---: | ---: |",
    ]
    for row in found["rows"]:
        lines.append(f"| {row['space']} | {row['rho']} | {row['seconds']:.3f} | {row['gap'] / row['value']:.0e} |")
    path = pages / "barycenters.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    record.write(measure(), record.RESULTS / FILE)
    print(write_page(record.RESULTS, tables.PAGES))

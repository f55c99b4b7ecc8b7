"""Lines of the table that fresh processes give: import, first call, memory. See `child` for how each is measured."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from .measure import Bar, at_most
from .problems import Sizes
from .record import ROOT

MIB = 2**20


def child(*words: str, **environment: str) -> dict:
    """Run benchmarks.harness.child, and return what it prints."""
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.harness.child", *words],
        cwd=ROOT,
        env=os.environ | environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(process.stdout)


def _line(name: str, figures: dict[str, object], bars: list[Bar]) -> dict[str, object]:
    return {"job": name, "figures": figures, "note": "", "bars": [bar.checked({}) for bar in bars]}


def lines(sizes: Sizes) -> Iterator[dict[str, object]]:
    """Measure all of them."""
    yield _import(sizes)
    for what in sizes.first_calls:
        yield _first_call(what, sizes)
    for kind in ("chain", "tree"):
        yield _memory(kind, sizes)


def _import(sizes: Sizes) -> dict[str, object]:
    runs = [child("import") for _ in range(sizes.processes)]
    seconds, loaded = statistics.median(run["seconds"] for run in runs), runs[0]["loaded"]
    first_space = statistics.median(run["with a space"] for run in runs)
    figures = {"s": seconds, "s with a first space": first_space, "packages loaded": ", ".join(loaded) or "none"}
    bars = [at_most(0.15, "s", seconds), at_most(0, "packages loaded beside numpy", len(loaded))]
    return _line("import fastemd, after numpy", figures, bars)


def _first_call(what: str, sizes: Sizes) -> dict[str, object]:
    """Cold: with an empty folder as numba's cache. Warm: the processes after it, with the same folder; their median."""
    with tempfile.TemporaryDirectory() as folder:
        cold = child("call", what, NUMBA_CACHE_DIR=folder)["seconds"]
        warm = statistics.median(
            child("call", what, NUMBA_CACHE_DIR=folder)["seconds"] for _ in range(min(sizes.processes, 3))
        )
    bars = [at_most(8, "s cold", cold), at_most(1.5, "s warm", warm)]
    return _line(f"first call in a fresh process, {what}", {"s cold": cold, "s warm": warm}, bars)


def _memory(kind: str, sizes: Sizes) -> dict[str, object]:
    """The peak must be what two threads need for their rows, and must not grow with the batch.

    The first bar allows 1 KiB for each thread and node, or bin, which is sixteen buffers of eight rows in float64; the
    second the values of three times the rows more, and the noise of what the system counts.
    """
    rows = sizes.logits_rows
    few, many = child("memory", f"{kind} {rows}"), child("memory", f"{kind} {4 * rows}")
    figures = {
        f"MiB at {rows:,} rows": few["bytes"] / MIB,
        f"MiB at {4 * rows:,} rows": many["bytes"] / MIB,
        f"MiB of a matrix of probabilities at {rows:,} rows": 4 * 1000 * rows / MIB,
    }
    bars = [
        at_most(1, "KiB per thread and node", few["bytes"] / 1024 / (2 * few["nodes"])),
        at_most(1, "MiB more at four times the rows", (many["bytes"] - few["bytes"]) / MIB),
    ]
    name = "ImageNet tree" if kind == "tree" else "chain"
    return _line(f"extra memory of logits, {name}, n = 1,000, two threads", figures, bars)

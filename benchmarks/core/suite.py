"""The suite of the CPU core: runs every job and writes the JSON file that the table is made from."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import fastemd as fe

from ..harness import measure, processes, record
from ..harness.problems import FULL, QUICK, Sizes
from . import exact, jobs


def run(folder: Path = record.RESULTS, *, quick: bool = False, only: str = "") -> Path:
    """Measure, write ``core-<device>.json`` into a folder and return its path.

    Parameters
    ----------
    folder : Path
    quick : bool
        Tiny sizes, one round: shows that everything runs; the figures mean nothing.
    only : str
        A regular expression: of the timed jobs only those whose names it is found in, and nothing else.
    """
    sizes = QUICK if quick else FULL
    fe.set_num_threads(2)
    begin = time.perf_counter()
    result = record.here_and_now() | {"quick": quick, "lines": []}
    for line in _lines(sizes, only):
        result["lines"].append(line)
        print(_summary(line), file=sys.stderr, flush=True)
    result["seconds"] = time.perf_counter() - begin
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / record.file_name("core", str(result["device"]))
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _lines(sizes: Sizes, only: str) -> Iterator[dict]:
    for make in jobs.all_jobs(sizes):
        job = make()
        if re.search(only, job.name):
            yield measure.row(job, sizes.seconds, sizes.rounds)
    if not only:
        yield from processes.lines(sizes)
        yield from exact.lines(sizes)


def _summary(line: dict) -> str:
    """One line of progress: the job, and its bars."""
    verdict = {True: "met", False: "MISSED", None: "NOT JUDGED"}
    bars = "; ".join(f"{bar['bar']}: {bar['figure'] or 0:.3g} {verdict[bar['met']]}" for bar in line["bars"])
    return f"{line['job']}: {bars}"

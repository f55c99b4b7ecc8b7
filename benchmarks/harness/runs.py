"""A run of a suite: each line is measured, shown, and kept in the JSON file of the device."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fastemd as fe

from . import record
from .problems import FULL, QUICK, Sizes

MET = {True: "met", False: "MISSED", None: "not checked"}


def run(
    suite: str,
    lines: Callable[[Sizes, str], Iterator[dict]],
    folder: Path,
    *,
    quick: bool,
    only: str,
    packages: tuple[str, ...] = (),
) -> Path:
    """Measure on two threads, write ``<suite>-<device>.json`` into a folder and return its path.

    Parameters
    ----------
    suite : str
    lines : callable
        From sizes and `only`: the lines of the file, measured one by one.
    folder : Path
    quick : bool
        Tiny sizes, one round: shows that everything runs; the figures mean nothing.
    only : str
        A regular expression: of the timed jobs only those whose names match, and nothing else.
    packages : tuple of str
        More packages whose versions are recorded.
    """
    fe.set_num_threads(2)
    begin = time.perf_counter()
    result = record.here_and_now(packages) | {"quick": quick, "lines": []}
    for line in lines(QUICK if quick else FULL, only):
        result["lines"].append(line)
        print(_summary(line), file=sys.stderr, flush=True)
    result["seconds"] = time.perf_counter() - begin
    return record.write(result, folder / record.file_name(suite, str(result["device"])))


def _summary(line: dict) -> str:
    """Return one line of progress: the job and its bars."""
    bars = "; ".join(f"{bar['bar']}: {bar['figure'] or 0:.3g} {MET[bar['met']]}" for bar in line["bars"])
    return f"{line['job']}: {bars}"

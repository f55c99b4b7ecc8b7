"""The suite of a GPU: ``python -m benchmarks cuda`` measures there, or names the obstacle.

It writes ``results/cuda.json``. Without a GPU the file lists the rows and the reason, unless it has a measured run
already; the status of the command is `UNMEASURED`.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastemd as fe

from ..harness import measure, record
from ..harness.record import RESULTS
from ..opponents import formulas
from . import jobs, small_calls
from .jobs import COPY, FULL, QUICK, DeviceJob, Sizes

if TYPE_CHECKING:
    from .clock import Gpu

FILE = "cuda.json"
PACKAGES = ("numba-cuda", "cupy-cuda12x", "cupy-cuda13x")
UNMEASURED = 3  # exit status


def run(folder: Path = RESULTS, *, quick: bool = False, only: str = "") -> Path:
    """Measure, write ``cuda.json`` into a folder and return its path.

    Parameters
    ----------
    folder : Path
    quick : bool
        Tiny sizes, one round: shows that everything runs; the figures mean nothing.
    only : str
        A regular expression: only the jobs whose names it matches.
    """
    sizes = QUICK if quick else FULL
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    if reason := obstacle():
        print(f"nothing is measured: {reason}", file=sys.stderr)
        if path.exists() and json.loads(path.read_text(encoding="utf-8"))["measured"]:
            print(f"{path} holds a measured run and is left alone", file=sys.stderr)
            sys.exit(UNMEASURED)
        result = unmeasured(reason, sizes, only)
    else:
        from .clock import Gpu

        result = measured(Gpu(), sizes, only)
    write(path, result | {"quick": quick})
    return path


def write(path: Path, result: dict[str, Any]) -> None:
    """Write results."""
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def status(path: Path) -> int:
    """Return 0 for a file of results with figures, else `UNMEASURED`."""
    return 0 if json.loads(path.read_text(encoding="utf-8"))["measured"] else UNMEASURED


def obstacle() -> str:
    """Return the reason why nothing can be measured here, or an empty string."""
    available = fe.cuda.is_available()
    if not available:
        return str(available.reason)
    if "simulates" in available.reason:
        return f"{available.reason}; a simulated device has no speed"
    if formulas.torch is None:
        return f"torch, which makes the data and is compared with, is missing ({formulas.missing})"
    if not formulas.torch.cuda.is_available():
        return f"torch {formulas.torch.__version__} sees no CUDA device"
    return ""


def unmeasured(reason: str, sizes: Sizes, only: str = "") -> dict[str, Any]:
    """Return results without figures: every row with its bars, and the reason."""
    chosen = [device_job.job for device_job in _chosen(sizes, only)]
    rows = [{"job": job.name, "bars": [bar.checked({}) for bar in job.bars]} for job in chosen]
    rows += [
        {"job": line["job"], "bars": line["bars"]}
        for line in small_calls.unmeasured(sizes)
        if re.search(only, line["job"])
    ]
    head = record.here_and_now(PACKAGES)
    return head | {"device": None, "measured": False, "reason": reason, "lines": rows, "seconds": 0.0}


def measured(gpu: Gpu, sizes: Sizes, only: str = "") -> dict[str, Any]:
    """Return results with figures."""
    begin = time.perf_counter()
    result = record.here_and_now(PACKAGES) | {"processor": record.processor(), "measured": True, "reason": ""}
    result |= gpu.described() | {"lines": []}
    for line in _lines(gpu, sizes, only):
        result["lines"].append(line)
        print(_summary(line), file=sys.stderr, flush=True)
    result["seconds"] = time.perf_counter() - begin
    return result


def _chosen(sizes: Sizes, only: str) -> Iterator[DeviceJob]:
    return (device_job for device_job in jobs.all_jobs(sizes) if re.search(only, device_job.job.name))


def _lines(gpu: Gpu, sizes: Sizes, only: str) -> Iterator[dict[str, Any]]:
    for device_job in _chosen(sizes, only):
        yield row(device_job, gpu, sizes)
        gpu.free()
    if any(re.search(only, line["job"]) for line in small_calls.unmeasured(sizes)):
        yield from small_calls.lines(gpu, sizes)


def row(device_job: DeviceJob, gpu: Gpu, sizes: Sizes) -> dict[str, Any]:
    """Prepare a job, compare all answers, measure, and return a line of the JSON file."""
    job = device_job.job
    device_job.prepare(gpu, sizes)
    jobs.require_agreement(job, gpu)
    job.beside[COPY], job.loops = gpu.copying(sizes.copied)
    medians, rounds = gpu.times({"fastemd": job.fastemd, **job.opponents, **job.beside}, sizes.seconds, sizes.rounds)
    line = measure.line(job, medians, rounds)
    vars(job).update(opponents={}, beside={}, fastemd=None)  # their arrays are large
    return line


def _summary(line: dict[str, Any]) -> str:
    """One line of progress: the job, and its bars."""
    verdict = {True: "met", False: "MISSED", None: "not checked"}
    bars = "; ".join(f"{bar['bar']}: {bar['figure'] or 0:.3g} {verdict[bar['met']]}" for bar in line["bars"])
    return f"{line['job']}: {bars}"

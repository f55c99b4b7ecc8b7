"""The suite of variants: what else was tried for the hot kernels, measured side by side with what is shipped."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import time
from pathlib import Path

import numpy as np

import fastemd as fe

from ..harness import measure, record, tables
from ..harness.problems import FULL, QUICK
from ..harness.record import RESULTS
from .jobs import Contest, all_contests

# Numbers of rows and of columns that leave a rest when divided by eight.
SMALL = dataclasses.replace(QUICK, bins=43, large=21, small=(13,), ring=(13, 37), tree_rows=13, nodes=80, shape_rows=11)


def run(folder: Path = RESULTS, *, quick: bool = False, only: str = "") -> Path:
    """Hold the variants against `fastemd.reference`, measure, write ``variants-<device>.json`` and return its path.

    Parameters
    ----------
    folder : Path
    quick : bool
        Tiny sizes, one round: shows that everything runs; the figures mean nothing.
    only : str
        A regular expression: only the contests whose names it is found in.
    """
    sizes = QUICK if quick else FULL
    fe.set_num_threads(2)
    begin = time.perf_counter()
    result = record.here_and_now() | {"quick": quick, "lines": []}
    for make_small, make in zip(all_contests(SMALL), all_contests(sizes), strict=True):
        small = make_small()
        if not re.search(only, small.job.name):
            continue
        verify(small)
        contest = make()
        line = measure.row(contest.job, sizes.seconds, sizes.rounds) | {"shipped": contest.shipped}
        result["lines"].append(line)
        print(_summary(line), file=sys.stderr, flush=True)
    result["seconds"] = time.perf_counter() - begin
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / record.file_name("variants", str(result["device"]))
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def verify(contest: Contest) -> None:
    """Raise ArithmeticError unless the shipped kernel and all variants agree with `fastemd.reference`."""
    a, b = (x.astype(np.float64) for x in (contest.a, contest.b))
    total_length = float(contest.space.lengths.sum())
    within = 8 * contest.space.lengths.size * float(np.finfo(np.float32).eps) * total_length
    for name, call in {contest.shipped: contest.job.fastemd, **contest.job.opponents}.items():
        answer = call()
        if contest.job.bandwidth == "read":
            pairs = [(answer, fe.reference.emd(a, b, contest.space))]
        else:
            pairs = list(zip(answer, fe.reference.emd_value_and_grad(a, b, contest.space), strict=True))
        for got, expected in pairs:
            error = float(np.abs(got - expected).max())
            if not error <= within:
                raise ArithmeticError(f"{contest.job.name}: {name}: off by {error:.2g}, more than {within:.2g}")


def _summary(line: dict) -> str:
    """One line of progress: how much longer each variant takes than the shipped kernel."""
    ratios = "; ".join(f"{name} {ratio:.2f}" for name, ratio in line["ratio"].items())
    return f"{line['job']}: {line['median_ms']['fastemd']:.3g} ms; × that: {ratios}"


def write_page(folder: Path, page: Path) -> Path:
    """Write the tables, newest results first, and return the path of the page."""
    return tables.write_sections(folder, "variants", page, section)


def section(result: dict) -> str:
    """Everything about one file of results."""
    head = f"**{result['device']}**, {result['cores']} cores:"
    return "\n\n".join([head, _table(result["lines"]), tables.provenance(result)])


def _table(lines: list[dict]) -> str:
    return tables.table(
        ["kernel", "variant", "ms", "× shipped", "GB/s counted", "of measured"],
        (cells for line in lines for cells in _rows(line)),
    )


def _rows(line: dict) -> list[list[str]]:
    medians, loop = line["median_ms"], line["bandwidth"]
    measured = line["bandwidth_gb_per_s"][loop]
    rows = []
    for name in ("fastemd", *line["ratio"]):
        speed = line["counted_bytes"] / (1e6 * medians[name])
        rows.append(
            [
                line["job"] if name == "fastemd" else "",
                f"**shipped: {line['shipped']}**" if name == "fastemd" else name,
                tables.number(medians[name]),
                tables.number(medians[name] / medians["fastemd"]),
                tables.number(speed),
                f"{speed / measured:.2f} of {tables.number(measured)} ({loop})",
            ]
        )
    return rows

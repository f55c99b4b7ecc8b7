"""docs/generated/ptx.md from results/ptx.json: a row for each kernel and space, with the worst of its cases."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path

from fastemd.cuda.entropic.matrix import ROWS, shared_bytes
from fastemd.cuda.primitives.thread_group import REDUCTION_SLOTS

from ..harness import tables
from .cases import BASE, KERNELS, SINKHORN, SPACES
from .suite import BLOCK, FILE, at_fault

Lines = list[dict]


def write(folder: Path, page: Path) -> Path:
    """Write the page and return its path."""
    path = folder / FILE
    if not path.exists():
        raise FileNotFoundError(f"{folder} has no {FILE}; make one with: python -m benchmarks ptx")
    result = json.loads(path.read_text(encoding="utf-8"))
    page.parent.mkdir(parents=True, exist_ok=True)
    head = "<!-- made by python -m benchmarks tables; do not edit -->"
    page.write_text(f"{head}\n\n{section(result)}\n", encoding="utf-8")
    return page


def section(result: dict) -> str:
    """Return the page's text."""
    shipped = [line for line in result["lines"] if line["register_limit"] is None]
    capped = _with_uncapped(result["lines"])
    parts = [_faults(shipped), _summary(shipped)]
    if capped:
        parts += ["With a limit on registers:", _caps(capped)]
    return "\n\n".join([*parts, _provenance(result)])


def _faults(lines: Lines) -> str:
    wrong = list(at_fault(lines))
    if wrong:
        return "\n".join(
            [f"**{len(wrong)} of {len(lines)} kernels are at fault:**", "", *(f"- {fault}" for fault in wrong)]
        )
    return (
        f"{len(lines)} kernels: none spills, uses local memory, adds floats atomically or has inexact instructions in "
        "place of exact ones."
    )


def _summary(lines: Lines) -> str:
    """A row for each kernel and space, with the bytes of loads and stores of float32 rows."""
    rows = []
    for space, kernel, blocks in itertools.product((*SPACES, "matrix"), (*KERNELS, *SINKHORN), ("one", "many")):
        wanted = (space, kernel.label, blocks)
        chosen = [line for line in lines if (line["space"], line["kernel"], line["blocks"]) == wanted]
        if chosen:
            name = kernel.label if blocks == "one" else f"{kernel.label}, multi-block"
            rows.append([space, name, str(len(chosen)), *_worst(chosen)])
    head = [
        "space",
        "kernel",
        "cases",
        "most registers",
        "threads resident, at least",
        "load, bytes",
        "store, bytes",
        "shared memory, bytes",
        "spilled, bytes",
    ]
    return tables.table(head, rows)


def _worst(lines: Lines) -> list[str]:
    floats = [line for line in lines if line["dtype"] == "float32" and line["capability"] == BASE]
    worst = max(lines, key=lambda line: line["registers"])
    most = min if lines[0]["blocks"] == "one" else max  # only some steps of a multi-block kernel load rows
    ours = [line["resident"] for line in lines if line["capability"] == BASE]
    return [
        f"{worst['registers']} ({_what(worst)})",
        str(min(ours)) if ours else "",
        str(most(line["load_bytes"] for line in floats)) if floats else "",
        str(most(line["store_bytes"] for line in floats)) if floats else "",
        _shared(lines),
        str(max(line["spill_stores"] + line["spill_loads"] for line in lines)),
    ]


def _shared(lines: Lines) -> str:
    """The shared memory of a block: static, and that of the launch."""
    static = max(line["static_shared"] for line in lines)
    if lines[0]["kernel"].startswith("Sinkhorn"):
        tile = max(map(shared_bytes, ROWS)) if lines[0]["kernel"].startswith("Sinkhorn's loop, ") else 0
        return f"{static + 8 * REDUCTION_SLOTS + tile}"
    slots = lines[0]["space"] in ("ring", "tree") and lines[0]["blocks"] == "one"
    return f"{static + 8 * REDUCTION_SLOTS}" + (" + 8 a slot" if slots else "")


def _what(line: dict) -> str:
    rho = f"ρ = {line['rho']:g}, " if line["rho"] else "any ρ, "
    if line["kernel"].startswith("Sinkhorn"):
        rho = ""
    return f"{rho}{line['dtype']}, {line['threads']} threads, {line['capability']}"


def _with_uncapped(lines: Lines) -> Lines:
    """The lines with a limit on registers, each kernel after the same one without a limit."""
    capped = [line for line in lines if line["register_limit"]]
    kernels = {_bare(line) for line in capped}
    chosen = [line for line in lines if _bare(line) in kernels]
    return sorted(chosen, key=lambda line: (_bare(line), -(line["register_limit"] or BLOCK)))


def _bare(line: dict) -> tuple:
    return tuple(line[key] for key in ("space", "kernel", "rho", "dtype", "threads", "scratch", "capability", "blocks"))


def _caps(lines: Iterable[dict]) -> str:
    rows = (
        [
            f"{line['space']}, {line['kernel']}, {_what(line)}",
            str(line["register_limit"] or "none"),
            str(line["registers"]),
            str(line["resident"]),
            str(line["spill_stores"] + line["spill_loads"]),
        ]
        for line in lines
    )
    return tables.table(["kernel", "limit", "registers", "threads resident", "spilled, bytes"], rows)


def _provenance(result: dict) -> str:
    versions = ", ".join(
        f"{name} {version}" for name, version in result["versions"].items() if "cuda" in name or "nv" in name
    )
    commit = (result["commit"] or "no commit")[:12] + (" with changes" if result["dirty"] else "")
    quick = " **A quick run: each kernel once.**" if result["quick"] else ""
    return (
        f"Registers are those of a thread. Threads resident: how many of the 2,048 that a multiprocessor of compute "
        f"capability {BASE} can hold find registers, in blocks of {BLOCK}. Loads and stores: the widest that float32 "
        f"rows are read and written with; a tree's bins are read one by one, but where masses are added up first. "
        f"Shared memory: a slot is a bin of a ring, or an inner edge of a tree; what comes to more than 48 KiB is in "
        f"global memory instead. "
        f"Spilled: stores and loads, most of all cases. Compiled {result['date']} in {result['seconds']:.0f} s with "
        f"{versions}, ptxas {result['assembler']}, numba {result['versions']['numba']}; commit {commit}.{quick}"
    )

"""docs/generated/ptx.md out of results/ptx.json: a row for each kernel and room, the worst of all its cases."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path

from fastemd.cuda.entropic.matrix import ROWS, shared_bytes
from fastemd.cuda.primitives.thread_group import MEETING

from ..harness import tables
from .cases import BASE, KERNELS, ROOMS, SINKHORN
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
    """Everything about the results."""
    shipped = [line for line in result["lines"] if line["cap"] is None]
    capped = _with_uncapped(result["lines"])
    parts = [_verdict(shipped), _summary(shipped)]
    if capped:
        parts += ["With a limit on registers:", _caps(capped)]
    return "\n\n".join([*parts, _provenance(result)])


def _verdict(lines: Lines) -> str:
    wrong = list(at_fault(lines))
    if wrong:
        return "\n".join(
            [f"**{len(wrong)} of {len(lines)} kernels are at fault:**", "", *(f"- {words}" for words in wrong)]
        )
    return (
        f"{len(lines)} kernels: none spills, uses local memory, adds floats atomically or has inexact instructions in "
        "place of exact ones."
    )


def _summary(lines: Lines) -> str:
    """A row for each kernel and room. Bytes of loads and stores are those of float32 rows, where types can be told."""
    rows = []
    for room, kernel, blocks in itertools.product((*ROOMS, "matrix"), (*KERNELS, *SINKHORN), ("one", "many")):
        wanted = (room, kernel.words, blocks)
        here = [line for line in lines if (line["room"], line["kernel"], line["blocks"]) == wanted]
        if here:
            name = kernel.words if blocks == "one" else f"{kernel.words}, by many blocks"
            rows.append([room, name, str(len(here)), *_worst(here)])
    head = [
        "room",
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
    most = min if lines[0]["blocks"] == "one" else max  # of many blocks' steps, only some read rows
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
    """Shared memory of a block: what ptxas reports, and what a launch adds to it."""
    static = max(line["static_shared"] for line in lines)
    if lines[0]["kernel"].startswith("Sinkhorn"):
        tile = max(map(shared_bytes, ROWS)) if lines[0]["kernel"].startswith("Sinkhorn's loop, ") else 0
        return f"{static + 8 * MEETING + tile}"
    slots = lines[0]["room"] in ("ring", "tree") and lines[0]["blocks"] == "one"
    return f"{static + 8 * MEETING}" + (" + 8 a slot" if slots else "")


def _what(line: dict) -> str:
    law = f"ρ = {line['law']:g}, " if line["law"] else "any ρ, "
    if line["kernel"].startswith("Sinkhorn"):
        law = ""
    return f"{law}{line['dtype']}, {line['team']} threads, {line['capability']}"


def _with_uncapped(lines: Lines) -> Lines:
    """The lines with a limit on registers, each kernel's after the one that is the same without."""
    capped = [line for line in lines if line["cap"]]
    kernels = {_bare(line) for line in capped}
    chosen = [line for line in lines if _bare(line) in kernels]
    return sorted(chosen, key=lambda line: (_bare(line), -(line["cap"] or BLOCK)))


def _bare(line: dict) -> tuple:
    return tuple(line[key] for key in ("room", "kernel", "law", "dtype", "team", "scratch", "capability", "blocks"))


def _caps(lines: Iterable[dict]) -> str:
    rows = (
        [
            f"{line['room']}, {line['kernel']}, {_what(line)}",
            str(line["cap"] or "none"),
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
        f"Shared memory: a slot is a bin of a ring, or an inner edge of a tree; what comes to more than 48 KiB lies in "
        f"device memory instead. "
        f"Spilled: stores and loads, most of all cases. Compiled {result['date']} in {result['seconds']:.0f} s with "
        f"{versions}, ptxas {result['assembler']}, numba {result['versions']['numba']}; commit {commit}.{quick}"
    )

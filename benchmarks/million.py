"""The plan of all pairs of a million samples, from rates that are measured here: ``python -m benchmarks.million``.

It measures what a worker does, all pairs of two chunks and the writing of the block to zarr, and writes a file of
results and the table of the page "a million samples".
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import fastemd as fe

from .harness import record, tables

FILE = "million.json"
SAMPLES, LEAVES, CHUNK = 1_000_000, 1_000, 512
TURNS = 5
WORKERS = (1, 16, 256)
PRICE = 0.05  # of a processor with one worker an hour, in US dollars: what clouds ask for about


def seconds(call: Callable[[], object]) -> float:
    """Return the median time of a call, the first one left out."""
    call()
    times = []
    for _ in range(TURNS):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def measure() -> dict[str, object]:
    """Return the rates of one worker with one thread: pairs a second, and bytes written to zarr a second."""
    import zarr

    rng = np.random.default_rng(0)
    v = np.arange(2 * LEAVES - 1)
    tree = fe.Tree((v - 1) // 2, np.ones(len(v)), v[LEAVES - 1 :])
    rows = rng.dirichlet(np.full(LEAVES, 0.1), (2, CHUNK)).astype(np.float32)
    fe.set_num_threads(1)
    pairs = CHUNK**2 / seconds(lambda: fe.pairwise(rows[0], rows[1], space=tree, progress=False))
    block = rng.random((4096, 4096), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        target = zarr.create_array(f"{folder}/x.zarr", shape=block.shape, chunks=(CHUNK, CHUNK), dtype=block.dtype)

        def write() -> None:
            target[:] = block

        written = block.nbytes / seconds(write)
    here = record.here_and_now(("zarr",))
    return {**here, "threads": 1, "leaves": LEAVES, "nodes": len(v), "pairs": pairs, "written": written}


def write_page(results: Path, pages: Path) -> Path:
    """Write the table of the plan from a file of results, and return its path."""
    import json

    found = json.loads((results / FILE).read_text(encoding="utf-8"))
    pairs = SAMPLES * (SAMPLES - 1) / 2
    matrix = SAMPLES**2 * 4
    work = pairs / found["pairs"] + matrix / found["written"]
    read = SAMPLES**2 / CHUNK * found["leaves"] * 4  # two chunks for each of the blocks of half the matrix
    lines = [
        f"Measured on one thread of {found['device']}: {found['pairs'] / 1e6:.2f} million pairs a second of "
        f"{found['leaves']:,} leaves ({found['nodes']:,} nodes, float32), {found['written'] / 1e6:.0f} MB a second "
        f"into zarr. {SAMPLES:,} samples make {pairs:.1e} pairs.",
        "",
        "| workers, one thread each | hours | read over the network | MB a second, written ones too | US dollars |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for workers in WORKERS:
        hours = work / workers / 3600
        rate = (read + matrix) / (work / workers) / 1e6
        lines.append(
            f"| {workers:,} | {hours:,.1f} | {read / 1e12:.1f} TB | {rate:,.0f} | {work / 3600 * PRICE:,.0f} |"
        )
    lines += [
        "",
        f"The table has {matrix / 1e12:.0f} TB as float32 before compression; the samples have "
        f"{SAMPLES * found['leaves'] * 4 / 1e9:.0f} GB; a task holds two chunks and a block, "
        f"{(2 * CHUNK * found['leaves'] + CHUNK**2) * 4 / 1e6:.0f} MB, at chunks of {CHUNK} rows. Dollars are at "
        f"{PRICE} for a worker an hour.",
    ]
    path = pages / "million.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    record.write(measure(), record.RESULTS / FILE)
    print(write_page(record.RESULTS, tables.PAGES))

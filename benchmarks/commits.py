"""Two commits side by side: ``python -m benchmarks.commits BEFORE [AFTER] [--rounds 5] [--only REGEX]``.

A series of commits, measured one after the other, shows how the machine drifts. Here both commits are checked out into
folders of their own, and fresh processes of both take turns: BEFORE, AFTER, BEFORE, ... The table has medians over the
rounds, and their ratio. AFTER is the working tree by default.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]  # this module imports fastemd, of either commit, in its jobs only
TURN = 0.3  # seconds that a job takes in a round, at least


def jobs() -> dict[str, Callable[[], object]]:
    """Return the calls, with data that are the same for both commits."""
    import fastemd as fe

    rng = np.random.default_rng(0)

    def rows(count: int, n: int) -> np.ndarray:
        return rng.dirichlet(np.ones(n), count).astype(np.float32)

    chain, ring, tree = fe.Chain(1000), fe.Ring(360), fe.Tree.imagenet()
    pair, small, large, long = rows(2, 100), rows(512, 1000), rows(8192, 1000), rows(2, 10**6)
    angles, short, line = rows(2048, 360), fe.Chain(100), fe.Chain(10**6)
    logits, classes = rng.normal(size=(1024, 1000)).astype(np.float32), rng.integers(1000, size=1024)
    return {
        "chain, value, 1 × 100": lambda: fe.emd(pair[0], pair[1], short),
        "chain, value, 256 × 1,000": lambda: fe.emd(small[:256], small[256:], chain),
        "chain, gradient, 256 × 1,000": lambda: fe.emd_value_and_grad(small[:256], small[256:], chain),
        "chain, value, 4,096 × 1,000": lambda: fe.emd(large[:4096], large[4096:], chain),
        "chain, gradient, 4,096 × 1,000": lambda: fe.emd_value_and_grad(large[:4096], large[4096:], chain),
        "chain, value, 1 × 1,000,000": lambda: fe.emd(long[0], long[1], line, mass="normalize"),
        "ring, gradient, 1,024 × 360": lambda: fe.emd_value_and_grad(angles[:1024], angles[1024:], ring),
        "tree, value, 4,096 × 1,000": lambda: fe.emd(large[:4096], large[4096:], tree),
        "tree, gradient, 4,096 × 1,000": lambda: fe.emd_value_and_grad(large[:4096], large[4096:], tree),
        "chain, logits, 1,024 × 1,000": lambda: fe.emd_with_logits(logits, classes, chain),
        "tree, logits, 1,024 × 1,000": lambda: fe.emd_with_logits(logits, classes, tree),
        "tree, all pairs of 512": lambda: fe.pairwise(large[:512], space=tree, mass="normalize"),
    }


def measure(only: str) -> dict[str, float]:
    """Return the seconds of a call of each job; a job that a commit lacks is left out."""
    found = {}
    for name, call in jobs().items():
        if not re.search(only, name):
            continue
        try:
            call()
        except (AttributeError, TypeError):
            continue
        times, begin = [], time.perf_counter()
        while time.perf_counter() - begin < TURN or len(times) < 3:
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        found[name] = statistics.median(times)
    return found


def in_turn(folders: dict[str, Path], rounds: int, only: str) -> dict[str, dict[str, float]]:
    """Return the median seconds of each job in each folder, measured by fresh processes in turn."""
    times: dict[str, dict[str, list[float]]] = {name: {} for name in folders}
    for _ in range(rounds + 1):  # the first round compiles
        for name, folder in folders.items():
            environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
            command = [sys.executable, "-m", "benchmarks.commits", "--child", "--only", only]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
            for job, seconds in json.loads(done.stdout.splitlines()[-1]).items():
                times[name].setdefault(job, []).append(seconds)
    return {name: {job: statistics.median(each[1:]) for job, each in found.items()} for name, found in times.items()}


def table(found: dict[str, dict[str, float]]) -> str:
    """Return the table of two commits."""
    from .harness import tables

    before, after = found
    rows = []
    for job, seconds in found[after].items():
        old = found[before].get(job)
        cells = ["-", ""] if old is None else [tables.duration(old), f"{seconds / old:.3f}"]
        rows.append([job, cells[0], tables.duration(seconds), cells[1]])
    return tables.table(["job", before, after, "after / before"], rows)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commits", description=__doc__)
    parser.add_argument("commits", nargs="*", metavar="COMMIT", help="one or two; the second is the working tree else")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", metavar="REGEX", help="only the jobs whose names match")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.child:
        print(json.dumps(measure(options.only)))
        return
    if len(options.commits) not in (1, 2):
        parser.error("name one commit, or two")
    with tempfile.TemporaryDirectory() as folder:
        folders = {}
        for commit in options.commits:
            place = Path(folder, re.sub(r"\W", "_", commit))
            archive = subprocess.run(["git", "archive", commit, "fastemd"], cwd=ROOT, capture_output=True, check=True)
            place.mkdir()
            subprocess.run(["tar", "-x", "-C", place], input=archive.stdout, check=True)
            folders[commit] = place
        if len(folders) == 1:
            folders["working tree"] = ROOT
        print(table(in_turn(folders, options.rounds, options.only)))


if __name__ == "__main__":
    main()

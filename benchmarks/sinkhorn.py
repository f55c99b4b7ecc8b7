"""The suite of Sinkhorn: dense problems beside POT, ott-jax and geomloss, and iterations on a chain and a tree."""

from __future__ import annotations

import functools
import json
import re
import statistics
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import fastemd as fe

from .harness import measure, pictures, record, tables
from .harness.measure import Bar
from .harness.record import RESULTS
from .opponents.entropic import Opponent, Problem, opponents

FILE = "sinkhorn.json"
TARGET = 1e-5  # marginal error that all solvers have to reach
PACKAGES = ("pot", "jax", "ott-jax", "geomloss")
PATIENCE = 60.0  # seconds: an effort that takes longer is the last that is tried
LONG = 20.0  # seconds: a call that takes longer is not made again to be timed


@dataclass(frozen=True)
class Sizes:
    """Sizes of the problems, and the seconds that the turns of a solver may take."""

    rows: int = 64
    bins: tuple[int, ...] = (100, 500)
    regs: tuple[float, ...] = (0.1, 0.01)
    chain: int = 100_000
    tree: str = "21k"
    tree_rows: int = 16
    iterations: int = 20
    seconds: float = 8.0
    turns: int = 15


FULL = Sizes()
QUICK = Sizes(rows=4, bins=(12,), regs=(0.1,), chain=100, tree="1k", tree_rows=2, iterations=2, seconds=0.0, turns=1)


@dataclass
class Contender:
    """A solver whose settings have been found: what is timed, and how it did."""

    call: Callable[[], Any]
    facts: dict[str, Any]
    times: list[float] = field(default_factory=list)


def run(folder: Path = RESULTS, *, quick: bool = False, only: str = "") -> Path:
    """Measure, write ``sinkhorn.json`` into a folder and return its path.

    Parameters
    ----------
    folder : Path
    quick : bool
        Tiny sizes, one turn each: shows that everything runs; the figures mean nothing.
    only : str
        A regular expression: only the jobs whose names it is found in.
    """
    sizes = QUICK if quick else FULL
    fe.set_num_threads(2)
    begin = time.perf_counter()
    result = record.here_and_now(PACKAGES) | {"quick": quick, "target": TARGET, "lines": []}
    path = folder / FILE
    for name, make in jobs(sizes):
        if not re.search(only, name):
            continue
        line = {"job": name, **make()}
        result["lines"].append(line)
        print(name, *(f"{bar['bar']}: {bar['figure']}" for bar in line["bars"]), sep="; ", file=sys.stderr, flush=True)
        result["seconds"] = time.perf_counter() - begin
        record.write(result, path)  # after each line: a run takes minutes
    return path


def jobs(sizes: Sizes) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Name every job and what makes its line."""
    yield "chain", functools.partial(chain, sizes)
    yield "tree", functools.partial(tree, sizes)
    for n in sizes.bins:
        for reg in sizes.regs:
            for dtype in ("float32", "float64"):
                name = f"dense, {sizes.rows} rows, n = {n}, reg = {reg} of the largest cost, {dtype}"
                yield name, functools.partial(dense, sizes, n, reg, dtype)


def problem(sizes: Sizes, n: int, reg: float, dtype: str) -> Problem:
    """Squared distances of random points in a square, and histograms of uniform random numbers."""
    rng = np.random.default_rng(0)
    points = rng.random((n, 2))
    cost = ((points[:, None] - points) ** 2).sum(axis=-1)
    a, b = (rng.random((sizes.rows, n)) + 0.05 for _ in "ab")
    a, b, cost = a / a.sum(axis=1, keepdims=True), b / b.sum(axis=1, keepdims=True), cost / cost.max()
    return Problem(*(x.astype(dtype) for x in (a, b, cost)), reg, TARGET)


def dense(sizes: Sizes, n: int, reg: float, dtype: str) -> dict[str, Any]:
    """All solvers on one problem, in turns."""
    given = problem(sizes, n, reg, dtype)
    contenders, absent = {}, {}
    for name, method in (("fastemd", "auto"), ("fastemd log", "log")):
        call = functools.partial(fe.sinkhorn, given.a, given.b, given.cost, reg=reg, tol=TARGET, method=method)
        result = call()
        error = given.error(call(plan=True).plan)
        facts = {"error": error, "iterations": int(result.n_iter.max()), "method": result.method}
        contenders[name] = Contender(call, facts)
        if not error <= 1.1 * TARGET:  # rounding the plan to float32 adds a little
            raise ArithmeticError(f"{name} does not reach the marginal error {TARGET}: {error}")
    found, missing = opponents(given)
    logs = {opponent.name: opponent.log for opponent in found}
    for opponent in found:
        made = calibrated(opponent, given)
        if isinstance(made, str):
            absent[opponent.name] = made
        else:
            contenders[opponent.name] = made
    take_turns(contenders, sizes)
    median = {name: statistics.median(contender.times) for name, contender in contenders.items()}
    others = [name for name in median if not name.startswith("fastemd")]
    in_logs = [name for name in others if logs[name]]
    ratios = {
        "fastest opponent": (3, "fastemd", others),
        "POT in logarithms, fastemd log": (8, "fastemd log", [name for name in in_logs if "POT" in name]),
        "ott-jax in logarithms, fastemd log": (3, "fastemd log", [name for name in in_logs if "ott" in name]),
    }
    return {
        "median_ms": {name: 1e3 * seconds for name, seconds in median.items()},
        "turns": {name: len(contender.times) for name, contender in contenders.items()},
        "facts": {name: contender.facts for name, contender in contenders.items()},
        "absent": absent | missing,
        "bars": [_faster(limit, words, own, names).checked(median) for words, (limit, own, names) in ratios.items()],
    }


def _faster(limit: float, words: str, own: str, names: list[str]) -> Bar:
    """At least `limit` times as fast as the fastest of `names`; not checked where there is none."""

    def figure(median: measure.Medians) -> float:
        if not names:
            raise KeyError(words)
        return min(median[name] for name in names) / median[own]

    return Bar(f"× {words}", limit, figure, at_least=True)


def calibrated(opponent: Opponent, given: Problem) -> Contender | str:
    """Find the cheapest effort that reaches the target; or why there is none."""
    error = np.inf
    for effort in opponent.efforts():
        begin = time.perf_counter()
        plan = opponent.plan(effort)
        seconds = time.perf_counter() - begin
        error = given.error(plan)
        if error <= given.target:
            found = Contender(functools.partial(opponent.solve, effort), {"error": error, "effort": effort})
            if seconds > LONG:
                found.times.append(seconds)
            return found
        if seconds > PATIENCE or not np.isfinite(error):
            break
    return f"marginal error {error:.2g} at effort {effort}, not {given.target:g}"


def take_turns(contenders: dict[str, Contender], sizes: Sizes) -> None:
    """Time the contenders A B C A B C ...; one that has used up its seconds gets no further turn, but each gets one.

    Of calls that take `LONG` or more, the one that found the effort counts, plan included, and perhaps compiling.
    """
    for contender in contenders.values():
        if not contender.times:
            contender.call()  # compiles
    for _ in range(sizes.turns):
        for contender in contenders.values():
            if contender.times and sum(contender.times) >= sizes.seconds:
                continue
            time.sleep(20 * measure.PAUSE)  # threads of the one before spin on for a while
            contender.times.append(measure.timed(contender.call))


def iteration(space: fe.Chain | fe.Ring | fe.Tree, rows: int, reg: float, sizes: Sizes, limit: float) -> dict[str, Any]:
    """Return the time of an iteration whose sums cannot over- or underflow, and the memory of a call."""
    rng = np.random.default_rng(1)
    a, b = rng.random((rows, space.n)), rng.random((rows, space.n))
    a, b = a / a.sum(axis=1, keepdims=True), b / b.sum(axis=1, keepdims=True)

    def call(count: int) -> None:
        fe.sinkhorn(a, b, space, reg=reg, max_iter=count, tol=1e-300, method="log")

    times = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fe.SinkhornWarning)
        call(1)
        for _ in range(max(3, sizes.turns // 3)):
            begin = time.perf_counter()
            call(1)
            middle = time.perf_counter()
            call(1 + sizes.iterations)
            end = time.perf_counter()
            times.append(((end - middle) - (middle - begin)) / sizes.iterations)
        tracemalloc.start()
        call(2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    seconds = statistics.median(times)
    bar = Bar("ms an iteration", limit, lambda median: 1e3 * median["fastemd"], at_least=False)
    return {
        "median_ms": {"fastemd": 1e3 * seconds},
        "turns": {"fastemd": len(times)},
        "facts": {"fastemd": {"rows": rows, "bins": space.n, "reg": reg, "bytes a row and bin": peak / rows / space.n}},
        "absent": {},
        "bars": [bar.checked({"fastemd": seconds})],
    }


def chain(sizes: Sizes) -> dict[str, Any]:
    """One pair on a long chain of unit lengths at reg = 1, which is 1e-5 of the diameter."""
    return iteration(fe.Chain(sizes.chain), 1, 1.0, sizes, 20.0)


def tree(sizes: Sizes) -> dict[str, Any]:
    """A batch on an ImageNet tree, at a hundredth of its diameter."""
    space = fe.Tree.imagenet(sizes.tree)
    return iteration(space, sizes.tree_rows, space.diameter / 100, sizes, 60.0)


def write_pages(folder: Path, pages: Path) -> list[Path]:
    """Write the table and the picture, and the table with bars beside the results."""
    result = json.loads((folder / FILE).read_text(encoding="utf-8"))
    picture = pages / "sinkhorn-times.png"
    place = f"**{result['device']}**, {result['cores']} cores"
    target = f"All solvers reach a marginal error of {result['target']:g} in every row, each at the cheapest setting."
    absent = [f"- {line['job']}: {name}: {why}" for line in result["lines"] for name, why in line["absent"].items()]
    end = ["\n".join(["Not measured:", "", *absent]) if absent else "", tables.provenance(result)]
    head = ["job", "solver", "ms", "× fastemd", "marginal error", "settings"]
    rows = [cells for line in result["lines"] for cells in _rows(line)]
    plain = [f"{place}. {target}", tables.table(head, ([*cells[:-1]] for cells in rows)), *end]
    bars = [f"{place}: {tables.tally(result['lines'])} {target}", tables.table([*head, "bars"], rows), *end]
    written = [tables.write(plain, pages / "sinkhorn.md"), tables.write(bars, folder / "sinkhorn-bars.md")]
    compared = [line for line in result["lines"] if line["job"].startswith("dense")]
    pictures.draw_times({line["job"]: line["median_ms"] for line in compared}, picture)
    return [*written, picture]


def _rows(line: dict[str, Any]) -> Iterator[list[str]]:
    own = line["median_ms"]["fastemd"]
    outcomes = "; ".join(f"{bar['bar']}: {tables.outcome(bar)}" for bar in line["bars"])
    for name, ms in sorted(line["median_ms"].items(), key=lambda entry: entry[1]):
        facts = dict(line["facts"][name])
        error = facts.pop("error", None)
        words = ", ".join(f"{key} {x if isinstance(x, str) else tables.number(x)}" for key, x in facts.items())
        first = name == "fastemd"
        yield [
            line["job"] if first else "",
            f"**{name}**" if name.startswith("fastemd") else name,
            tables.number(ms),
            tables.number(ms / own),
            "" if error is None else f"{error:.1e}",
            words,
            outcomes if first else "",
        ]

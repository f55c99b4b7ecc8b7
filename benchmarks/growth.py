"""Time against size: a chain's value and gradient, from one pair to many rows and from few bins to a million.

Each size is a line of the results; the picture has a curve for each library. float32, two threads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fastemd as fe

from .harness import measure, pictures, problems, runs, tables
from .harness.measure import Job
from .harness.record import RESULTS
from .opponents import formulas

BINS = 1_000  # of the panels against rows
ROWS = (1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536)
LENGTHS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)  # of one row
GRADIENT, VALUE = "value and gradient", "value"
# Colours and markers of the curves.
STYLES = {
    "fastemd": {"color": "#0072B2", "marker": "o", "lw": 2.2},
    "numpy": {"color": "#000000", "marker": "s"},
    "torch eager": {"color": "#CC79A7", "marker": "^"},
    "torch.compile": {"color": "#D55E00", "marker": "v"},
    "jax, jit": {"color": "#009E73", "marker": "D"},
    "POT": {"color": "#E69F00", "marker": "x"},
}


def run(folder: Path = RESULTS, *, quick: bool = False, only: str = "") -> Path:
    """Measure, write ``growth-<device>.json`` into a folder and return its path; arguments as for `core.suite.run`."""
    return runs.run("growth", _lines, folder, quick=quick, only=only, packages=("torch", "jax", "pot"))


def write_pages(folder: Path, pages: Path) -> list[Path]:
    """Write the picture and the table of the newest results."""
    newest = tables.load(folder, "growth")[0]
    picture = pages / "growth.png"
    draw(newest["lines"], picture)
    return [tables.write_sections(folder, "growth", pages / "growth.md", tables.section), picture]


def _lines(sizes: problems.Sizes, only: str) -> Iterator[dict]:
    quick = sizes is problems.QUICK
    points = [(rows, BINS) for rows in ROWS] + [(1, n) for n in LENGTHS]
    for what in (VALUE, GRADIENT):
        for rows, n in dict.fromkeys(points[:2] if quick else points):
            name = f"chain, {what}, {rows:,} × {n:,}"
            if re.search(only, name):
                line = measure.row(job(name, what, rows, n), min(sizes.seconds, 2.0), sizes.rounds)
                yield line | {"what": what, "rows": rows, "bins": n}


def job(name: str, what: str, rows: int, n: int) -> Job:
    """Return the job of one size."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((rows, n), dtype=np.float32) for _ in range(2))
    a, b = (x / x.sum(axis=1, keepdims=True, dtype=np.float64).astype(np.float32) for x in (a, b))
    space = fe.Chain(n)
    options = {"mass": "root"} if n > BINS else {}  # of float32 rows that long, masses differ by more than rounding
    out = np.empty_like(a)
    if what == VALUE:
        call = Job(name, lambda: fe.emd(a, b, space, **options))
    else:
        call = Job(name, lambda: fe.emd_value_and_grad(a, b, space, out=out, **options))
    for opponent, function in _opponents(what, a, b).items():
        call.beside[opponent] = function
    return call


def _opponents(what: str, a: np.ndarray, b: np.ndarray) -> dict[str, Callable[[], Any]]:
    import jax
    import jax.numpy as jnp
    import ot

    def value(p: Any, q: Any) -> Any:
        return abs((p - q).cumsum(-1)[..., :-1]).sum(-1)

    u, v = (jnp.asarray(z) for z in (a, b))
    if what == VALUE:
        function, jitted = formulas.histograms(formulas.chain(1)), jax.jit(value)
        found = {"numpy": lambda: value(a, b)}
        if a.size <= 1 << 20:
            places = np.arange(a.shape[1], dtype=np.float32)[:, None] + np.zeros((1, len(a)), np.float32)
            found["POT"] = lambda: ot.wasserstein_1d(places, places, a.T, b.T)
    else:
        function = formulas.autograd(formulas.histograms(formulas.chain(1)))
        found, jitted = {}, jax.jit(jax.vmap(jax.value_and_grad(value)))
    found["torch eager"] = formulas.call(function, a, b)
    compiled, _ = formulas.compiled_call(function, a, b)
    if compiled is not None:
        found["torch.compile"] = compiled
    found["jax, jit"] = lambda: jax.block_until_ready(jitted(u, v))
    return found


def draw(lines: list[dict], path: Path) -> None:
    """Draw time against rows and against bins, for the value and the gradient, and write a PNG file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.2), dpi=110, layout="constrained")
    for row, what in zip(figure.subplots(2, 2), (VALUE, GRADIENT), strict=True):
        for ax, key, fixed in ((row[0], "rows", ("bins", BINS)), (row[1], "bins", ("rows", 1))):
            points = [line for line in lines if line["what"] == what and line[fixed[0]] == fixed[1]]
            for name, style in STYLES.items():
                some = sorted((line[key], line["median_ms"][name]) for line in points if name in line["median_ms"])
                if some:
                    ax.loglog(*zip(*some, strict=True), label=name, ms=4, **style)
            ax.set_title(f"{what}, {f'{BINS:,} bins' if key == 'rows' else 'one pair'}", loc="left", fontweight="bold")
            ax.set(xlabel=key, ylabel="ms")
            ax.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    pictures.save(figure, path, lines)

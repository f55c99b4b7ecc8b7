"""Shared by the experiments: seeds, means, paired comparisons, and the files of results and pages."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.stats
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from ..harness import record, tables

SEEDS = 5

Record = dict[str, Any]


class Paired(NamedTuple):
    """Two methods over the same seeds: the mean and standard deviation of x - y, who won, and how likely by chance."""

    difference: float
    sd: float
    seeds: int
    won: int
    lost: int
    p_t: float
    p_sign: float


def paired(x: Sequence[float], y: Sequence[float], *, higher_wins: bool, overlap: float = 0.0) -> Paired:
    """Compare two methods that met the same seeds.

    Parameters
    ----------
    x, y : sequences of float
        A figure for each seed, in the same order. x is the method in question.
    higher_wins : bool
        Whether the larger figure is the better one.
    overlap : float
        Where seeds are splits of one data set, test rows over training rows: training sets of different seeds then
        share rows, the usual t test takes too little variance for granted, and the variance of the mean is
        ``(1 / seeds + overlap) * variance`` instead (Nadeau and Bengio, Inference for the Generalization Error, 2003).
        0 where seeds are independent draws.

    Returns
    -------
    Paired
        p values are two-sided: of the paired t test and of the sign test, ties left out. 1 where all differences are
        0. The sign test takes seeds to be independent.
    """
    difference = np.asarray(x, float) - np.asarray(y, float)
    if difference.ndim != 1 or len(difference) < 2 or not np.isfinite(difference).all():
        raise ValueError(f"paired needs finite figures of two seeds or more, got the differences {difference}")
    sign = np.sign(difference) if higher_wins else -np.sign(difference)
    won, lost = int((sign > 0).sum()), int((sign < 0).sum())
    mean, sd, seeds = float(difference.mean()), float(difference.std(ddof=1)), len(difference)
    error = sd * np.sqrt(1 / seeds + overlap)
    p_t = float(2 * scipy.stats.t.sf(abs(mean) / error, seeds - 1)) if error else float(mean == 0)
    p_sign = float(scipy.stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0
    return Paired(mean, sd, seeds, won, lost, p_t, p_sign)


def holm(p: Sequence[float]) -> list[float]:
    """Return p values adjusted for how many there are, by Holm's method; in the order given."""
    p = np.asarray(p, float)
    order = np.argsort(p)
    steps = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted.tolist()


def mean_and_sd(values: Sequence[float]) -> str:
    """Return a mean and a standard deviation over seeds, such as 0.512 ± 0.013."""
    values = np.asarray(values, float)
    sd = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return f"{tables.number(float(values.mean()))} ± {tables.number(sd)}"


def by_seed(records: Iterable[Record], figure: str, **where: object) -> np.ndarray:
    """Return a figure of the records in which each name of `where` has its value, in the order of their seeds.

    Raises
    ------
    ValueError
        If there is no such record, or two of one seed.
    """
    found = {}
    for one in records:
        if all(one.get(name) == value for name, value in where.items()):
            if one["seed"] in found:
                raise ValueError(f"two records of seed {one['seed']} with {where}")
            found[one["seed"]] = one[figure]
    if not found:
        raise ValueError(f"no record with {where}")
    return np.array([found[seed] for seed in sorted(found)])


def names(records: Iterable[Record], name: str) -> list[Any]:
    """Return the values that records have under a name, each once, in the order in which they come."""
    return list(dict.fromkeys(one[name] for one in records))


def comparison(
    records: Sequence[Record],
    figure: str,
    against: str,
    *,
    higher_wins: bool,
    overlap: float = 0.0,
    methods: Sequence[str] | None = None,
    **where: object,
) -> dict[str, Paired]:
    """Compare each method with one of them, over the seeds that they share."""
    chosen = [one for one in records if all(one.get(name) == value for name, value in where.items())]
    reference = by_seed(chosen, figure, method=against)
    others = [method for method in methods or names(chosen, "method") if method != against]
    return {
        method: paired(by_seed(chosen, figure, method=method), reference, higher_wins=higher_wins, overlap=overlap)
        for method in others
    }


def p_value(p: float) -> str:
    """Return a p value as text."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def versus(found: Paired, p: float | None = None) -> str:
    """Return a comparison as a cell: the difference, how many seeds won, and the p value of the t test (or `p`)."""
    sign = "+" if found.difference > 0 else ""
    p = found.p_t if p is None else p
    return f"{sign}{tables.number(found.difference)}, won {found.won}/{found.seeds}, {p_value(p)}"


def seeded(seed: int) -> np.random.Generator:
    """Seed torch, and return numpy's generator for the same seed."""
    torch.manual_seed(seed)
    return np.random.default_rng(seed)


def track(items: Sequence[Any], what: str) -> Iterator[Any]:
    """Go through items and show a progress bar on the error stream; a line for each item where that is a file."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=len(items))
        for k, item in enumerate(items, 1):
            yield item
            bar.advance(task)
            if not console.is_terminal:
                console.print(f"{time.strftime('%H:%M:%S')} {what} {k}/{len(items)}: {item}", highlight=False)


def show(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table."""
    made = Table(*head, title=title)
    for cells in rows:
        made.add_row(*cells)
    Console().print(made)


def measured(run: Callable[..., Record], options: Any, packages: tuple[str, ...]) -> Record:
    """Run an experiment, and put at the head of its result when, where and with what."""
    head, begin = record.here_and_now(packages), time.perf_counter()
    result = run(options)
    head |= {"threads": torch.get_num_threads(), "quick": options.quick, "seeds": options.seeds}
    return head | {"seconds": time.perf_counter() - begin} | result


def save(result: Record, name: str, folder: Path) -> Path:
    """Write ``paper-<name>.json``, each record on a line, and return its path; a NaN in a result is an error."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"paper-{name}.json"
    head = json.dumps(result | {"records": []}, indent=1, ensure_ascii=False, allow_nan=False)
    lines = ",\n".join(json.dumps(one, ensure_ascii=False, allow_nan=False) for one in result.get("records", ()))
    path.write_text(head.replace('"records": []', f'"records": [\n{lines}\n ]') + "\n", encoding="utf-8")
    return path


def write(experiment: Any, name: str, results: Path, pages: Path) -> tuple[Path, ...]:
    """Make the table and the pictures of an experiment out of its JSON file alone, and return their paths."""
    path = results / f"paper-{name}.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; make it with: python -m benchmarks.paper {name}")
    result = json.loads(path.read_text(encoding="utf-8"))
    pages.mkdir(parents=True, exist_ok=True)
    page = pages / f"paper-{name}.md"
    head = "<!-- made by python -m benchmarks.paper tables; do not edit -->"
    page.write_text("\n\n".join([head, experiment.page(result), tables.provenance(result)]) + "\n", encoding="utf-8")
    if hasattr(experiment, "PICTURES"):
        drawn = {pages / f"paper-{name}-{one}.png": draw for one, draw in experiment.PICTURES.items()}
    else:
        drawn = {pages / f"paper-{name}.png": experiment.draw}
    for picture, draw in drawn.items():
        draw(result, picture)
    return (page, *drawn)

"""Classifiers of WordNet's glosses over the tree of nouns, with 5, 10 and 25 glosses a class to learn from.

The paper trains on 50 pictures for each of ImageNet's 1,000 classes and says that its relaxed distance beats cross
entropy in top-1 accuracy. Here classes are the lowest nouns with 40 others below them, and the glosses of those are
told apart by a small net on bags of words.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fastemd as fe

from .. import runs
from . import page as wordnet_page
from .data import PLACE, Task, drawn, features, task
from .losses import METHODS, Method
from .training import Net, Part, Training, scores, trained, tuned

PACKAGES = ("scikit-learn", "matplotlib")
page, draw = wordnet_page.page, wordnet_page.draw


@dataclass(frozen=True)
class Sizes:
    """How large everything is. Each method tries as many settings: rates, or half as many rates for each weight."""

    least: int = 40
    at_most: int | None = None
    train: tuple[int, ...] = (5, 10, 25)
    validation: int = 5
    test: int = 10
    rates: tuple[float, ...] = (0.003, 0.006, 0.01, 0.03, 0.06, 0.1)
    rates_with_weights: tuple[float, ...] = (0.003, 0.01)
    training: Training = field(default_factory=Training)


FULL = Sizes()
QUICK = Sizes(
    at_most=8, train=(3, 6), rates=(0.01, 0.02, 0.03), rates_with_weights=(0.02,),
    training=Training(hidden=8, batch=16, epochs=3, patience=2),
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=PLACE, metavar="FILE", help="WordNet's data.noun")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="keep each run there, and take from it what it has")


def settings(method: Method, sizes: Sizes) -> list[tuple[float, float | None]]:
    """Rates and weights to try."""
    rates = sizes.rates if method.weights == (None,) else sizes.rates_with_weights
    return [(rate, weight) for weight in method.weights for rate in rates]


class Bench:
    """The task, with the glosses for tuning set aside: those of the validation part are in no other."""

    def __init__(self, given: Task, sizes: Sizes) -> None:
        self.given, self.sizes = given, sizes
        self.validation, self.tuning = drawn(given.members, (sizes.validation, max(sizes.train)), runs.seeded(0))
        aside = set(self.validation.flat)
        self.pool = [np.array([i for i in glosses if i not in aside]) for glosses in given.members]

    def part(self, rows: Any, count: int) -> Part:
        return Part(rows, torch.arange(self.given.tree.n).repeat_interleave(count))

    def parts(self, train: np.ndarray, other: np.ndarray) -> tuple[Part, Part]:
        rows = features(self.given.glosses, train, other)
        return self.part(rows[0], train.shape[1]), self.part(rows[1], other.shape[1])

    def net(self, part: Part, seed: int) -> Net:
        """A net that starts alike for every loss."""
        runs.seeded(seed)
        return Net(part.rows.shape[1], self.given.tree.n, self.sizes.training)

    def tune(self, train: int, method: Method) -> list[runs.Record]:
        """Try all settings of a method."""
        part, validation = self.parts(self.tuning[:, :train], self.validation)
        tried = []
        for rate, weight in settings(method, self.sizes):
            loss, begin = method.make(self.given.tree, weight), time.process_time()
            found = tuned(self.net(part, 0), loss, part, validation, rate, self.sizes.training)
            seconds = time.process_time() - begin
            tried.append({"rate": rate, "weight": weight, **found._asdict(), "seconds": seconds})
        return [{"train": train, "method": method.name, **one} for one in tried]

    def test(self, train: int, method: Method, seed: int, best: runs.Record) -> runs.Record:
        """Train with the best setting on a seed's own glosses, and look at its test part."""
        test, largest = drawn(self.pool, (self.sizes.test, max(self.sizes.train)), np.random.default_rng(seed))
        part, test = self.parts(largest[:, :train], test)
        net, begin = self.net(part, seed), time.process_time()
        loss = method.make(self.given.tree, best["weight"])
        trained(net, loss, part, best["rate"], best["epochs"], self.sizes.training)
        seconds = time.process_time() - begin
        found = scores(net.answers(test.rows), test.classes, self.given.tree)
        return {"train": train, "method": method.name, "seed": seed, **found, "seconds": seconds}


class Kept:
    """Records by name, in a file where one is named, so that a run that was broken off goes on."""

    def __init__(self, path: Path | None, about: runs.Record) -> None:
        self.path, self.found = path, {}
        if path is not None and path.exists():
            head, *lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
            if head != json.loads(json.dumps(about)):
                raise ValueError(f"{path} is of a run of other sizes. Needed: one of {about}; name another file")
            self.found = {name: made for name, made in lines}
        elif path is not None:
            path.write_text(json.dumps(about) + "\n", encoding="utf-8")

    def get(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self.found:
            self.found[name] = make()
            if self.path is not None:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([name, self.found[name]]) + "\n")
        return self.found[name]


def run(options: argparse.Namespace) -> runs.Record:
    """Tune every method for each number of glosses, then train it with every seed; then the controls.

    A control is cross entropy with the rate and the epochs of another loss: what is left of that loss's lead is not the
    luck of its schedule.
    """
    fe.set_num_threads(1)
    sizes = QUICK if options.quick else FULL
    given = task(options.data, least=sizes.least, at_most=sizes.at_most)
    about = asdict(sizes) | {"weights": {method.name: method.weights for method in METHODS}}
    bench, kept = Bench(given, sizes), Kept(options.resume, about)
    jobs = [(train, method) for train in sizes.train for method in METHODS]
    tries, chosen = [], {}
    for train, method in runs.track(jobs, "tuned"):
        found = kept.get(f"tune {train} {method.name}", partial(bench.tune, train, method))
        chosen[train, method.name] = max(found, key=lambda one: one["top1"])
        tries += found
    records, controls, plain = [], [], METHODS[0]
    for seed, (train, method) in runs.track(list(product(range(1, options.seeds + 1), jobs)), "seeds"):
        best = chosen[train, method.name]
        records.append(kept.get(f"test {train} {method.name} {seed}", partial(bench.test, train, method, seed, best)))
    weighted = [(train, method) for train, method in jobs if method.weights != (None,)]
    for seed, (train, method) in runs.track(list(product(range(1, options.seeds + 1), weighted)), "controls"):
        setting = chosen[train, method.name] | {"weight": None}
        made = kept.get(f"control {train} {method.name} {seed}", partial(bench.test, train, plain, seed, setting))
        controls.append(made | {"method": f"{plain.name} as {method.name}"})
    result = {"task": _facts(given), "sizes": about, "tries": tries, "chosen": list(chosen.values())}
    seconds = sum(one["seconds"] for one in (*tries, *records, *controls))  # of runs that were kept, too
    return result | {"records": records, "controls": controls, "seconds": seconds}


def _facts(given: Task) -> runs.Record:
    ways = given.tree.cost_matrix()[~np.eye(given.tree.n, dtype=bool)]
    return {
        "classes": given.tree.n,
        "nodes": given.tree.n_nodes,
        "glosses": len(given.glosses),
        "diameter": given.tree.diameter,
        "mean_distance": float(ways.mean()),
        "masked": len(given.masked),
        "named": given.named,
        "words": float(np.mean([len(gloss) for gloss in given.glosses])),
        "empty": float(np.mean([not gloss for gloss in given.glosses])),
    }

"""Small nets over ordered classes, of real data: which loss gives the better answers, with all rows and with few.

Every loss trains the same net on the same batches from the same start, with the same number of trials of its settings.
For each figure the best trial, and the best moment of it, is chosen on the validation rows by that figure; what is
reported is that choice on the test rows, which take no part in it.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import runs
from . import data as ordinal_data
from . import losses
from .data import Data
from .losses import METHODS, Method, figures
from .page import CHOSEN_BY, HIGHER, draw, page

__all__ = ["PACKAGES", "add_arguments", "draw", "page", "run"]

PACKAGES = ("scikit-learn", "statsmodels", "coral-pytorch")
SIZES = {"all rows": None, "100 rows": 100}
HIDDEN = 32
BATCH = 64


class Trials(NamedTuple):
    """Settings that are tried, each of shape (seeds, trials): step size, weight decay, weight of the distance."""

    rate: Tensor
    decay: Tensor
    weight: Tensor


def trials(seeds: int, count: int) -> Trials:
    """Settings drawn evenly on a logarithmic scale; every method gets the same ones."""

    def drawn(k: int, low: float, high: float) -> Tensor:
        even = np.random.default_rng([k, count]).random((seeds, count))
        return torch.from_numpy(low * (high / low) ** even).float()

    return Trials(drawn(0, 3e-4, 3e-2), drawn(1, 1e-3, 10.0), drawn(2, 0.1, 10.0))


class Nets:
    """A net of one hidden layer for each seed and trial, trained together by Adam with decoupled weight decay."""

    def __init__(self, inputs: int, method: Method, settings: Trials) -> None:
        self.settings, seeds = settings, len(settings.rate)
        shapes = [(inputs, HIDDEN), (1, HIDDEN), (HIDDEN, method.outputs), (1, method.outputs)]
        self.weights = [self._drawn(seeds, k, shape, shapes[k - k % 2][0]) for k, shape in enumerate(shapes)]
        if isinstance(method, losses.Coral):  # as its authors begin: a threshold for each border
            start = torch.arange(method.bins - 1, 0, -1).float() / (method.bins - 1)
            self.weights[3] = start.expand(*settings.rate.shape, 1, -1).clone()
        for w in self.weights:
            w.requires_grad_()
        self.mean = [torch.zeros_like(w) for w in self.weights]
        self.square = [torch.zeros_like(w) for w in self.weights]
        self.t = 0

    def _drawn(self, seeds: int, k: int, shape: tuple[int, int], fan_in: int) -> Tensor:
        even = np.stack([np.random.default_rng([seed, k]).uniform(-1, 1, shape) for seed in range(seeds)])
        one = torch.from_numpy(even / fan_in**0.5).float()
        return one[:, None].repeat(1, self.settings.rate.shape[1], 1, 1)

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs (seeds, trials, rows, k) of rows (seeds, rows, features)."""
        first, first_bias, second, second_bias = self.weights
        return (x[:, None] @ first + first_bias).relu() @ second + second_bias

    def step(self, loss: Tensor) -> None:
        """One step of Adam, with each net's own step size and weight decay."""
        self.t += 1
        rate, decay = self.settings.rate[..., None, None], self.settings.decay[..., None, None]
        with torch.no_grad():
            for k, (w, g) in enumerate(zip(self.weights, torch.autograd.grad(loss, self.weights), strict=True)):
                self.mean[k].lerp_(g, 0.1)
                self.square[k].lerp_(g * g, 0.001)
                slope = (self.mean[k] / (1 - 0.9**self.t)) / ((self.square[k] / (1 - 0.999**self.t)).sqrt() + 1e-8)
                w -= rate * (slope + (decay * w if k % 2 == 0 else 0))


def measured(
    method: Method, data: Data, rows: int | None, seeds: int, count: int, steps: int, every: int
) -> list[dict]:
    """Train nets for all seeds and trials, and return the figures of those that validation chooses, for each seed."""
    parts = [ordinal_data.splits(data, seed, rows) for seed in range(seeds)]
    (x, y), validation, test = (
        (torch.from_numpy(np.stack([p[k].x for p in parts])), torch.from_numpy(np.stack([p[k].y for p in parts])))
        for k in range(3)
    )
    settings, length = trials(seeds, count), y.shape[1]
    batches = np.stack(
        [np.random.default_rng([seed, 7]).integers(length, size=(steps, BATCH)) for seed in range(seeds)]
    )
    nets, place = Nets(x.shape[-1], method, settings), torch.arange(seeds)[:, None]
    seen: list[tuple[dict, dict]] = []
    for t in range(steps):
        chosen = torch.from_numpy(batches[:, t])
        out = nets(x[place, chosen])
        nets.step(method.loss(out, y[place, chosen][:, None].expand(out.shape[:3]), settings.weight))
        if (t + 1) % every == 0:
            with torch.no_grad():
                error = method.error(nets(x), y[:, None]) if isinstance(method, losses.SquaredError) else None
                seen.append(tuple(_figures(method, nets, part, error) for part in (validation, test)))
    return [chosen_figures(seen, seed, settings, every) for seed in range(seeds)]


def _figures(method: Method, nets: Nets, part: tuple[Tensor, Tensor], error: Tensor | None) -> dict[str, Tensor]:
    x, y = part
    p = method.probabilities(nets(x), error)
    return figures(p, y[:, None].expand(p.shape[:3]))


def chosen_figures(seen: list[tuple[dict, dict]], seed: int, settings: Trials, every: int) -> dict:
    """Of a seed, the test figures at the moment and trial that are best in validation; the earliest of equals."""
    found: dict[str, object] = {}
    for figure, by in CHOSEN_BY.items():
        worth = torch.stack([validation[by][seed] for validation, _ in seen])
        at = int((worth if by in HIGHER else -worth).argmax())
        moment, trial = divmod(at, worth.shape[1])
        found[figure] = float(seen[moment][1][figure][seed, trial])
        if figure == by:
            found[f"{figure}, chosen"] = {
                "steps": (moment + 1) * every,
                **{name: float(f"{float(value[seed, trial]):.3g}") for name, value in settings._asdict().items()},
            }
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trials", type=int, default=12, help="settings that each loss tries (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=400, help="of training (default: %(default)s)")
    parser.add_argument("--data", nargs="*", choices=ordinal_data.LOADERS, default=list(ordinal_data.LOADERS))
    parser.set_defaults(seeds=10)


def run(options: argparse.Namespace) -> runs.Record:
    """Every loss on every data set, with all rows and with few."""
    count, steps = (2, 40) if options.quick else (options.trials, options.steps)
    absent, data = losses.missing(), {}
    for name in options.data:
        try:
            data[name] = ordinal_data.LOADERS[name]()
        except ModuleNotFoundError as error:
            absent[name] = str(error)
    cases = [(name, size, method) for name in data for size in SIZES for method in METHODS if method not in absent]
    records = []
    for name, size, method in runs.track(cases, "trainings"):
        one = data[name]
        found = measured(METHODS[method](one.bins), one, SIZES[size], options.seeds, count, steps, max(steps // 16, 1))
        case = {"data": name, "size": size, "method": method}
        records += [case | {"seed": seed} | figures for seed, figures in enumerate(found)]
    about = {
        name: {"what": one.what, "rows": len(one.y), "features": one.x.shape[1], "bins": one.bins}
        for name, one in data.items()
    }
    return {"trials": count, "steps": steps, "data": about, "absent": absent, "records": records}

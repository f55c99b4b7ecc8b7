"""The paper's training on few pictures a class, as a script for a folder of pictures that you have.

No result of it is claimed: it has been run on a handful of made-up pictures only, to see that it works from end to end.
The folder is as torchvision's ImageFolder has it, train/<WordNet id>/*.JPEG and val/<WordNet id>/*.JPEG.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import fastemd as fe
from fastemd.torch import emd_loss

from .. import runs
from .data import Files, Pictures, class_names, drawn, pictures, tree_of
from .net import resnet18
from .page import draw, page

__all__ = ["PACKAGES", "add_arguments", "draw", "page", "run"]

PACKAGES = ("pillow",)
Loss = Callable[[Tensor, Tensor], Tensor]


class Method(NamedTuple):
    """Whether cross entropy is in the sum, and the exponent of the distance that is, if one is."""

    entropy: bool
    rho: float | None

    def loss(self, tree: fe.Tree, weight: float | None) -> Loss:
        """The loss of logits and classes; the distance has the size of cross entropy for an even prediction."""
        if self.rho is None:
            return nn.functional.cross_entropy
        every = torch.arange(tree.n)
        even = emd_loss(torch.zeros(tree.n, tree.n), every, tree, rho=self.rho).item()
        scale = math.log(tree.n) / even * (weight or 1.0)

        def of(logits: Tensor, y: Tensor) -> Tensor:
            distance = scale * emd_loss(logits, y, tree, rho=self.rho)
            return distance + nn.functional.cross_entropy(logits, y) if self.entropy else distance

        return of


METHODS = {
    "cross entropy": Method(True, None),
    "EMD rho 1": Method(False, 1),
    "EMD rho 2": Method(False, 2),
    "cross entropy + rho 1": Method(True, 1),
    "cross entropy + rho 2": Method(True, 2),
}


def settings(method: Method, rates: list[float], weights: list[float]) -> list[tuple[float, float | None]]:
    """Rates and weights to try, as many for each method: a sum tries every so many-th rate with each weight."""
    if method.entropy and method.rho is not None:
        return [(rate, weight) for rate in rates[:: len(weights)] for weight in weights]
    return [(rate, None) for rate in rates]


class Trainer:
    """Trains and judges nets on one folder."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.names = class_names(options.data)
        self.tree = tree_of(self.names)
        self.apart = torch.from_numpy(self.tree.cost_matrix())
        self.found = pictures(options.data / "train", self.names)
        held = pictures(options.data / "val", self.names)
        self.test = Files([p for paths in held for p in paths], [k for k, paths in enumerate(held) for _ in paths])
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def loader(self, files: Files, seed: int, *, training: bool) -> DataLoader:
        return DataLoader(
            Pictures(files, self.options.size, training=training),
            batch_size=self.options.batch,
            shuffle=training,
            num_workers=self.options.workers,
            generator=torch.Generator().manual_seed(seed),
            drop_last=training and len(files.paths) % self.options.batch == 1,  # batch normalisation needs two
        )

    def trained(self, train: Files, loss: Loss, rate: float, seed: int) -> tuple[nn.Module, list[float]]:
        """Train a net by stochastic gradient descent with a cosine schedule; return it and its loss by epoch."""
        runs.seeded(seed)
        net = resnet18(len(self.names), self.options.width).to(self.device)
        loader, epochs = self.loader(train, seed, training=True), self.options.epochs
        optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9, weight_decay=1e-4, nesterov=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        history = []
        for _ in range(epochs):
            net.train()
            total = 0.0
            for x, y in self._batches(loader):
                optimizer.zero_grad()
                value = loss(net(x), y)
                value.backward()
                optimizer.step()
                total += value.item() * len(y)
            schedule.step()
            history.append(total / len(train.paths))
        return net, history

    def scored(self, net: nn.Module, files: Files) -> dict[str, float]:
        """Share of right answers (top1), of those among the first five (top5), mean tree distance of the answer."""
        net.eval()
        first, five, apart = 0, 0, 0.0
        with torch.no_grad():
            for x, y in self._batches(self.loader(files, 0, training=False)):
                answers = net(x).topk(min(5, len(self.names))).indices.cpu()
                y = y.cpu()
                first += int((answers[:, 0] == y).sum())
                five += int((answers == y[:, None]).sum())
                apart += float(self.apart[answers[:, 0], y].sum())
        count = len(files.paths)
        return {"top1": first / count, "top5": five / count, "distance": apart / count}

    def _batches(self, loader: DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in loader:
            yield x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)

    def outcome(self, method: str, rate: float, weight: float | None, seed: int, *, tuning: bool) -> runs.Record:
        """Train once, and judge on the validation pictures when tuning, else on those of val."""
        counts = (self.options.per_class, self.options.validation)
        train, validation = drawn(self.found, counts, seed)
        net, history = self.trained(train, METHODS[method].loss(self.tree, weight), rate, seed)
        worth = self.scored(net, validation if tuning else self.test)
        return {"method": method, "seed": seed, "rate": rate, "weight": weight, "loss": history} | worth


class Kept:
    """Finished trainings in a file of JSON lines, so that a run that was stopped goes on where it was."""

    def __init__(self, path: Path) -> None:
        self.path, self.known = path, {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                key, found = json.loads(line)
                self.known[json.dumps(key)] = found

    def of(self, key: list, make: Callable[[], runs.Record]) -> runs.Record:
        """Return what is kept of a training, or do it and keep it."""
        name = json.dumps(key)
        if name not in self.known:
            self.known[name] = make()
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, self.known[name]]) + "\n")
        return self.known[name]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="with train and val in it")
    parser.add_argument("--per-class", type=int, default=50, help="pictures to train on (default: %(default)s)")
    parser.add_argument("--validation", type=int, default=10, help="pictures a class to tune on (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=100, help="(default: %(default)s)")
    parser.add_argument("--batch", type=int, default=128, help="(default: %(default)s)")
    parser.add_argument("--size", type=int, default=224, help="side of the pictures (default: %(default)s)")
    parser.add_argument("--width", type=int, default=64, help="of the net's first layer (default: %(default)s)")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 0.03, 0.1, 0.3], help="(default: %(default)s)")
    parser.add_argument("--weights", type=float, nargs="+", default=[0.3, 1.0], help="(default: %(default)s)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="LOSS")
    parser.add_argument("--workers", type=int, default=4, help="that load pictures (default: %(default)s)")


def run(options: argparse.Namespace) -> runs.Record:
    """Tune each method on seed 0, then train it on every other seed and judge it on the pictures of val.

    `quick` leaves one epoch and one rate. What is finished is kept in ``paper-imagenet.jsonl`` beside the result.
    """
    if options.quick:
        options.epochs, options.rates, options.weights = 1, options.rates[:1], options.weights[:1]
    trainer = Trainer(options)
    options.results.mkdir(parents=True, exist_ok=True)
    kept = Kept(options.results / "paper-imagenet.jsonl")
    what = [str(options.data), *(getattr(options, name) for name in ("per_class", "validation", "epochs", "batch"))]
    what += [options.size, options.width]

    def outcome(name: str, rate: float, weight: float | None, seed: int, tuning: bool) -> runs.Record:
        return kept.of(
            [*what, name, rate, weight, seed, tuning],
            lambda: trainer.outcome(name, rate, weight, seed, tuning=tuning),
        )

    jobs = [(name, *one) for name in options.methods for one in settings(METHODS[name], options.rates, options.weights)]
    tuned = [outcome(*job, 0, True) for job in runs.track(jobs, "tuning")]
    best = {
        name: max((one for one in tuned if one["method"] == name), key=lambda one: one["top1"])
        for name in options.methods
    }
    pairs = [(seed, name) for seed in range(1, options.seeds + 1) for name in options.methods]
    records = [
        outcome(name, best[name]["rate"], best[name]["weight"], seed, False)
        for seed, name in runs.track(pairs, "trainings")
    ]
    about = {name: getattr(options, name) for name in ("per_class", "validation", "epochs", "batch", "size", "width")}
    return {
        "classes": trainer.tree.n,
        "device_of_torch": str(trainer.device),
        "tuned": tuned,
        "records": records,
    } | about

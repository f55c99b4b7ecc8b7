"""The figures of the page on the method, drawn by `fastemd.plot` into docs/_figures when the pages are built."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import fastemd as fe

FOLDER = Path(__file__).parent / "_figures"
FRONT = Path(__file__).parent / "images" / "front.png"  # committed: README.md shows it
HOURS = [f"{hour}" for hour in range(0, 24, 2)]
ANIMALS = fe.Tree.from_paths(
    ["animal/cat/tabby", "animal/cat/siamese", "animal/dog/beagle", "animal/dog/pug", "vehicle/truck", "vehicle/bus"]
)


def bump(n: int, middle: float, width: float) -> np.ndarray:
    """Return a histogram of n bins with one hump."""
    x = np.exp(-(((np.arange(n) - middle) / width) ** 2))
    return x / x.sum()


PAIRS = {
    "chain": (fe.Chain(10), bump(10, 2.5, 1.5), bump(10, 6.5, 2.0), None),
    "ring": (fe.Ring(12), bump(12, 2.0, 1.5), np.roll(bump(12, 6.0, 1.5), 4), HOURS),
    "tree": (ANIMALS, np.array([0.5, 0.2, 0.1, 0.1, 0.1, 0.0]), np.array([0.0, 0.2, 0.1, 0.3, 0.1, 0.3]), None),
}


def flows() -> Figure:
    """The flow and the potential on a chain, a ring and a tree."""
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    for column, (space, a, b, labels) in zip(figure.subplots(2, 3).T, PAIRS.values(), strict=True):
        fe.plot.flow(a, b, space, labels=labels, ax=column[0])
        fe.plot.potential(a, b, space, labels=labels, ax=column[1])
    return figure


def circulation() -> Figure:
    """The cost on a ring against the circulation, for rho = 1 and rho = 2, and the one that is chosen."""
    space, a, b, _ = PAIRS["ring"]
    prefix = np.cumsum(a - b)
    c = np.linspace(prefix.min() - 0.2, prefix.max() + 0.2, 400)
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    ax = figure.subplots()
    for rho, colour in ((1, "#0072B2"), (2, "#E69F00")):
        cost = (abs(prefix - c[:, None]) ** rho).sum(axis=1)
        ax.plot(c, cost, color=colour, label=f"ρ = {rho}")
        ax.plot(c[cost.argmin()], fe.emd(a, b, space, rho=rho), "o", color=colour)
    ax.set(xlabel="circulation: how much goes all the way round", ylabel="cost")
    ax.legend(frameon=False)
    return figure


def exponents() -> Figure:
    """The value and the gradient when one histogram moves through another, for three exponents."""
    n = 101
    space, b = fe.Chain(positions=np.linspace(0.0, 1.0, n)), bump(n, 50, 8)
    middles = np.linspace(25, 75, 101)
    moved = np.array([bump(n, middle, 8) for middle in middles])
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for rho, colour in ((1, "#0072B2"), (1.5, "#009E73"), (2, "#E69F00")):
        value, gradient = fe.emd_value_and_grad(moved, b, space, rho=rho)
        left.plot(middles / 100, value, color=colour, label=f"ρ = {rho:g}")
        right.plot(middles / 100, np.linalg.norm(gradient, axis=1), color=colour)
    left.set(xlabel="where a is (b is at 0.5)", ylabel="value")
    right.set(xlabel="where a is (b is at 0.5)", ylabel="size of the gradient")
    left.legend(frameon=False)
    return figure


def front() -> Figure:
    """The picture of the home page."""
    figure = Figure(figsize=(10.5, 3.3), layout="constrained")
    for ax, (space, a, b, labels) in zip(figure.subplots(1, 3), PAIRS.values(), strict=True):
        fe.plot.flow(a, b, space, labels=labels, ax=ax)
    return figure


def draw() -> None:
    """Draw all figures."""
    FOLDER.mkdir(exist_ok=True)
    with matplotlib.rc_context({"font.size": 9, "svg.fonttype": "none"}):
        for make in (flows, circulation, exponents):
            make().savefig(FOLDER / f"{make.__name__}.png", dpi=110)


def draw_front(path: Path = FRONT) -> None:
    """Draw the picture of README.md and the home page."""
    with matplotlib.rc_context({"font.size": 9}):
        front().savefig(path, dpi=110)


if __name__ == "__main__":
    draw_front()

"""A chain, drawn from left to right; the numbers of bins stand above it, those of edges hang below."""

from __future__ import annotations

from typing import Any

import numpy as np

from .style import BACKWARD, EDGE, FORWARD, LABELLED, A, B, share


class ChainPicture:
    """The picture of a chain on an Axes. Bins are at their positions, edges between them."""

    directions = ("to the right", "to the left")

    def __init__(self, space: Any, ax: Any) -> None:
        self.ax, self.x = ax, np.asarray(space.positions, float)
        self.width = np.diff(self.x).min(initial=1.0)

    def space(self) -> None:
        """Draw the bins on their line."""
        size = 30.0 if len(self.x) <= LABELLED else 3.0
        self.ax.plot(self.x[[0, -1]], [0.0, 0.0], color=EDGE, lw=1.0, zorder=1)
        self.ax.scatter(self.x, np.zeros(len(self.x)), s=size, color=A, zorder=2)
        self.ax.set(ylim=(-1.0, 1.0), yticks=[])
        self.ax.spines[:].set_visible(False)

    def histograms(self, a: np.ndarray, b: np.ndarray) -> None:
        """Draw two histograms above the line, as shares of their largest bin."""
        both = share(np.stack([a, b]))
        for heights, color in zip(both, (A, B), strict=True):
            if len(self.x) <= LABELLED:
                shift = (-0.2 if color == A else 0.2) * self.width
                self.ax.bar(self.x + shift, heights, 0.4 * self.width, color=color)
            else:
                self.ax.fill_between(self.x, heights, step="mid", color=color, alpha=0.55, lw=0)

    def flow(self, flow: np.ndarray) -> None:
        """Draw the size of the flow over each edge below the line, coloured by its direction."""
        edges, depths = np.repeat(self.x, 2)[1:-1], -np.repeat(share(abs(flow)), 2)
        signs = np.repeat(flow, 2)
        for color, where in ((FORWARD, signs > 0), (BACKWARD, signs < 0)):
            self.ax.fill_between(edges, np.where(where, depths, 0.0), color=color, lw=0)
        self.ax.axhline(0.0, color=EDGE, lw=1.0)
        self.ax.set(ylim=(-1.1, 1.1))

    def potential(self, potential: np.ndarray) -> None:
        """Draw a number for each bin as a line."""
        marker = "o" if len(self.x) <= LABELLED else ""
        self.ax.plot(self.x, potential, color=FORWARD, marker=marker, ms=4)

    def labels(self, names: list[str]) -> None:
        """Write the names of the bins below."""
        self.ax.set_xticks(self.x, names)

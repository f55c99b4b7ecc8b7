"""A tree, drawn from its root at the top to its leaves; heights are distances from the root."""

from __future__ import annotations

from typing import Any

import numpy as np

from .style import COLORS, EDGE, LABELLED, TEXT, WIDEST, A, B, direction_colors, share

BARS = 0.22  # height of the tallest bar, of the tree's height


class TreePicture:
    """The picture of a tree on an Axes: leaves side by side in depth-first order, a parent above their middle."""

    directions = ("to the root", "to the leaves")

    def __init__(self, space: Any, ax: Any) -> None:
        self.ax, self.parent, self.bins = ax, np.asarray(space.parent), np.asarray(space.bins)
        self.y = -_distances(self.parent, np.asarray(space.lengths, float))
        self.x = _columns(space)
        self.height = max(float(-self.y.min(initial=0.0)), 1e-300)
        ax.set(xticks=[], xlim=(-1.0, self.x.max(initial=0.0) + 1.0))
        ax.set_ylabel("distance from the root")
        for side in ("top", "right", "bottom"):
            ax.spines[side].set_visible(False)

    def _edges(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the nodes below edges, and the line of each edge: down from its parent's height, then across."""
        nodes = np.flatnonzero(self.parent >= 0)
        up = self.parent[nodes]
        corners = [(self.x[up], self.y[up]), (self.x[nodes], self.y[up]), (self.x[nodes], self.y[nodes])]
        return nodes, list(np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1))

    def space(self) -> None:
        """Draw the edges and the bins."""
        self._lines(np.zeros(len(self.parent)))
        size = 30.0 if len(self.bins) <= LABELLED else 3.0
        self.ax.scatter(self.x[self.bins], self.y[self.bins], s=size, color=A, zorder=4)
        self._frame(0.05)

    def _frame(self, below: float) -> None:
        self.ax.set_ylim(-self.height * (1.0 + below), 0.08 * self.height)
        self.ax.set_yticks(*_ticks(self.height))

    def _lines(self, flow: np.ndarray) -> None:
        from matplotlib.collections import LineCollection

        nodes, lines = self._edges()
        thin = 1.0 if len(self.bins) <= LABELLED else 0.5
        widths = thin + WIDEST * share(abs(flow[nodes]))
        order = np.argsort(-widths, kind="stable")  # wide ones first: they cover no thin one
        colors = direction_colors(flow[nodes])
        self.ax.add_collection(
            LineCollection(
                [lines[i] for i in order],
                colors=[colors[i] for i in order],
                linewidths=widths[order],
                capstyle="butt",
                joinstyle="miter",
            )
        )

    def histograms(self, a: np.ndarray, b: np.ndarray) -> None:
        """Draw two histograms below the leaves, a upwards and b downwards, as shares of their largest bin."""
        from matplotlib.collections import LineCollection

        middle = -self.height * (1.12 + BARS)
        width = max(0.6, min(8.0, 160.0 / len(self.bins)))
        both = share(np.stack([a, b])) * BARS * self.height
        for heights, color, sign in ((both[0], A, 1.0), (both[1], B, -1.0)):
            x, heights = self.x[self.bins][heights > 0], heights[heights > 0]
            ends = np.stack([np.stack([x, np.full(len(x), middle)], -1), np.stack([x, middle + sign * heights], -1)], 1)
            self.ax.add_collection(LineCollection(list(ends), colors=color, linewidths=width, capstyle="butt"))
        self.ax.plot([-0.5, self.x.max(initial=0.0) + 0.5], [middle, middle], color=EDGE, lw=0.8)
        self._frame(0.2 + 2.0 * BARS)

    def flow(self, flow: np.ndarray) -> None:
        """Draw the flow over each edge as the width of its line, coloured by its direction."""
        self._lines(flow)

    def potential(self, potential: np.ndarray) -> None:
        """Draw the bins in the colours of their numbers."""
        self._lines(np.zeros(len(self.parent)))
        size = 60.0 if len(self.bins) <= LABELLED else 8.0
        where = self.x[self.bins], self.y[self.bins]
        points = self.ax.scatter(*where, c=potential, s=size, cmap=COLORS, zorder=4)
        self.ax.figure.colorbar(points, ax=self.ax, label="potential", shrink=0.8)
        self._frame(0.05)

    def labels(self, names: list[str]) -> None:
        """Write the names of the bins beside them."""
        angle = 90 if sum(map(len, names)) > LABELLED // 2 else 0
        low = self.ax.get_ylim()[0]
        for name, x in zip(names, self.x[self.bins], strict=True):
            self.ax.text(x, low, f"{name} ", rotation=angle, ha="center", va="top", fontsize="small", color=TEXT)


def _distances(parent: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the distance of each node from the root."""
    found, up = np.zeros(len(parent)), np.arange(len(parent))
    while (parent[up] >= 0).any():
        found += np.where(parent[up] >= 0, lengths[up], 0.0)
        up = np.where(parent[up] >= 0, parent[up], up)
    return found


def _columns(space: Any) -> np.ndarray:
    """Return where each node is across: leaves at 0, 1, 2, ..., a parent in the middle of its leaves."""
    _, first, beyond = space.subtrees
    parent = np.asarray(space.parent)
    first, beyond = np.where(parent < 0, 0, first), np.where(parent < 0, space.n_nodes, beyond)
    is_leaf = np.ones(space.n_nodes, bool)
    is_leaf[parent[parent >= 0]] = False
    before = np.zeros(space.n_nodes + 1, np.intp)
    before[first[is_leaf] + 1] = 1
    before = np.cumsum(before)
    return (before[first] + before[beyond] - 1) / 2.0


def _ticks(height: float) -> tuple[list[float], list[str]]:
    """Return where the distance from the root is written, and how."""
    return [0.0, -height / 2, -height], ["0", f"{height / 2:.3g}", f"{height:.3g}"]

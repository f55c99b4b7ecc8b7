"""A ring, drawn as a circle that begins at the top and goes clockwise, as a clock does."""

from __future__ import annotations

from typing import Any

import numpy as np

from .style import COLORS, EDGE, LABELLED, WIDEST, A, B, direction_colors, share

INNER, OUTER = 0.42, 0.5  # how far the bars of b reach inwards and those of a outwards, in radii
ARC = 24  # points of the arc of an edge of a small ring


class RingPicture:
    """The picture of a ring on an Axes. The circle has radius 1, edge i leads from bin i to bin i + 1."""

    directions = ("clockwise", "anticlockwise")

    def __init__(self, space: Any, ax: Any) -> None:
        self.ax, lengths = ax, np.asarray(space.lengths, float)
        around = lengths.sum() or 1.0
        self.angle = 2.0 * np.pi * np.concatenate([[0.0], np.cumsum(lengths)[:-1]]) / around
        self.span = 2.0 * np.pi * lengths / around
        ax.set(aspect="equal", xticks=[], yticks=[], xlim=(-1.75, 1.75), ylim=(-1.75, 1.75))
        ax.axis("off")

    def _points(self, angle: np.ndarray, radius: Any) -> np.ndarray:
        return np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=-1)

    def _arcs(self) -> list[np.ndarray]:
        count = max(2, ARC * LABELLED // max(LABELLED, len(self.angle)))
        parts = np.linspace(0.0, 1.0, count)
        return [self._points(begin + span * parts, 1.0) for begin, span in zip(self.angle, self.span, strict=True)]

    def space(self) -> None:
        """Draw the circle and its bins."""
        from matplotlib.collections import LineCollection

        self.ax.add_collection(LineCollection(self._arcs(), colors=EDGE, linewidths=1.0, zorder=1))
        size = 30.0 if len(self.angle) <= LABELLED else 3.0
        self.ax.scatter(*self._points(self.angle, 1.0).T, s=size, color=A, zorder=4)

    def histograms(self, a: np.ndarray, b: np.ndarray) -> None:
        """Draw a outside of the circle and b inside, as shares of their largest bin."""
        from matplotlib.collections import LineCollection

        width = max(0.6, min(6.0, 240.0 / len(self.angle)))
        for heights, color, begin, reach in (
            (share(np.stack([a, b]))[0], A, 1.08, OUTER),
            (share(np.stack([a, b]))[1], B, 0.92, -INNER),
        ):
            some = heights > 0
            ends = [self._points(self.angle[some], r) for r in (begin, begin + reach * heights[some])]
            bars = LineCollection(list(np.stack(ends, axis=1)), colors=color, linewidths=width, capstyle="butt")
            self.ax.add_collection(bars)

    def flow(self, flow: np.ndarray) -> None:
        """Draw the flow over each edge as the width of its arc, coloured by its direction."""
        from matplotlib.collections import LineCollection

        widths = 1.0 + WIDEST * share(abs(flow))
        order = np.argsort(-widths, kind="stable")
        arcs, colors = self._arcs(), direction_colors(flow)
        arcs, colors = [arcs[i] for i in order], [colors[i] for i in order]
        lines = LineCollection(arcs, colors=colors, linewidths=widths[order], capstyle="butt", zorder=2)
        self.ax.add_collection(lines)

    def potential(self, potential: np.ndarray) -> None:
        """Draw the bins in the colours of their numbers."""
        size = 60.0 if len(self.angle) <= LABELLED else 12.0
        points = self.ax.scatter(*self._points(self.angle, 1.0).T, c=potential, s=size, cmap=COLORS, zorder=4)
        self.ax.figure.colorbar(points, ax=self.ax, label="potential", shrink=0.7)

    def labels(self, names: list[str]) -> None:
        """Write the names of the bins around the circle."""
        for name, (x, y) in zip(names, self._points(self.angle, 1.66), strict=True):
            self.ax.text(x, y, name, ha="center", va="center", fontsize="small")

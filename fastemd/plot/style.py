"""Colours that people with any colour vision can tell apart, and the Axes that is drawn on."""

from __future__ import annotations

from typing import Any

import numpy as np

# Okabe and Ito, Color Universal Design (2008).
A, B = "#0072B2", "#E69F00"  # the two histograms: blue, orange
FORWARD, BACKWARD = "#009E73", "#CC79A7"  # directions of a flow: green, pink
EDGE, TEXT = "#9A9A9A", "#404040"
COLORS = "cividis"
LABELLED = 40  # bins at most whose names are written
WIDEST = 9.0  # points, of the largest flow


def axes(ax: Any) -> Any:
    """Return `ax` or, where it is None, the Axes of a new figure."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(
            "fastemd.plot needs matplotlib, which is not installed. Needed: pip install 'fastemd[plot]'."
        ) from None
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def share(x: np.ndarray) -> np.ndarray:
    """Return numbers divided by the largest of their sizes; zeros stay as they are."""
    largest = float(abs(x).max(initial=0.0))
    return x / largest if largest else np.zeros_like(x)


def direction_colors(flow: np.ndarray) -> list[str]:
    """Return the colour of each flow by its sign; edges without flow are grey."""
    return [FORWARD if f > 0 else BACKWARD if f < 0 else EDGE for f in flow]


def key(ax: Any, entries: list[tuple[str, str]]) -> None:
    """Draw a legend of pairs of colour and text above the Axes."""
    from matplotlib.patches import Patch

    handles = [Patch(color=color, label=text) for color, text in entries]
    options = {"frameon": False, "fontsize": "small", "handlelength": 1.2, "columnspacing": 1.0, "labelspacing": 0.2}
    legend = ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 0.99), ncols=2, **options)
    legend.set_in_layout(False)  # else it takes width from its neighbours

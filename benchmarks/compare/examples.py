"""The first pair of a case, drawn on its space together with the flow between the two histograms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np

from fastemd import reference
from fastemd.reference.flows import parents_first
from fastemd.spaces import Tree

from . import packages
from .cases import Array
from .measure import Comparison

BLUE, ORANGE = "#0072B2", "#D55E00"  # a and b; a flow has the colour of the histogram whose surplus it carries
PALE = 0.35


def draw_chain(figure: Any, comparison: Comparison) -> None:
    """Both histograms in front of each other, and below them what flows through each edge."""
    case = comparison.case
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    bins = np.arange(case.space.n)
    for histogram, colour in ((case.a[0], BLUE), (case.b[0], ORANGE)):
        top.fill_between(bins, 100 * histogram, step="mid", color=colour, alpha=PALE, lw=0)
        top.step(bins, 100 * histogram, where="mid", color=colour, lw=1)
    top.set_ylabel("% of the pixels")
    top.set_ylim(bottom=0)
    _show_patches(top, comparison, ((0.52, 0.53, 0.22, 0.4), (0.76, 0.53, 0.22, 0.4)))

    _draw_flow(below, bins[:-1] + 0.5, comparison, ("to brighter levels", "to darker levels"))
    below.set(xlabel="grey level", xlim=(-1, case.space.n))
    _describe(
        figure, top, comparison, "two histograms, and what flows between neighbouring levels: the area is the EMD"
    )


def draw_ring(figure: Any, comparison: Comparison) -> None:
    """One histogram outside and one inside the circle of hues, and below them what flows through each edge."""
    case = comparison.case
    grid = figure.add_gridspec(2, 1, height_ratios=(2, 1))
    circle, below = figure.add_subplot(grid[0], projection="polar"), figure.add_subplot(grid[1])
    n = case.space.n
    hues = packages.load("matplotlib").colormaps["hsv"](np.arange(n) / n)
    angle, width = 2 * np.pi * (np.arange(n) + 0.5) / n, 2 * np.pi / n
    circle.bar(angle, 0.12, width * 1.1, bottom=0.94, color=hues)
    largest = max(case.a[0].max(), case.b[0].max())
    for histogram, colour, base, outwards in ((case.a[0], BLUE, 1.06, 1), (case.b[0], ORANGE, 0.94, -1)):
        # Square roots, as a few hues hold almost everything.
        circle.bar(angle, outwards * 0.8 * np.sqrt(histogram / largest), width, bottom=base, color=colour)
    reach = 1.1 + 0.8 * np.sqrt(case.a[0].max() / largest)
    circle.set(ylim=(0, reach), yticks=[], xticks=[], theta_zero_location="N", theta_direction=-1)
    circle.spines["polar"].set_visible(False)
    _show_patches(circle, comparison, ((-0.38, 0.64, 0.3, 0.3), (1.08, 0.64, 0.3, 0.3)))

    _draw_flow(below, np.arange(n) + 1.0, comparison, ("to higher hues", "to lower hues"))
    below.set(xlabel="hue in degrees", xlim=(0, n), xticks=range(0, n + 1, 60))
    strip = below.inset_axes((0, 0, 1, 0.05))
    strip.imshow(hues[np.newaxis], aspect="auto")
    strip.axis("off")
    _describe(
        figure,
        circle,
        comparison,
        "two histograms around the circle of hues (square roots), and what flows between neighbouring hues",
    )


def draw_tree(figure: Any, comparison: Comparison) -> None:
    """The part of the tree that mass flows through, edges as thick as their flow: root on the left, leaves right."""
    case, tree, axes = comparison.case, cast(Tree, comparison.case.space), figure.subplots()
    flow = reference.flow(case.a[0], case.b[0], tree)
    part = layout(tree, np.flatnonzero(case.a[0] + case.b[0]))
    for node, above in part.parent.items():
        (x, y), (x_above, y_above) = part.at[node], part.at.get(above, part.at[node])
        axes.plot(
            (x, x_above, x_above),
            (y, y, y_above),
            color=BLUE if flow[node] > 0 else ORANGE,
            lw=0.8 + 12 * abs(flow[node]),
            alpha=0.6,
            solid_capstyle="butt",
        )
    bin_of = {int(node): i for i, node in enumerate(tree.bins)}
    children = list(part.parent.values())
    for node, at in part.at.items():
        lines = [tree.labels[node]] if tree.labels else []
        for histogram, colour, word in zip((case.a[0], case.b[0]), (BLUE, ORANGE), case.labels, strict=True):
            share = histogram[bin_of[node]] if node in bin_of else 0.0
            if share > 0:
                axes.scatter(*at, s=30 + 700 * share, color=colour, edgecolor="white", zorder=3)
                lines.append(f"{100 * share:.0f} % of “{word}”")
        if children.count(node) != 1 or len(lines) > 1:  # an inner node that only passes mass on needs no name
            _name(axes, "\n".join(lines), at, leaf=node not in children, root=part.parent[node] < 0)
    axes.margins(x=0.04, y=0.06)
    axes.axis("off")
    first, second = case.labels
    _describe(
        figure,
        axes,
        comparison,
        f"edges are as thick as their flow: blue where “{first}” has more below them, orange where “{second}” has",
    )


EXAMPLES: dict[str, Callable[[Any, Comparison], None]] = {"chain": draw_chain, "ring": draw_ring, "tree": draw_tree}


class Layout(NamedTuple):
    """A part of a tree: the parent of each of its nodes (-1 for the topmost), and where each is drawn."""

    parent: dict[int, int]
    at: dict[int, tuple[float, float]]


def layout(tree: Tree, bins: Array) -> Layout:
    """Return the smallest part of a tree that joins some bins, laid out with its topmost node at the left.

    Nodes lie as far right as they lie deep, leaves at heights 0, 1, 2, ..., others in the middle of their children.
    """
    below = np.zeros(tree.n_nodes, dtype=np.intp)  # how many of the bins
    below[tree.bins[bins]] = 1
    order = parents_first(tree.parent)
    for node in reversed(order[1:]):
        below[tree.parent[node]] += below[node]
    waiting = [[node for node in order if below[node] == len(bins)][-1]]
    parent: dict[int, int] = {}
    depth: dict[int, int] = {}
    while waiting:  # depth first, so that the leaves come in an order in which no edges cross
        node = waiting.pop()
        parent[node] = int(tree.parent[node]) if parent else -1
        depth[node] = depth.get(parent[node], -1) + 1
        waiting += [int(child) for child in np.flatnonzero(tree.parent == node) if below[child]]

    height: dict[int, float] = {}
    leaves = 0
    for node in parent:
        if node not in parent.values():
            height[node] = float(leaves)
            leaves += 1
    for node in reversed(parent):  # children before parents
        if node not in height:
            under = [height[child] for child, above in parent.items() if above == node]
            height[node] = (min(under) + max(under)) / 2
    return Layout(parent, {node: (float(depth[node]), height[node]) for node in parent})


def _name(axes: Any, text: str, at: tuple[float, float], leaf: bool, root: bool) -> None:
    """Write to the right of a leaf, to the left of the root, and otherwise above the edge that comes from the left."""
    axes.annotate(
        text,
        at,
        (16, 0) if leaf else (-6, 0) if root else (-8, 6),
        textcoords="offset points",
        ha="left" if leaf else "right",
        va="center" if leaf or root else "bottom",
        fontsize=9,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
        zorder=2,
    )


def _draw_flow(axes: Any, at: Array, comparison: Comparison, directions: tuple[str, str]) -> None:
    """Draw the flow through each edge in percent of the mass, upwards and downwards by its direction."""
    case = comparison.case
    flow = 100 * reference.flow(case.a[0], case.b[0], case.space)
    for sign, colour, direction in zip((1, -1), (BLUE, ORANGE), directions, strict=True):
        axes.fill_between(at, sign * np.maximum(sign * flow, 0), color=colour, alpha=PALE, lw=0, label=direction)
    axes.plot(at, flow, color="0.2", lw=1)
    axes.axhline(0, color="0.2", lw=0.6)
    axes.margins(y=0.15)
    axes.set_ylabel("flow, % of the mass")
    axes.legend(title=f"mass of {case.labels[0]} goes", frameon=False, alignment="left")


def _show_patches(axes: Any, comparison: Comparison, boxes: tuple[tuple[float, ...], ...]) -> None:
    """Show the two patches, framed in the colours of their histograms, in boxes given in shares of the axes."""
    case = comparison.case
    for patch, label, colour, box in zip(case.patches or (), case.labels, (BLUE, ORANGE), boxes, strict=False):
        inset = axes.inset_axes(box)
        inset.imshow(patch)
        inset.set(xticks=[], yticks=[])
        inset.set_xlabel(f"of {label}", color=colour)
        inset.spines[:].set(color=colour, linewidth=3)


def _describe(figure: Any, axes: Any, comparison: Comparison, text: str) -> None:
    case = comparison.case
    figure.suptitle(f"{case.title}: an EMD of {comparison.exact[0]:.3g} {case.unit}", fontweight="bold")
    axes.set_title(text, fontsize=9, color="0.35")

"""`fastemd.plot`: `space`, `flow`, `potential` and `plan`, on an Axes of matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import inputs
from ..arrays.bad_rows import CHECKED
from ..exact import api as exact
from ..exact import validation
from ..spaces.base import Space
from . import chain, ring, style, tree

PICTURES = {"chain": chain.ChainPicture, "ring": ring.RingPicture, "tree": tree.TreePicture}


def space(space: Space, *, labels: Sequence[str] | None = None, ax: Any = None) -> Any:
    """Draw a space: its bins and its edges.

    Parameters
    ----------
    space : Chain, Ring or Tree
    labels : sequence of str, optional
        A name for each bin, written where there are at most 40 bins. By default those of a tree that has some.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        Without matplotlib.
    TypeError, ValueError
        If arguments do not fit.

    Notes
    -----
    A chain is a line, its bins at their positions. A ring is a circle that begins at the top and goes clockwise. A tree
    has its root at the top; heights are distances from it. Time O(n).

    Examples
    --------
    >>> import fastemd as fe
    >>> ax = fe.plot.space(fe.Ring(12), labels=[f"{month}" for month in range(1, 13)])
    """
    picture = _picture(space, ax)
    picture.space()
    _write_labels(picture, space, labels)
    return picture.ax


def flow(
    a: ArrayLike,
    b: ArrayLike,
    space: Space,
    *,
    mass: str = "equal",
    labels: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draw two histograms and what flows over each edge from one to the other.

    Parameters
    ----------
    a, b : array_like, shape (n,)
        One pair of histograms, as for `fastemd.flow`.
    space : Chain, Ring or Tree
    mass : {"equal", "normalize", "root"}, optional
        As for `fastemd.flow`.
    labels : sequence of str, optional
        As for `fastemd.plot.space`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        Without matplotlib.
    TypeError, ValueError
        If arguments do not fit, as for `fastemd.flow`, and for more than one pair.

    Notes
    -----
    Bars are shares of the largest bin of both histograms; sizes of flows are shares of the largest flow. The title has
    the distance ``sum(length * abs(flow))``. Colours tell the two directions apart. Time O(n).

    Examples
    --------
    >>> import fastemd as fe
    >>> ax = fe.plot.flow([0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5], fe.Chain(4))
    >>> ax.get_title()
    'EMD = 2'
    """
    x, y = _pair(a, b, space)
    over = np.asarray(_computed(exact.flow, x, y, space, mass=mass), float)
    value = float(exact.emd(x, y, space, mass=mass))
    picture = _picture(space, ax)
    picture.flow(over)
    picture.histograms(*(z / z.sum() for z in (x, y)) if mass == "normalize" else (x, y))
    _write_labels(picture, space, labels)
    if space.kind == "chain":
        largest = f"{abs(over).max(initial=0.0):.3g}", f"{max(x.max(initial=0.0), y.max(initial=0.0)):.3g}"
        picture.ax.set_yticks([-1.0, 0.0, 1.0], [f"flow {largest[0]}", "0", f"mass {largest[1]}"])
    forward, backward = picture.directions
    entries = [(style.A, "a"), (style.B, "b")]
    entries += [(style.FORWARD, f"flow {forward}")] if (over > 0).any() else []
    entries += [(style.BACKWARD, f"flow {backward}")] if (over < 0).any() else []
    style.key(picture.ax, entries)
    picture.ax.set_title(f"EMD = {value:.4g}", pad=30)
    return picture.ax


def potential(
    a: ArrayLike,
    b: ArrayLike,
    space: Space,
    *,
    rho: float = 1,
    mass: str = "equal",
    labels: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draw the potential: how the distance changes when a bin of a gets more mass.

    Parameters
    ----------
    a, b, space, mass, labels, ax
        As for `fastemd.plot.flow`.
    rho : float, optional
        Exponent of the flow.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError, TypeError, ValueError
        As for `fastemd.plot.flow`.

    Notes
    -----
    On a chain a line over the bins; on a ring and a tree the colours of the bins. Time O(n).

    Examples
    --------
    >>> import fastemd as fe
    >>> ax = fe.plot.potential([0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5], fe.Chain(4), rho=2)
    >>> ax.get_ylabel()
    'potential'
    """
    x, y = _pair(a, b, space)
    numbers = np.asarray(_computed(exact.potential, x, y, space, rho=rho, mass=mass), float)
    picture = _picture(space, ax)
    if space.kind == "ring":
        picture.space()
    picture.potential(numbers)
    _write_labels(picture, space, labels)
    if space.kind == "chain":
        picture.ax.set_ylabel("potential")
    picture.ax.set_title(f"potential, ρ = {rho:g}")
    return picture.ax


def plan(
    a: ArrayLike,
    b: ArrayLike,
    space: Space,
    *,
    mass: str = "equal",
    labels: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draw an optimal plan: how much goes from each bin of a to each bin of b.

    Parameters
    ----------
    a, b, space, labels, ax
        As for `fastemd.plot.flow`.
    mass : {"equal", "normalize"}, optional
        As for `fastemd.plan`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError, TypeError, ValueError
        As for `fastemd.plan`, and for more than one pair.

    Notes
    -----
    A square for each entry of the plan; areas and colours are masses. Time O(n), entries at most 2 n - 1.

    Examples
    --------
    >>> import fastemd as fe
    >>> ax = fe.plot.plan([0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5], fe.Chain(4))
    >>> ax.get_xlabel()
    'bin of b'
    """
    x, y = _pair(a, b, space)
    entries = _computed(exact.plan, x, y, space, mass=mass).tocoo()
    rows, columns = entries.coords
    axes = style.axes(ax)
    box = axes.get_window_extent()
    side = 72.0 / axes.figure.dpi * min(box.width, box.height) / space.n  # points of a bin
    sizes = np.maximum(0.9 * side * np.sqrt(style.share(np.asarray(entries.data, float))), 1.5) ** 2
    points = axes.scatter(columns, rows, s=sizes, c=entries.data, marker="s", cmap=style.COLORS)
    axes.figure.colorbar(points, ax=axes, label="mass", shrink=0.8)
    axes.set(xlim=(-0.5, space.n - 0.5), ylim=(space.n - 0.5, -0.5), aspect="equal")
    axes.set(xlabel="bin of b", ylabel="bin of a")
    names = _names(space, labels)
    if names:
        axes.set_xticks(range(space.n), names, rotation=90)
        axes.set_yticks(range(space.n), names)
    return axes


def _picture(space: Space, ax: Any) -> Any:
    space = validation.space_of(space)
    return PICTURES[space.kind](space, style.axes(ax))


def _computed(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return what a function computes; its error texts lose the advice of an argument that plots lack."""
    try:
        return function(*arguments, **options)
    except ValueError as error:
        raise ValueError(str(error).replace(CHECKED, "")) from None


def _pair(a: ArrayLike, b: ArrayLike, space: Space) -> tuple[np.ndarray, np.ndarray]:
    """Return one pair of histograms in float64, in host memory."""
    space = validation.space_of(space)
    pair = []
    for x, name in ((a, "a"), (b, "b")):
        array = inputs.histograms(inputs.host_array(x, name), name, space)
        if array.ndim != 1:
            first = f"{name}[{', '.join('0' * (array.ndim - 1))}]"
            raise ValueError(f"{name} has shape {array.shape}. Needed: one histogram, ({space.n},); try {first}.")
        pair.append(np.asarray(array, np.float64))
    return pair[0], pair[1]


def _names(space: Any, labels: Sequence[str] | None) -> list[str] | None:
    """Return the names of the bins to write, None where there are too many or none."""
    if labels is None:
        if space.n > style.LABELLED or getattr(space, "labels", None) is None:
            return None
        labels = space.bin_labels
    if len(labels) != space.n:
        raise ValueError(f"labels has {len(labels)} names. Needed: {space.n}, a name for each bin.")
    return [str(name) for name in labels] if space.n <= style.LABELLED else None


def _write_labels(picture: Any, space: Space, labels: Sequence[str] | None) -> None:
    names = _names(space, labels)
    if names:
        picture.labels(names)

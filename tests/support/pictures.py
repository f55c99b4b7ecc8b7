"""The pictures that `fastemd.plot` is compared by: ``python -m tests.support.pictures`` draws them anew.

Text is left out, since fonts differ from machine to machine.
"""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.testing.decorators import remove_ticks_and_titles

import fastemd as fe

FOLDER = Path(__file__).parents[1] / "plot" / "baseline"
SMALL = {
    "chain": fe.Chain(10),
    "ring": fe.Ring(10),
    "tree": fe.Tree.from_paths([f"{a}/{b}/{c}" for a in "xyz" for b in "pq" for c in ("uv" if a < "z" else "u")]),
}
LARGE = {"chain": fe.Chain(1000), "ring": fe.Ring(1000), "tree": fe.Tree.imagenet()}
KINDS = ("space", "flow", "potential", "plan")
CASES = [(kind, name, size) for kind in KINDS for name in SMALL for size in ("small", "large")]


def pair(n):
    """Two histograms of n bins, the same on every machine."""
    x = (np.arange(n) + 0.5) / n
    a, b = np.exp(-(((x - 0.3) / 0.1) ** 2)), np.exp(-(((x - 0.7) / 0.2) ** 2)) + 0.2 * (np.arange(n) % 3 == 0)
    return a / a.sum(), b / b.sum()


def draw(kind, name, size, ax):
    """Draw a case on an Axes."""
    space = (SMALL if size == "small" else LARGE)[name]
    arguments = (space,) if kind == "space" else (*pair(space.n), space)
    return getattr(fe.plot, kind)(*arguments, ax=ax)


def rendered(kind, name, size):
    """The picture of a case without its text, as an array (height, width, 3) of numbers up to 255."""
    with matplotlib.rc_context(matplotlib.rcParamsDefault | {"backend": "agg"}):
        figure = Figure(figsize=(3, 2.4), dpi=80)
        canvas = FigureCanvasAgg(figure)
        ax = draw(kind, name, size, figure.add_axes((0.05, 0.05, 0.8, 0.85)))
        remove_ticks_and_titles(figure)
        for part in figure.axes:
            part.set(xlabel="", ylabel="")
        if ax.get_legend() is not None:
            ax.get_legend().remove()
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def path_of(kind, name, size):
    """Where the picture of a case is kept."""
    return FOLDER / f"{kind}-{name}-{size}.png"


if __name__ == "__main__":
    import matplotlib.image

    FOLDER.mkdir(exist_ok=True)
    for case in CASES:
        matplotlib.image.imsave(path_of(*case), rendered(*case).astype(np.uint8))

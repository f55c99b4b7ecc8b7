"""`fastemd.plot` draws what `fastemd` computes; pictures stay as they were looked at."""

import sys

import matplotlib.collections
import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pytest

import fastemd as fe
from tests.support import pictures
from tests.support.pictures import CASES, LARGE, SMALL, pair, path_of

NAMES = pytest.mark.parametrize("name", SMALL)


@pytest.fixture(autouse=True)
def closed():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def segments(ax):
    """The line collection with the widest lines of an Axes."""
    lines = [part for part in ax.collections if isinstance(part, matplotlib.collections.LineCollection)]
    return max(lines, key=lambda part: max(part.get_linewidths()))


# --- Pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name", "size"), CASES)
def test_picture_is_the_one_that_was_looked_at(kind, name, size):
    found = pictures.rendered(kind, name, size)
    expected = (255 * matplotlib.image.imread(path_of(kind, name, size))[..., :3]).round().astype(int)
    assert found.shape == expected.shape
    off = abs(found - expected).mean()
    blank = abs(expected - 255).mean()
    # Versions of matplotlib differ at the rims of lines; another picture differs as much as from a blank one.
    assert off < 0.25 * blank, f"python -m tests.support.pictures draws it anew ({off:.2f} of {blank:.2f})"


# --- What is drawn is what is computed --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ring", "tree"])
def test_widths_and_colours_of_edges_are_those_of_the_flow(name):
    space = SMALL[name]
    a, b = pair(space.n)
    flow = fe.flow(a, b, space)
    flow = flow[np.asarray(space.parent) >= 0] if name == "tree" else flow
    lines = segments(fe.plot.flow(a, b, space))
    widths = np.sort(lines.get_linewidths())
    np.testing.assert_allclose(widths - widths[0], np.sort(abs(flow)) / abs(flow).max() * 9.0, atol=9.0 * 0.2)
    green, pink = (
        (lines.get_colors()[:, :3] == matplotlib.colors.to_rgb(c)).all(axis=1) for c in ("#009E73", "#CC79A7")
    )
    assert green.sum() == (flow > 0).sum()
    assert pink.sum() == (flow < 0).sum()


def test_flow_on_a_chain_hangs_between_its_bins():
    space = fe.Chain(positions=[0.0, 1.0, 4.0, 6.0])
    ax = fe.plot.flow([1.0, 0, 0, 0], [0, 0, 0.5, 0.5], space)
    corners = np.concatenate([part.get_paths()[0].vertices for part in ax.collections])
    assert corners[:, 1].min() == -1.0
    assert {0.0, 1.0, 4.0, 6.0} <= set(corners[:, 0])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["flow 1", "0", "mass 1"]
    assert ax.get_title() == "EMD = 5"


@NAMES
@pytest.mark.parametrize("rho", [1, 2])
def test_potential_is_that_of_the_library(name, rho):
    space = SMALL[name]
    a, b = pair(space.n)
    ax = fe.plot.potential(a, b, space, rho=rho)
    found = ax.lines[0].get_ydata() if name == "chain" else ax.collections[-1].get_array()
    np.testing.assert_array_equal(found, fe.potential(a, b, space, rho=rho))


@NAMES
def test_plan_has_a_square_for_each_entry(name):
    space = SMALL[name]
    a, b = pair(space.n)
    entries = fe.plan(a, b, space).tocoo()
    points = fe.plot.plan(a, b, space).collections[0]
    np.testing.assert_array_equal(points.get_offsets(), np.stack(entries.coords[::-1], axis=-1))
    np.testing.assert_array_equal(points.get_array(), entries.data)


@NAMES
def test_labels_are_written_for_few_bins_and_not_for_many(name):
    names = [f"name {i}" for i in range(SMALL[name].n)]
    plt.close("all")
    ax = fe.plot.space(SMALL[name], labels=names)
    ax.figure.canvas.draw()
    written = {text.get_text().strip() for text in (*ax.texts, *ax.get_xticklabels())}
    assert set(names) <= written
    ax = fe.plot.space(LARGE[name], labels=["x"] * LARGE[name].n)
    assert not ax.texts


def test_a_tree_writes_the_names_that_it_has():
    ax = fe.plot.space(SMALL["tree"])
    assert {text.get_text().strip() for text in ax.texts} == set(SMALL["tree"].bin_labels)


@NAMES
def test_the_axes_that_is_given_is_drawn_on_and_returned(name):
    a, b = pair(SMALL[name].n)
    _, axes = plt.subplots(1, 4)
    assert fe.plot.space(SMALL[name], ax=axes[0]) is axes[0]
    for kind, ax in zip(("flow", "potential", "plan"), axes[1:], strict=True):
        assert getattr(fe.plot, kind)(a, b, SMALL[name], ax=ax) is ax


@NAMES
def test_equal_histograms_have_a_picture_without_flow(name):
    a, _ = pair(SMALL[name].n)
    ax = fe.plot.flow(a, a, SMALL[name])
    assert len(ax.get_legend().get_texts()) == 2


@pytest.mark.parametrize("space", [fe.Chain(1), fe.Ring(1), fe.Tree([-1], [0])])
def test_one_bin_has_pictures(space):
    for kind in ("flow", "potential", "plan"):
        getattr(fe.plot, kind)([1.0], [1.0], space)
    fe.plot.space(space)


def test_mass_policies_are_those_of_the_library():
    fe.plot.flow([2.0, 0, 0], [0, 0, 1.0], fe.Chain(3), mass="normalize")
    for draw in (fe.plot.flow, fe.plot.potential, fe.plot.plan):
        with pytest.raises(ValueError, match="mass") as caught:
            draw([2.0, 0, 0], [0, 0, 1.0], fe.Chain(3))
        assert "check=" not in str(caught.value)  # plots do not take it


# --- Errors -----------------------------------------------------------------------------------------------------------


def test_more_than_one_pair_is_refused():
    with pytest.raises(ValueError, match=r"a has shape \(2, 3, 4\).*try a\[0, 0\]"):
        fe.plot.flow(np.ones((2, 3, 4)), np.ones(4), fe.Chain(4))


def test_labels_are_as_many_as_bins():
    with pytest.raises(ValueError, match=r"labels has 2 names. Needed: 3"):
        fe.plot.space(fe.Chain(3), labels=["a", "b"])


def test_a_space_is_needed():
    with pytest.raises(TypeError, match="space"):
        fe.plot.space(4)


def test_the_extra_is_named_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'fastemd\[plot\]'"):
        fe.plot.space(fe.Chain(3))

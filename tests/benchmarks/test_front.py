"""What the pages say is what the committed results say: tables, the figures of README.md, and pictures."""

import matplotlib.image
import numpy as np
import pytest
from PIL import Image

from benchmarks import __main__ as command
from benchmarks import front
from benchmarks.harness import tables
from benchmarks.harness.record import RESULTS, ROOT


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The pages that the committed results give."""
    folder = tmp_path_factory.mktemp("pages")
    for suite, files in command.FOR_USERS.items():
        if any(RESULTS.glob(files)):
            results = tmp_path_factory.mktemp("results")
            for path in RESULTS.glob("*.json"):
                (results / path.name).symlink_to(path)
            suite.write_pages(results, folder)
    return folder


def test_tables_are_those_of_the_committed_results(made):
    found = sorted(made.glob("*.md"))
    assert {"core.md", "losses.md", "pairs.md", "sinkhorn.md", "compare.md"} <= {path.name for path in found}
    for path in found:
        committed = (tables.PAGES / path.name).read_text(encoding="utf-8")
        assert path.read_text(encoding="utf-8") == committed, f"python -m benchmarks tables writes {path.name} anew"


@pytest.mark.parametrize("name", command.FOR_CONTRIBUTORS)
def test_tables_for_contributors_are_those_of_the_committed_results(name, tmp_path):
    write, _ = command.FOR_CONTRIBUTORS[name]
    found = write(RESULTS, tmp_path / name).read_text(encoding="utf-8")
    assert found == (RESULTS / name).read_text(encoding="utf-8"), f"python -m benchmarks tables writes {name} anew"


def test_pictures_are_not_older_than_their_data(made):
    found = sorted(path.name for path in made.glob("*.png"))
    assert found
    for name in found:
        fresh, committed = (Image.open(folder / name).text.get("Source") for folder in (made, tables.PAGES))
        assert fresh is not None
        assert committed == fresh, f"python -m benchmarks tables draws {name} anew"


def test_the_figures_of_the_readme_are_those_of_the_committed_results():
    text = front.README.read_text(encoding="utf-8")
    assert front.table() in text.partition(front.BEGIN)[2].partition(front.END)[0]


def test_the_readme_is_short():
    assert len(front.README.read_text(encoding="utf-8").splitlines()) < 70


def test_the_picture_of_the_front_page_is_what_is_drawn_today(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    import figures

    figures.draw_front(tmp_path / "front.png")
    found, committed = (matplotlib.image.imread(path)[..., :3] for path in (tmp_path / "front.png", figures.FRONT))
    # Fonts and versions of matplotlib move words by some pixels.
    rows, columns = (min(a, b) for a, b in zip(found.shape[:2], committed.shape[:2], strict=True))
    off = abs(found[:rows, :columns] - committed[:rows, :columns]).mean()
    assert off < 0.5 * np.abs(committed - 1.0).mean(), "python docs/figures.py draws it anew"

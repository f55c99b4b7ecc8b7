"""docs: the code of each page for users runs as it stands, from top to bottom, and prints what its comments say."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [DOCS / "start.md", *sorted((DOCS / "guides").glob("*.md"))]
GUIDES = [path for path in PAGES if "\n```python\n" in path.read_text(encoding="utf-8")]


def test_there_are_guides():
    assert {path.stem for path in GUIDES} >= {"start", "loss", "exponent", "lengths", "neighbours", "unifrac", "formulas"}


@pytest.mark.doctest
@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_a_guide_prints_what_it_says(path, capsys):
    blocks = re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert blocks
    names, promised = {}, []
    for block in blocks:
        promised += re.findall(r"^ *print\(.*\)  # (.*)$|^# (.*)$", block, flags=re.MULTILINE)
        exec(compile(block, str(path), "exec"), names)
    said = [inline or below for inline, below in promised]
    assert said
    assert capsys.readouterr().out.splitlines() == said

"""docs: the code of each page for users runs as it stands, from top to bottom, and prints what its comments say."""

import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import fastemd as fe

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [DOCS / "start.md", *sorted((DOCS / "guides").glob("*.md"))]
GUIDES = [path for path in PAGES if "\n```python\n" in path.read_text(encoding="utf-8")]


def test_there_are_guides():
    assert {path.stem for path in GUIDES} >= {
        "start",
        "loss",
        "exponent",
        "lengths",
        "neighbours",
        "unifrac",
        "formulas",
    }


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


ALL = [
    DOCS.parent / "README.md",
    *sorted(path for path in DOCS.rglob("*.md") if "_" not in path.parts[len(DOCS.parts)][:1]),
]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.relative_to(DOCS.parent).as_posix())
def test_every_call_that_a_page_names_exists(path):
    text = path.read_text(encoding="utf-8")
    for name in set(re.findall(r"(?<![.\w])(?:fe|fastemd)((?:\.[A-Za-z]\w*)+)(?=\(|`)", text)):
        thing = fe
        for part in name[1:].split("."):
            module = f"{thing.__name__}.{part}" if inspect.ismodule(thing) else ""
            found = importlib.util.find_spec(module) if module and hasattr(thing, "__path__") else None
            thing = importlib.import_module(module) if found else getattr(thing, part)

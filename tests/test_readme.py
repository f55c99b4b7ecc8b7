"""README.md: its code runs as it stands, and prints what its comments say."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.doctest
def test_the_readme_prints_what_it_says(capsys):
    (code,) = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    promised = re.findall(r"^print\(.*\)  # (.*)$", code, flags=re.MULTILINE)
    exec(compile(code, str(README), "exec"), {})
    assert promised
    assert capsys.readouterr().out.splitlines() == promised


def test_every_local_link_of_the_readme_leads_to_a_file():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []

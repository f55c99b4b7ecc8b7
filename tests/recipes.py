"""docs/guides/recipes: the code of each page runs as it stands. `make recipes` runs this file; `make test` does not.

Each page runs in a process of its own, since frameworks choose their backend and their threads when they are loaded.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "guides" / "recipes"
PAGES = sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "index")
RUNS = [(page, {"KERAS_BACKEND": name}) for page in PAGES for name in (("torch", "jax") if page == "keras" else ("",))]


@pytest.mark.parametrize(("page", "variables"), RUNS, ids=[f"{page} {''.join(v.values())}".strip() for page, v in RUNS])
def test_a_recipe_runs_as_it_stands(page, variables):
    text = (FOLDER / f"{page}.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE))
    assert "assert " in code
    chosen = {name: value for name, value in variables.items() if value}
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | chosen, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_index_lists_every_recipe():
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    assert set(PAGES) <= set(re.findall(r"^(\w+)$", index, flags=re.MULTILINE))

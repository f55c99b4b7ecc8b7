"""The words of the code and of its pages: none of a private language that has a standard name."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROSE = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]

# Words for a backend, its entry, the kernels of a space, a thread group, a consumer, tile aggregates, a row's status,
# a validation, an edge's cost, a solver, a contiguous block, a store, a softmin, a step rule, an owner of memory.
PRIVATE = re.compile(
    "wings?|houses?|doors?|rooms?|furnish(ed|es)?|teams?|gangs?|takers?|ledgers?|verdicts?|judge[ds]?|ingredients?|laws?"
    "|march(es|ing)?|strips?|stow(s|ed)?|soften(s|ed)?|relays?|keepers?|lent|habits"
)


def words(text):
    """The words of a text in lower case, those that make up an identifier one by one."""
    text = re.sub(r"\.[lr]?strip\(", "(", text)
    return {word.lower() for word in re.findall("[A-Z]+(?![a-z])|[A-Z]?[a-z]+", text)}


@pytest.mark.parametrize("folder", ["fastemd", "docs"])
def test_words_are_those_of_the_field(folder):
    paths = PROSE if folder == "docs" else sorted((ROOT / folder).rglob("*.py"))
    found = []
    for path in paths:
        private = {word for word in words(path.read_text(encoding="utf-8")) if PRIVATE.fullmatch(word)}
        if private and path.parent.name != "reference":  # where they are plain English
            found.append(f"{path.relative_to(ROOT)}: {', '.join(sorted(private))}")
    assert not found, "\n".join(found)

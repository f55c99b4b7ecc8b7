"""The three figures of README.md, out of the committed results: ``python -m benchmarks tables`` writes them."""

from __future__ import annotations

from pathlib import Path

from .harness import tables
from .harness.record import RESULTS, ROOT

README = ROOT / "README.md"
BEGIN, END = "<!-- figures: made by python -m benchmarks tables -->", "<!-- end of figures -->"
# A suite, how its job begins, what README calls it, and beside whom.
FIGURES = (
    (
        "core",
        "chain, value + gradient, ρ = 1, 65,536 × 1,000",
        "value and gradient of 65,536 pairs on a chain of 1,000 bins",
        "torch.compile",
    ),
    (
        "core",
        "random tree, value + gradient, ρ = 1, 16,384 × 1,000",
        "the same of 16,384 pairs on a tree of 1,000 leaves",
        "torch sparse CSR, autograd",
    ),
    (
        "pairs",
        "UniFrac of",
        "UniFrac of 2,000 samples × 20,000 taxa, from table and Newick",
        "scikit-bio, numba",
    ),
)


def table(folder: Path = RESULTS) -> str:
    """Return the table of the newest results."""
    rows = []
    for suite, job, words, opponent in FIGURES:
        result = tables.load(folder, suite)[0]
        (line,) = (line for line in result["lines"] if line["job"].startswith(job))
        own, other = line["median_ms"]["fastemd"] / 1e3, line["median_ms"][opponent] / 1e3
        beside = f"{opponent.partition(',')[0]} {tables.duration(other)}"
        rows.append([words, f"**{tables.duration(own)}**", beside, f"× {tables.number(other / own)}"])
    return tables.table(["two cores", "fastemd", "beside it", ""], rows)


def write(readme: Path = README, folder: Path = RESULTS) -> Path:
    """Write the table into README.md and return its path."""
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n\n{table(folder)}\n\n{END}{after}", encoding="utf-8")
    return readme

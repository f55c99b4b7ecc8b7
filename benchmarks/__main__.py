"""The command line: ``python -m benchmarks [SUITE | all | tables] [--quick]``; suites are the keys of `SUITES`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fastemd.cuda import is_available

from . import front, growth, losses, pairs, sinkhorn
from .compare import suite as compare
from .core import suite as core
from .cuda import page as cuda_page
from .cuda import suite as cuda
from .harness import tables
from .harness.record import RESULTS, ROOT
from .ptx import page as ptx_page
from .ptx import suite as ptx
from .variants import suite as variants

PART = ROOT / "build" / "benchmarks"  # of a quick run, and of a part
SUITES = {
    "core": core, "variants": variants, "cuda": cuda, "ptx": ptx, "growth": growth, "losses": losses, "pairs": pairs,
    "sinkhorn": sinkhorn, "compare": compare,
}  # fmt: skip
# Suites with pages for users, and the files that they are made from.
FOR_USERS = {
    core: "core-*.json",
    growth: "growth-*.json",
    losses: "losses-*.json",
    pairs: "pairs-*.json",
    sinkhorn: sinkhorn.FILE,
    compare: compare.FILE,
}
# Tables for contributors only, which lie beside the results.
FOR_CONTRIBUTORS = {
    "variants.md": (variants.write_page, "variants-*.json"),
    "ptx.md": (ptx_page.write, ptx.FILE),
    "cuda.md": (cuda_page.write, cuda.FILE),
}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=[*SUITES, "all", "tables"],
        help="measure a suite or all, or make the tables; default: core and tables",
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see in a minute or two that all runs")
    parser.add_argument("--only", default="", metavar="REGEX", help="only the timed jobs whose names match")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="of JSON and tables with bars")
    parser.add_argument("--pages", type=Path, metavar="FOLDER", help="of tables and pictures")
    options = parser.parse_args(words)
    part = (options.quick or options.only) and options.what != "tables"
    results = options.results or (PART if part else RESULTS)
    pages = options.pages or (PART if part else tables.PAGES)
    if part and results == RESULTS:
        parser.error("a part is not for the documentation: name another folder with --results, or none")
    if options.what == "all":
        for name in ("core", "growth", "losses", "pairs", "sinkhorn", "compare", "variants"):
            print(SUITES[name].run(results, quick=options.quick, only=options.only))
        if is_available():
            print(cuda.run(results, quick=options.quick, only=options.only))
    elif options.what != "tables":
        suite = SUITES[options.what or "core"]
        path = suite.run(results, quick=options.quick, only=options.only)
        print(path)
        if suite in (cuda, ptx):
            sys.exit(suite.status(path))
    if options.what in (None, "all", "tables"):
        print(*_write_tables(results, pages), sep="\n")


def _write_tables(results: Path, pages: Path) -> list[Path]:
    written = []
    for suite, files in FOR_USERS.items():
        if any(results.glob(files)):
            written += suite.write_pages(results, pages)
    for name, (write, files) in FOR_CONTRIBUTORS.items():
        if any(results.glob(files)):
            written.append(write(results, results / name))
    if results == RESULTS and pages == tables.PAGES:
        written.append(front.write())
    if not written:
        raise SystemExit(f"{results} has no results; make some with: python -m benchmarks core")
    return written


if __name__ == "__main__":
    main()

"""The command line: ``python -m benchmarks [SUITE | tables]``, the suites being the keys of `SUITES`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import front, losses, pairs, sinkhorn
from .compare import suite as compare
from .core import suite as core
from .cuda import page as cuda_page
from .cuda import suite as cuda
from .harness import tables
from .harness.record import RESULTS
from .ptx import page as ptx_page
from .ptx import suite as ptx
from .variants import suite as variants

SUITES = {
    "core": core, "variants": variants, "cuda": cuda, "ptx": ptx, "losses": losses, "pairs": pairs,
    "sinkhorn": sinkhorn, "compare": compare,
}  # fmt: skip
# Suites with pages for users, and the files that they are made from.
FOR_USERS = {
    core: "core-*.json",
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
        "what", nargs="?", choices=[*SUITES, "tables"], help="measure, or make the tables; default: core and tables"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that everything runs")
    parser.add_argument("--only", default="", metavar="REGEX", help="only the timed jobs whose names match")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="of JSON and tables with bars")
    parser.add_argument("--pages", type=Path, default=tables.PAGES, metavar="FOLDER", help="of tables and pictures")
    options = parser.parse_args(words)
    if (options.quick or options.only) and options.results == RESULTS and options.what != "tables":
        parser.error("a part is not for the documentation: name other folders with --results and --pages")
    if options.what != "tables":
        suite = SUITES[options.what or "core"]
        path = suite.run(options.results, quick=options.quick, only=options.only)
        print(path)
        if suite in (cuda, ptx):
            sys.exit(suite.status(path))
    if options.what in (None, "tables"):
        print(*_write_tables(options.results, options.pages), sep="\n")


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

"""The command line: ``python -m benchmarks [core | variants | cuda | ptx | losses | sinkhorn | compare | tables]``."""

import argparse
import sys
from pathlib import Path

from . import losses, sinkhorn
from .compare import suite as compare
from .core import suite as core
from .cuda import page as cuda_page
from .cuda import suite as cuda
from .harness import tables
from .harness.record import RESULTS
from .ptx import page as ptx_page
from .ptx import suite as ptx
from .variants import suite as variants


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    suites = {"core": core, "variants": variants, "cuda": cuda, "ptx": ptx, "losses": losses, "sinkhorn": sinkhorn}
    suites["compare"] = compare
    parser.add_argument(
        "what", nargs="?", choices=[*suites, "tables"], help="measure, or make the tables; default: core and tables"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that everything runs")
    parser.add_argument("--only", default="", metavar="REGEX", help="only the timed jobs whose names match")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="of the JSON files")
    parser.add_argument(
        "--page", type=Path, default=tables.PAGE, metavar="FILE", help="the table of the core; others go beside it"
    )
    arguments = parser.parse_args()
    if (arguments.quick or arguments.only) and arguments.results == RESULTS and arguments.what != "tables":
        parser.error("a part is not for the documentation: name another folder with --results, and --page")
    if arguments.what != "tables":
        suite = suites[arguments.what or "core"]
        path = suite.run(arguments.results, quick=arguments.quick, only=arguments.only)
        print(path)
        if suite in (cuda, ptx):
            sys.exit(suite.status(path))
    if arguments.what in (None, "tables"):
        print(tables.write(arguments.results, arguments.page))
        if any(arguments.results.glob("variants-*.json")):
            print(variants.write_page(arguments.results, arguments.page.with_name("variants.md")))
        if any(arguments.results.glob("losses-*.json")):
            print(losses.write_page(arguments.results, arguments.page.with_name("losses.md")))
        if (arguments.results / "sinkhorn.json").exists():
            print(sinkhorn.write_page(arguments.results, arguments.page.with_name("sinkhorn.md")))
        if (arguments.results / compare.FILE).exists():
            print(compare.write_page(arguments.results, arguments.page.with_name("compare.md")))
        for pages, name in ((ptx_page, ptx.FILE), (cuda_page, cuda.FILE)):
            if (arguments.results / name).exists():
                print(pages.write(arguments.results, arguments.page.with_name(name).with_suffix(".md")))


if __name__ == "__main__":
    main()

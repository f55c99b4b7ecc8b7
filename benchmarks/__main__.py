"""The command line: ``python -m benchmarks [core | variants | tables]``."""

import argparse
from pathlib import Path

from . import core, tables, variants


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    suites = {"core": core, "variants": variants}
    parser.add_argument(
        "what", nargs="?", choices=[*suites, "tables"], help="measure, or make the tables; default: core and tables"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that everything runs")
    parser.add_argument("--only", default="", metavar="REGEX", help="only the timed jobs whose names match")
    parser.add_argument("--results", type=Path, default=core.RESULTS, metavar="FOLDER", help="of the JSON files")
    parser.add_argument(
        "--page", type=Path, default=tables.PAGE, metavar="FILE", help="the table of the core; others go beside it"
    )
    arguments = parser.parse_args()
    if (arguments.quick or arguments.only) and arguments.results == core.RESULTS and arguments.what != "tables":
        parser.error("a part is not for the documentation: name another folder with --results, and --page")
    if arguments.what != "tables":
        suite = suites[arguments.what or "core"]
        print(suite.run(arguments.results, quick=arguments.quick, only=arguments.only))
    if arguments.what in (None, "tables"):
        print(tables.write(arguments.results, arguments.page))
        if any(arguments.results.glob("variants-*.json")):
            print(variants.write_page(arguments.results, arguments.page.with_name("variants.md")))


if __name__ == "__main__":
    main()

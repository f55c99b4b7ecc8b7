"""The command line: ``python -m benchmarks [core | tables]``."""

import argparse
from pathlib import Path

from . import core, tables


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["core", "tables"], help="measure, or make the table; default: both")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that everything runs")
    parser.add_argument("--only", default="", metavar="REGEX", help="only the timed jobs whose names match")
    parser.add_argument("--results", type=Path, default=core.RESULTS, metavar="FOLDER", help="of the JSON files")
    parser.add_argument("--page", type=Path, default=tables.PAGE, metavar="FILE", help="the table goes here")
    arguments = parser.parse_args()
    if (arguments.quick or arguments.only) and arguments.results == core.RESULTS and arguments.what != "tables":
        parser.error("a part is not for the documentation: name another folder with --results, and --page")
    if arguments.what != "tables":
        print(core.run(arguments.results, quick=arguments.quick, only=arguments.only))
    if arguments.what != "core":
        print(tables.write(arguments.results, arguments.page))


if __name__ == "__main__":
    main()

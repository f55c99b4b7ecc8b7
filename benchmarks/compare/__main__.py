"""The command line: ``python -m benchmarks.compare`` times solvers on real histograms."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from . import packages
from .cases import CASES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _compare(options)
    except (packages.MissingPackageError, OSError) as error:  # the folder to write to may be none
        print(f"benchmarks.compare: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description="Time solvers on pairs of real histograms, and say how far each is from the exact distance. "
        "Prints a table for each case, and writes a picture of it and a JSON file with all figures.",
    )
    parser.add_argument("--case", action="append", choices=CASES, help="a case to run; may be repeated (default: all)")
    parser.add_argument("--quick", action="store_true", help="fewer pairs and runs: seconds, and rougher times")
    parser.add_argument("--seed", type=_natural, default=0, help="which pairs are drawn (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder to write to (default: ./%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of tables")
    return parser


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def _compare(options: argparse.Namespace) -> int:
    from . import run

    screen = _console(sys.stdout)
    # Progress goes to the error stream, so that the tables or the JSON can be piped.
    bar = packages.load("rich.progress").Progress(console=_console(sys.stderr), transient=True)
    names = list(dict.fromkeys(options.case or CASES))
    options.out.mkdir(parents=True, exist_ok=True)
    with bar:
        task = bar.add_task("", total=run.steps(names))

        def progress(doing: str) -> None:
            bar.update(task, advance=1, description=doing)

        def show(printed: Any) -> None:
            if not options.json:
                screen.print(printed, "", highlight=False)

        figures = run.run(names, options.seed, quick=options.quick, out=options.out, progress=progress, show=show)
    text = json.dumps(figures, indent=2)
    (options.out / "figures.json").write_text(text + "\n", encoding="utf-8")
    if options.json:
        print(text)
    else:
        files = ", ".join(sorted(path.name for path in options.out.iterdir()))
        screen.print(f"In {options.out}/: {files}", highlight=False)
    return 0


def _console(stream: TextIO) -> Any:
    """Return a console as wide as the terminal, or as wide as the tables where there is none."""
    return packages.load("rich.console").Console(file=stream, width=None if stream.isatty() else 140)


if __name__ == "__main__":
    sys.exit(main())

"""The command line: ``python -m benchmarks.paper {convergence, sinkhorn_limits, ordinal, ...}``."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from ..harness.record import RESULTS
from ..harness.tables import PAGES
from . import runs

EXPERIMENTS = {
    "convergence": "gradient descent of one histogram towards another: steps and time",
    "sinkhorn_limits": "what Sinkhorn's iteration costs and what it comes to, beside the closed form",
    "ordinal": "classifiers over ordered classes",
    "wordnet": "classifiers of glosses over the tree of nouns",
    "imagenet": "the training script for a folder of pictures; no result of it is claimed",
}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    words = sys.argv[1:] if words is None else words
    modules = {
        name: importlib.import_module(f".{name}.experiment", __package__)
        for name in EXPERIMENTS
        if words and words[0] in (name, "tables")
    }
    for name, help in EXPERIMENTS.items():
        one = commands.add_parser(name, help=help, description=modules[name].__doc__ if name in modules else help)
        one.add_argument("--quick", action="store_true", help="tiny sizes, to see that everything runs")
        one.add_argument("--seeds", type=int, default=runs.SEEDS, help="how many (default: %(default)s)")
        own = name != "imagenet"
        one.add_argument(
            "--results", type=Path, default=RESULTS if own else None, required=not own, metavar="FOLDER",
            help="of the JSON file",
        )  # fmt: skip
        one.add_argument("--pages", type=Path, metavar="FOLDER", help="of table and picture")
        if name in modules:
            modules[name].add_arguments(one)
    again = commands.add_parser("tables", help="make tables and pictures anew, from the JSON files there are")
    again.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="of the JSON files")
    again.add_argument("--pages", type=Path, metavar="FOLDER", help="of tables and pictures")
    options = parser.parse_args(words)
    if options.what == "tables":
        made = [name for name in EXPERIMENTS if (options.results / f"paper-{name}.json").exists()]
        if not made:
            parser.error(f"{options.results} has no results of an experiment; make some first")
    else:
        if options.quick and options.results == RESULTS:
            parser.error("a quick run is not for the documentation: name another folder with --results")
        if options.seeds < 2:
            parser.error(f"--seeds is {options.seeds}. Needed: 2 or more, as a comparison has to see how figures vary")
        torch.set_num_threads(1)
        module = modules[options.what]
        print(runs.save(runs.measured(module.run, options, module.PACKAGES), options.what, options.results))
        made = [options.what]
    pages = options.pages or (PAGES if options.results == RESULTS else options.results)
    for name in made:
        print(*runs.write(modules[name], name, options.results, pages), sep="\n")


if __name__ == "__main__":
    main()

"""The commands: what they take, and how their errors are told: one line, and exit code 2."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from .. import environment, threads
from ..bio.distances import METHODS, unifrac
from ..pairs import api as pairs
from ..pairs import store
from ..pairs.matrix import shape_of, watched
from ..spaces.base import Space
from . import output
from .device import device_number, to_device, to_host
from .spaces import NAMED, placed, read_space
from .tables import KINDS, NamedTable, read_table

TABLE = f"histograms, a row each: {KINDS}; .gz of text, too"
SPACE = f"{', '.join(NAMED)}; or a file: Newick, or a table of edges (.csv, .tsv: parent, child, length)"
REFUSED = (ValueError, TypeError, OSError, ImportError, MemoryError)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where the options are listed, and exit."""
        self.exit(2, f"{self.prog}: error: {message} ({self.prog} --help lists what can be said)\n")


def app(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of this process by default.

    Returns
    -------
    int
        The exit status of the process: 0, 2 after an error, 130 after an interrupt.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except REFUSED as error:
        text = f"{'' if str(error) else type(error).__name__}{error}"
        print(f"fastemd {options.command}: error: {_as_options(' '.join(text.split()))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("fastemd: interrupted; the same command goes on from there.", file=sys.stderr)
        return 130
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="fastemd", description="Earth Mover's Distance on chains, rings and trees, at the speed of memory."
    )
    commands = parser.add_subparsers(required=True, metavar="command", dest="command", parser_class=Parser)
    command = commands.add_parser("pairwise", help="the distances of all pairs of rows, UniFrac too")
    _add_input(command, METHODS)
    command.add_argument("--alpha", type=float, help="of --method generalized, from 0 to 1")
    command.add_argument("--condensed", action="store_true", help="the upper triangle only; of .tsv a line a pair")
    command.add_argument("--dtype", choices=("float16", "float32", "float64"), help="of the distances, by --method emd")
    command.set_defaults(run=_pairwise)
    command = commands.add_parser("nearest", help="the nearest rows of each row, exactly")
    _add_input(command, METHODS[:1])
    command.add_argument("-k", type=int, default=10, help="how many; 10 by default")
    command.add_argument("--queries", metavar="TABLE", help="whose neighbours are wanted; by default those of TABLE")
    command.set_defaults(run=_nearest)
    command = commands.add_parser("info", help="say which versions, threads and folders are in use")
    command.set_defaults(run=_info)
    return parser


def _add_input(command: argparse.ArgumentParser, methods: tuple[str, ...]) -> None:
    command.add_argument("table", metavar="TABLE", help=TABLE)
    command.add_argument("space", metavar="SPACE", help=SPACE)
    command.add_argument("-o", "--out", required=True, help=f"file to write: {', '.join(output.KINDS)}")
    command.add_argument("--overwrite", action="store_true", help="write over a file that exists")
    command.add_argument(
        "--method",
        choices=("emd", *methods),
        help="emd takes rows as they are, the others are UniFrac, of shares; by default weighted for Newick, else emd",
    )
    command.add_argument("--rho", type=float, default=1.0, help="exponent of the flow, by --method emd; 1 by default")
    command.add_argument(
        "--mass", choices=("equal", "normalize", "root"), help="what to do with rows of different mass, by --method emd"
    )
    command.add_argument("--default-length", type=float, help="of branches of a Newick tree that have none")
    command.add_argument("--taxa", metavar="FILE", help="names of the columns, one a line")
    command.add_argument("--samples", metavar="FILE", help="names of the rows, one a line")
    command.add_argument("--no-header", action="store_true", help="the first line of a text is data")
    command.add_argument("--no-names", action="store_true", help="the first field of a line of a text is data")
    command.add_argument("--memory-limit", type=_bytes, help="scratch at most, such as 500M or 2G; 1G by default")
    command.add_argument("--threads", type=int, help="by default one for each processor")
    command.add_argument("--progress", action=argparse.BooleanOptionalAction, help="by default on a terminal")
    command.add_argument("--device", default="cpu", help="cpu, the default, or cuda, or cuda:1")


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no size. Needed: a number of bytes, such as 500M or 2G")
    return int(float(found[1]) * 1024 ** " kmgt".index(found[2] or " "))


def _as_options(text: str) -> str:
    """Return an error's text with the arguments of functions written as options."""
    return re.sub(r"\b(mass|rho|alpha|memory_limit|default_length|method|taxa)='?([\w.]*)'?", _option, text)


def _option(found: re.Match[str]) -> str:
    return f"--{found[1].replace('_', '-')} {found[2] or 'FILE'}"


def _read(options: argparse.Namespace, path: str) -> NamedTable:
    return read_table(
        path, header=not options.no_header, names=not options.no_names, taxa=options.taxa, samples=options.samples
    )


def _method(options: argparse.Namespace, phylogeny: bool) -> str:
    method: str = options.method or ("weighted" if phylogeny else "emd")
    if method != "emd":
        for name, default in (("rho", 1.0), ("mass", None), ("dtype", None)):
            if getattr(options, name, default) != default:
                raise ValueError(f"--{name} is given, and --method is {method}. Needed: --method emd with it.")
    elif getattr(options, "alpha", None) is not None:
        raise ValueError("--alpha is given, and --method is emd. Needed: --method generalized with it.")
    return method


class Input(NamedTuple):
    """What both commands read, in the order in which a mistake is found soonest."""

    path: Path
    table: NamedTable
    space: Space
    method: str
    device: int | None

    @classmethod
    def of(cls, options: argparse.Namespace) -> Input:
        """Read what the options name."""
        path = output.output_path(options.out, options.overwrite)
        device = device_number(options.device)
        if options.threads is not None:
            threads.set_num_threads(options.threads)
        table = _read(options, options.table)
        space, phylogeny = read_space(options.space, table, options.default_length)
        method = _method(options, phylogeny)
        if device is not None and method != "emd" and "k" not in options:
            raise ValueError(
                f"--device is {options.device}, and --method is {method}. Needed: --device cpu, or --method emd, which "
                "with --mass normalize is the weighted one."
            )
        return cls(path, table, space, method, device)


def _pairwise(options: argparse.Namespace) -> None:
    begin = time.perf_counter()
    path, table, space, method, device = Input.of(options)
    count = table.rows.shape[0]
    shape = shape_of(count, count, options.condensed)
    common: dict[str, Any] = {
        "condensed": options.condensed,
        "memory_limit": options.memory_limit,
        "progress": options.progress,
    }
    if method == "emd":
        rows = placed(table, space, options.table)
        dtype = np.dtype(options.dtype or (rows.dtype if rows.dtype.kind == "f" else np.float64))
        mass = options.mass or "equal"
        file = output.MatrixFile(path, shape, dtype, table.names)
        array = file.open()
        rows = rows if device is None else to_device(rows, device)
        pairs.pairwise(rows, space=space, rho=options.rho, mass=mass, dtype=dtype, out=array, **common)
    else:
        if table.bins is None:
            raise ValueError(f"{options.table} has no names of columns. Needed: --taxa FILE, a name of a tip a line.")
        file = output.MatrixFile(path, shape, np.float64, table.names)
        array = file.open()
        unifrac(table.rows, space, method=method, alpha=options.alpha, taxa=table.bins, out=array, **common)
    file.finish(array)
    _tell(f"{count:,} x {count:,} distances ({method})", [path], begin)


def _nearest(options: argparse.Namespace) -> None:
    begin = time.perf_counter()
    path, table, space, method, device = Input.of(options)
    rows = placed(table, space, options.table)
    queries, of = table, rows
    if options.queries is not None:
        options.samples = None
        queries = _read(options, options.queries)
        of = placed(queries, space, options.queries)
    mass = "normalize" if method == "weighted" else options.mass or "equal"
    settings: dict[str, Any] = {"k": options.k, "rho": options.rho, "mass": mass}
    parts = output.NeighbourParts(path, store.digest([of, rows], space, settings))
    if device is not None:
        of, rows = to_device(of, device), to_device(rows, device)
    for part in watched(parts.of(of.shape[0]), options.progress):
        if not parts.has(part):
            some = of if part == slice(0, of.shape[0]) else of[part]
            found = pairs.nearest(some, rows, space=space, memory_limit=options.memory_limit, **settings)
            parts.add(part, *map(to_host, found))
    distances, indices = parts.whole(of.shape[0])
    written = output.write_neighbours(path, distances, indices, (queries.names, table.names))
    parts.remove()
    _tell(f"{options.k} nearest of {distances.shape[0]:,} rows ({method})", written, begin)


def _info(options: argparse.Namespace) -> None:
    facts = environment.facts()
    width = max(map(len, facts))
    for name, fact in facts.items():
        print(f"{name:{width}}  {fact}")


def _tell(what: str, paths: list[Path], begin: float) -> None:
    print(f"{', '.join(map(str, paths))}: {what} in {time.perf_counter() - begin:.2f} s")

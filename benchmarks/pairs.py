"""The suite of all pairs: `pairwise` and `nearest` beside scipy, torch, scikit-bio and a loop in C."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, random_array
from scipy.spatial.distance import cdist

import fastemd as fe
from fastemd.data import table

from .compare import exact
from .harness import measure, pictures, problems, runs, tables
from .harness.measure import Bar, Job
from .harness.problems import random_tree
from .harness.record import RESULTS
from .opponents import l1


@dataclass(frozen=True)
class Sizes:
    """Rows and columns of the jobs."""

    cross: int = 2048
    nodes: int = 1900
    leaves: int = 1000
    table: int = 1024
    lemmas: int = 11908
    library: int = 100_000
    queries: int = 1000
    samples: int = 2000
    taxa: int = 20_000
    file: int = 20_000


FULL = Sizes()
QUICK = Sizes(
    cross=64, nodes=76, leaves=40, table=32, lemmas=200, library=500, queries=10, samples=20, taxa=60, file=200
)


def run(folder: Path = RESULTS, *, quick: bool = False, only: str = "") -> Path:
    """Measure, write ``pairs-<device>.json`` into a folder and return its path; arguments as for `core.suite.run`."""
    return runs.run("pairs", _lines, folder, quick=quick, only=only, packages=("torch", "scikit-bio"))


def write_pages(folder: Path, pages: Path) -> list[Path]:
    """Write tables and the picture of the newest results, and the table with bars beside the results."""
    newest = tables.load(folder, "pairs")[0]
    picture = pages / "pairs-times.png"
    pictures.draw_times({line["job"]: tables.rivals(line) for line in newest["lines"]}, picture)
    return [
        tables.write_sections(folder, "pairs", pages / "pairs.md", tables.section),
        tables.write_sections(folder, "pairs", folder / "pairs-bars.md", tables.section_with_bars),
        picture,
    ]


def _lines(given: problems.Sizes, only: str) -> Iterator[dict]:
    sizes = QUICK if given is problems.QUICK else FULL
    for name, make in JOBS.items():
        if re.search(only, name):
            yield measure.row(make(sizes), given.seconds, given.rounds)


def histograms(rows: int, n: int, seed: int) -> np.ndarray:
    """Return random rows of mass 1 in float32."""
    found = np.random.default_rng(seed).dirichlet(np.ones(n), rows)
    return found.astype(np.float32)


def seconds_at_most(limit: float) -> Bar:
    """At most so many seconds."""
    return Bar("s", limit, lambda median: median["fastemd"], at_least=False)


def cross(sizes: Sizes) -> Job:
    """All rows of one table with all of another, beside distances of the ready embedding."""
    import torch

    tree = random_tree(sizes.nodes, sizes.leaves)
    a, b = (histograms(sizes.cross, tree.n, seed) for seed in (0, 1))
    job = Job(
        f"pairwise, {sizes.cross:,} × {sizes.cross:,}, {sizes.nodes:,} nodes, float32",
        lambda: fe.pairwise(a, b, space=tree, mass="normalize"),
    )
    x, y = (fe.embed(rows, tree, mass="normalize") for rows in (a, b))
    job.opponents["scipy cdist, embedded"] = lambda: cdist(x, y, "cityblock")
    tensors = torch.from_numpy(x), torch.from_numpy(y)
    job.opponents["torch cdist, embedded"] = lambda: torch.cdist(*tensors, p=1).numpy()
    try:
        job.beside["C loop, embedded and packed"] = l1.loop(x, y, fe.get_num_threads())
    except l1.NoCompilerError as error:
        job.absent["C loop, embedded and packed"] = str(error)
    job.bars = [
        Bar("of the C loop's rate", 0.6, lambda m: m["C loop, embedded and packed"] / m["fastemd"], at_least=True)
    ]
    return job


def one_table(sizes: Sizes) -> Job:
    """All pairs of a table, from the rows to the matrix."""
    import torch

    tree = random_tree(sizes.nodes, sizes.leaves)
    counts = np.rint(1e6 * histograms(sizes.table, tree.n, 2)).astype(np.int64)  # scikit-bio takes no proportions
    rows = counts.astype(np.float32)
    job = Job(
        f"pairwise of {sizes.table:,} rows, {sizes.leaves:,} leaves, float32, condensed",
        lambda: fe.pairwise(rows, space=tree, mass="normalize", condensed=True),
    )
    embedded = torch.from_numpy(fe.embed(rows, tree, mass="normalize"))
    job.opponents["torch pdist, embedded"] = lambda: torch.pdist(embedded, p=1).numpy()
    phylogeny, taxa = exact.phylogeny(tree)
    job.opponents["scikit-bio, numba"] = lambda: _scikit_bio(counts, phylogeny, taxa)
    job.bars = [measure.faster(4, "torch pdist, embedded"), measure.faster(20, "scikit-bio, numba")]
    return job


def _scikit_bio(counts: np.ndarray, phylogeny: object, taxa: list[str]) -> np.ndarray:
    """Return the weighted UniFrac of all pairs of samples by scikit-bio."""
    from skbio.diversity import beta_diversity

    options = {"taxa": taxa, "tree": phylogeny, "engine": "numba", "validate": False}
    return beta_diversity("weighted_unifrac", counts, **options).condensed_form()


def random_newick(taxa: int) -> str:
    """Return a random binary tree in Newick's format, its leaves named t0, t1, ..."""
    rng = np.random.default_rng(6)
    nodes = [f"t{i}:{length:.4f}" for i, length in enumerate(rng.uniform(0.1, 1.0, taxa))]
    while len(nodes) > 1:
        i = rng.integers(len(nodes))
        nodes[i], nodes[-1] = nodes[-1], nodes[i]
        one, j = nodes.pop(), rng.integers(len(nodes))
        nodes[j] = f"({one},{nodes[j]}):{rng.uniform(0.1, 1.0):.4f}"
    return nodes[0] + ";"


def microbiome(sizes: Sizes) -> Job:
    """Weighted UniFrac of a sparse table, from the table and Newick text to the matrix."""
    from skbio import TreeNode

    rng = np.random.default_rng(7)
    newick, taxa = random_newick(sizes.taxa), [f"t{i}" for i in range(sizes.taxa)]
    size = (sizes.samples, sizes.taxa)
    counts = random_array(size, density=0.01, rng=rng, data_sampler=lambda size: rng.integers(1, 1000, size)).tocsr()
    first = csr_array((np.ones(size[0]), (np.arange(size[0]), np.zeros(size[0], int))), shape=size)
    counts = csr_array(counts + first, dtype=np.int64)  # no sample is empty
    job = Job(
        f"UniFrac of {size[0]:,} samples × {size[1]:,} taxa, 1 % not 0, with Newick",
        lambda: fe.unifrac(counts, newick, taxa=taxa, method="weighted", condensed=True),
    )
    read = io.StringIO
    job.opponents["scikit-bio, numba"] = lambda: _scikit_bio(counts.toarray(), TreeNode.read(read(newick)), taxa)
    job.bars = [measure.faster(20, "scikit-bio, numba")]
    return job


def into_a_file(sizes: Sizes) -> Job:
    """All pairs of a table, written to a memory map, beside the same in memory."""
    tree = random_tree(sizes.nodes, sizes.leaves)
    rows = histograms(sizes.file, tree.n, 8)
    folder = Path(tempfile.mkdtemp())
    out = np.memmap(folder / "distances.dat", np.float32, "w+", shape=(sizes.file,) * 2)
    limit = 1 << 28

    def call(**options: object) -> object:
        Path(folder, "distances.dat.fastemd.json").unlink(missing_ok=True)
        return fe.pairwise(rows, space=tree, mass="normalize", memory_limit=limit, **options)

    weakref.finalize(call, shutil.rmtree, folder)
    tracemalloc.start()
    call(out=out)
    share = tracemalloc.get_traced_memory()[1] / limit
    tracemalloc.stop()
    job = Job(
        f"pairwise of {sizes.file:,} rows into a memory map, {sizes.nodes:,} nodes, float32",
        lambda: call(out=out),
    )
    job.beside["in memory"] = call
    job.bars = [
        measure.within(1.15, "× the time in memory", "in memory"),
        measure.at_most(1.0, "of memory_limit at the peak", share),
    ]
    return job


def words(count: int) -> tuple[fe.Tree, csr_array]:
    """Return WordNet's noun tree, and how often each meaning of a noun is used: sparse rows."""
    tree = fe.Tree.wordnet_nouns()
    number = {wnid: i for i, wnid in enumerate(table("wordnet_noun_tree")["wnid"])}
    senses = table("wordnet_noun_senses")
    row = {lemma: i for i, lemma in enumerate(dict.fromkeys(senses["lemma"]))}
    entries = [row[lemma] for lemma in senses["lemma"]], [number[wnid] for wnid in senses["wnid"]]
    return tree, csr_array((np.array(senses["count"], float), entries), shape=(len(row), tree.n))[:count]


def lemmas(sizes: Sizes) -> Job:
    """All pairs of sparse rows on WordNet's noun tree."""
    tree, rows = words(sizes.lemmas)
    name = f"pairwise of {rows.shape[0]:,} sparse rows, noun tree of {tree.n_nodes:,} nodes"
    bars = [seconds_at_most(30)]
    return Job(name, lambda: fe.pairwise(rows, space=tree, mass="normalize", dtype=np.float32), bars=bars)


def near_lemmas(sizes: Sizes) -> Job:
    """The nearest of sparse rows on WordNet's noun tree."""
    tree, rows = words(sizes.lemmas)
    name = f"10 nearest of {rows.shape[0]:,} sparse rows, noun tree of {tree.n_nodes:,} nodes"
    return Job(name, lambda: fe.nearest(rows, rows, space=tree, k=10, mass="normalize"), bars=[seconds_at_most(5)])


def grey_levels(sizes: Sizes) -> Job:
    """The nearest of rows of grey levels, beside the full matrix."""
    rng = np.random.default_rng(3)
    rows = sizes.library + sizes.queries
    middle, width, share = rng.uniform(20, 236, (2, rows, 1)), rng.uniform(5, 50, (2, rows, 1)), rng.random((rows, 1))
    one, other = np.exp(-(((np.arange(256) - middle) / width) ** 2))
    levels = share * one / one.sum(axis=1, keepdims=True) + (1 - share) * other / other.sum(axis=1, keepdims=True)
    levels = levels.astype(np.float32)
    space, queries, library = fe.Chain(256), levels[: sizes.queries], levels[sizes.queries :]
    job = Job(
        f"10 nearest of {sizes.queries:,} among {sizes.library:,} rows of 256 grey levels",
        lambda: fe.nearest(queries, library, space=space, k=10, mass="normalize"),
    )
    job.beside["pairwise alone"] = lambda: fe.pairwise(queries, library, space=space, mass="normalize")
    job.bars = [measure.faster(10, "pairwise alone")]
    return job


JOBS: dict[str, Callable[[Sizes], Job]] = {
    "cross": cross,
    "one table": one_table,
    "lemmas": lemmas,
    "nearest lemmas": near_lemmas,
    "microbiome": microbiome,
    "into a file": into_a_file,
    "grey levels": grey_levels,
}

"""Distances of dask arrays: rows in chunks, computed by the workers of any cluster, into memory or into zarr.

Each task takes one chunk of each array and answers with the functions of fastemd, so the same chunks have answers of
the same bits wherever a task runs. A worker that is lost has its tasks done again by others. Chunks of cupy stay on
their worker's GPU: start one worker process for each GPU.
"""

from __future__ import annotations

import operator
from typing import Any, cast

import numpy as np

from .bio import distances
from .exact import api
from .exact.validation import options, space_of
from .pairs import api as pairs
from .spaces import Tree
from .spaces.base import Space
from .spaces.phylogenies import parts_of

try:
    import dask
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph
except ImportError as error:  # pragma: no cover
    raise ImportError("fastemd.dask needs dask. Needed: pip install 'fastemd[dask]'.") from error

__all__ = ["emd", "nearest", "pairwise", "unifrac"]

CHUNK = 2048  # rows of a chunk of a plain array: 4 million pairs are a task of some seconds


def emd(a: Any, b: Any, space: Space, *, rho: float = 1, mass: str = "equal", check: bool = True) -> Any:
    """Earth Mover's Distance of rows of dask arrays, as `fastemd.emd`.

    Parameters
    ----------
    a, b : dask array or array_like, shapes (N, n), or (n,) for one histogram against all rows of the other
        Chunks of both are aligned; the bins of a row go into one chunk.
    space : Chain, Ring or Tree
    rho, mass, check
        As for `fastemd.emd`.

    Returns
    -------
    dask array, shape (N,)

    Raises
    ------
    TypeError, ValueError
        For options or shapes that do not fit; for bad rows when it is computed.

    Examples
    --------
    >>> import dask.array as da, fastemd as fe, fastemd.dask
    >>> a = da.eye(4, chunks=2)
    >>> fe.dask.emd(a, a[::-1], fe.Chain(4)).compute()
    array([3., 1., 1., 3.])
    """
    space, rho, mass = options(space, rho, mass)
    left, right = (_rows(x, name, space, one=True) for x, name in ((a, "a"), (b, "b")))
    if left.ndim == right.ndim == 1:
        left = left[None]
    count = {x.shape[0] for x in (left, right) if x.ndim == 2}
    if len(count) > 1:
        raise ValueError(
            f"a has shape {left.shape} and b has shape {right.shape}. Needed: as many rows, or one of (n,)."
        )
    shared = dask.delayed(space)
    return da.blockwise(
        _values,
        "i",
        left,
        "ik" if left.ndim == 2 else "k",
        right,
        "ik" if right.ndim == 2 else "k",
        space=shared,
        rho=rho,
        mass=mass,
        check=check,
        concatenate=True,
        dtype=_dtype(left, right),
        meta=np.empty(0, _dtype(left, right)),
    )


def pairwise(A: Any, B: Any = None, *, space: Space, rho: float = 1, mass: str = "equal") -> Any:
    """Distances of all rows of A to all rows of B, a block of them for each pair of chunks.

    Parameters
    ----------
    A, B : dask array or array_like, shapes (N, n) and (M, n)
        Without B the rows of A among themselves, of which half is computed.
    space : Chain, Ring or Tree
    rho, mass
        As for `fastemd.pairwise`.

    Returns
    -------
    dask array, shape (N, M)
        Its method ``to_zarr`` has the workers write the blocks side by side; the matrix need not fit into any memory.

    Raises
    ------
    TypeError, ValueError
        As `emd`.

    Examples
    --------
    >>> import dask.array as da, fastemd as fe, fastemd.dask
    >>> fe.dask.pairwise(da.eye(3, chunks=2), space=fe.Chain(3)).compute()
    array([[0., 1., 2.],
           [1., 0., 1.],
           [2., 1., 0.]])
    """
    space, rho, mass = options(space, rho, mass)
    rows = _rows(A, "A", space)
    columns = rows if B is None else _rows(B, "B", space)
    chunk, own = ((task, dask.delayed(space), rho, mass) for task in (_table, _own_table))
    return _blocks("pairwise", rows, None if B is None else columns, chunk, own, _dtype(rows, columns))


def unifrac(
    table: Any,
    tree: Any,
    *,
    taxa: Any = None,
    method: str = "weighted",
    alpha: float | None = None,
    default_length: float | None = None,
) -> Any:
    """UniFrac distances between all samples of a dask array, as `fastemd.unifrac`.

    Parameters
    ----------
    table : dask array or array_like, shape (samples, taxa)
        Counts or shares, in host memory.
    tree, taxa, method, alpha, default_length
        As for `fastemd.unifrac`.

    Returns
    -------
    dask array of float64, shape (samples, samples)

    Raises
    ------
    TypeError, ValueError
        As `fastemd.unifrac`, when it is computed.

    Examples
    --------
    >>> import dask.array as da, fastemd as fe, fastemd.dask
    >>> tree = fe.Tree.from_edges([("root", "a"), ("root", "b")], bins=["a", "b"])
    >>> fe.dask.unifrac(da.from_array([[3, 1], [0, 2], [1, 1]], chunks=2), tree, taxa=["a", "b"]).compute()
    array([[0. , 1.5, 0.5],
           [1.5, 0. , 1. ],
           [0.5, 1. , 0. ]])
    """
    rows = table if isinstance(table, da.Array) else da.from_array(np.asarray(table), chunks=(CHUNK, -1))
    rows = rows.rechunk({1: -1})
    parsed = tree if isinstance(tree, Tree) else Tree(*parts_of(tree, default_length))
    keywords = {"method": method, "alpha": alpha, "default_length": default_length}
    names = list(taxa) if taxa is not None else None
    chunk, own = ((task, dask.delayed(parsed), names, keywords) for task in (_unifrac_table, _own_unifrac))
    return _blocks("unifrac", rows, None, chunk, own, np.dtype(np.float64))


def _blocks(label: str, rows: Any, columns: Any, chunk: tuple[Any, ...], own: tuple[Any, ...], dtype: Any) -> Any:
    """Return a table with a block for each pair of chunks; without columns, half of them are mirror images.

    `chunk` and `own` are a task for two chunks and for a chunk with itself, and its arguments after the two; the first
    of them is a delayed object, which the workers share.
    """
    name = f"{label}-{dask.base.tokenize(rows, columns, chunk, own)}"
    graph: dict[Any, Any] = {}
    others = rows if columns is None else columns
    for i in range(rows.numblocks[0]):
        for j in range(others.numblocks[0]):
            if columns is None and j < i:
                graph[name, i, j] = (operator.attrgetter("T"), (name, j, i))
                continue
            task, shared, *rest = own if columns is None and i == j else chunk
            graph[name, i, j] = (task, (rows.name, i, 0), (others.name, j, 0), shared.key, *rest)
    layers = HighLevelGraph.from_collections(name, graph, dependencies=[rows, others, chunk[1], own[1]])
    return da.Array(layers, name, (rows.chunks[0], others.chunks[0]), dtype=dtype, meta=np.empty((0, 0), dtype))


def nearest(A: Any, B: Any, *, space: Space, k: int, rho: float = 1, mass: str = "equal") -> tuple[Any, Any]:
    """The k nearest rows of B for each row of A, exactly.

    Parameters
    ----------
    A, B : dask array or array_like, shapes (N, n) and (M, n)
        Queries, and the rows to search.
    space : Chain, Ring or Tree
    k : int
        From 1 to M.
    rho, mass
        As for `fastemd.pairwise`.

    Returns
    -------
    distances : dask array, shape (N, k)
        In ascending order.
    indices : dask array of int64, shape (N, k)
        Rows of B; of equal distances the smaller index comes first.

    Raises
    ------
    TypeError, ValueError
        As `emd`, and for another k.

    Examples
    --------
    >>> import dask.array as da, fastemd as fe, fastemd.dask
    >>> distances, indices = fe.dask.nearest(da.eye(4, chunks=2)[:1], da.eye(4, chunks=2), space=fe.Chain(4), k=2)
    >>> distances.compute(), indices.compute()
    (array([[0., 1.]]), array([[0, 1]]))
    """
    space, rho, mass = options(space, rho, mass)
    rows, searched = _rows(A, "A", space), _rows(B, "B", space)
    k = _count(k, searched.shape[0])
    shared = dask.delayed(space)
    token = dask.base.tokenize(rows, searched, space.content(), rho, mass, k)
    name = "nearest-" + token
    starts = np.concatenate([[0], np.cumsum(searched.chunks[0])]).tolist()
    graph: dict[Any, Any] = {}
    answers: dict[str, dict[Any, Any]] = {name + "-distances": {}, name + "-indices": {}}
    for i in range(rows.numblocks[0]):
        best: Any = None
        for j in range(searched.numblocks[0]):
            key = (name, i, j)
            chunks = ((rows.name, i, 0), (searched.name, j, 0))
            graph[key] = (_nearest_of, best, *chunks, starts[j], k, shared.key, rho, mass)
            best = key
        for part, (answer, keys) in enumerate(answers.items()):
            keys[answer, i, 0] = (operator.itemgetter(part), best)
    layers = HighLevelGraph.from_collections(name, graph, dependencies=[rows, searched, shared])
    found = []
    for (answer, keys), dtype in zip(answers.items(), (_dtype(rows, searched), np.dtype(np.int64)), strict=True):
        whole = HighLevelGraph({**layers.layers, answer: keys}, {**layers.dependencies, answer: {name}})
        found.append(da.Array(whole, answer, (rows.chunks[0], (k,)), dtype=dtype, meta=np.empty((0, 0), dtype)))
    return found[0], found[1]


def _rows(x: Any, name: str, space: Space, one: bool = False) -> Any:
    """Return `x` as a dask array of histograms with all bins of a row in one chunk."""
    array = x if isinstance(x, da.Array) else da.from_array(np.asarray(x), chunks=(CHUNK,) * (np.ndim(x) - 1) + (-1,))
    if array.ndim != 2 and not (one and array.ndim == 1):
        raise ValueError(f"{name} has shape {array.shape}. Needed: (N, {space.n}), histograms in rows.")
    if array.shape[-1] != space_of(space).n:
        raise ValueError(
            f"{name} has shape {array.shape}. Needed: {space.n} bins in its last axis, those of {space!r}."
        )
    if np.isnan(array.shape[0]):
        raise ValueError(f"{name} has chunks of unknown size. Needed: known ones; try {name}.compute_chunk_sizes().")
    return array.rechunk({array.ndim - 1: -1})


def _count(k: Any, rows: int) -> int:
    """Return how many neighbours are asked for."""
    try:
        count = operator.index(k)
    except TypeError:
        raise TypeError(f"k is of type {type(k).__name__}. Needed: a number of rows, an int.") from None
    if not 1 <= count <= rows:
        raise ValueError(f"k is {count}. Needed: from 1 to {rows}, the rows of B.")
    return count


def _dtype(a: Any, b: Any) -> Any:
    """Return the dtype of the answer to rows of two dtypes."""
    from .arrays.inputs import promoted

    return promoted(a.dtype, b.dtype)


def _values(a: Any, b: Any, *, space: Space, rho: float, mass: str, check: bool) -> Any:
    """Return the distances of a chunk."""
    return api.emd(a, b, space, rho=rho, mass=mass, check=check)


def _table(a: Any, b: Any, space: Space, rho: float, mass: str) -> Any:
    """Return the distances of all rows of one chunk to all rows of another."""
    if isinstance(a, np.ndarray):
        return pairs.pairwise(a, b, space=space, rho=rho, mass=mass, progress=False)
    return api.emd(a[:, None], b[None], space, rho=rho, mass=mass)


def _own_table(a: Any, _: Any, space: Space, rho: float, mass: str) -> Any:
    """Return the distances of the rows of a chunk among themselves."""
    if isinstance(a, np.ndarray):
        return pairs.pairwise(a, space=space, rho=rho, mass=mass, progress=False)
    return _table(a, a, space, rho, mass)


def _unifrac_table(a: Any, b: Any, tree: Any, names: Any, keywords: dict[str, Any]) -> np.ndarray:
    """Return the distances of all samples of one chunk to all samples of another."""
    return distances.unifrac(np.concatenate([a, b]), tree, taxa=names, **keywords)[: len(a), len(a) :]


def _own_unifrac(a: Any, _: Any, tree: Any, names: Any, keywords: dict[str, Any]) -> np.ndarray:
    """Return the distances of the samples of a chunk among themselves."""
    return np.asarray(distances.unifrac(a, tree, taxa=names, **keywords))


def _nearest_of(
    best: Any, a: Any, b: Any, start: int, k: int, space: Space, rho: float, mass: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest, distances and indices, of those so far and of the rows of a chunk."""
    table = _table(a, b, space, rho, mass)
    if not isinstance(table, np.ndarray):  # on a GPU: only the table comes to the host
        table = table.get()
    indices = np.broadcast_to(start + np.arange(table.shape[1]), table.shape)
    if best is not None:
        table = np.concatenate([best[0], table], axis=1)
        indices = np.concatenate([best[1], indices], axis=1)
    order = np.argsort(table, axis=1, kind="stable")[:, :k]  # earlier chunks hold smaller indices
    taken = [np.take_along_axis(x, order, axis=1) for x in (table, indices)]
    return cast("tuple[np.ndarray, np.ndarray]", tuple(taken))

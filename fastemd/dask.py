"""Distances of dask arrays: rows in chunks, computed by the workers of any cluster, into memory or into zarr.

Each task takes one chunk of each array and answers with the functions of fastemd, so the answers have the same bits as
on one machine, however the rows are chunked and wherever a task runs. A worker that is lost has its tasks done again
by others. Chunks of cupy stay on their worker's GPU: start one worker process for each GPU.
"""

from __future__ import annotations

import operator
from typing import Any, cast

import numpy as np

from .exact import api
from .exact.validation import options, space_of
from .spaces.base import Space

try:
    import dask
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph
except ImportError as error:  # pragma: no cover
    raise ImportError("fastemd.dask needs dask. Needed: pip install 'fastemd[dask]'.") from error

__all__ = ["emd", "nearest", "pairwise"]

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


def pairwise(A: Any, B: Any = None, *, space: Space, rho: float = 1, mass: str = "equal", check: bool = True) -> Any:
    """Distances of all rows of A to all rows of B, a block of them for each pair of chunks.

    Parameters
    ----------
    A, B : dask array or array_like, shapes (N, n) and (M, n)
        Without B the rows of A among themselves, of which half is computed.
    space : Chain, Ring or Tree
    rho, mass, check
        As for `fastemd.emd`.

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
    shared = dask.delayed(space)
    name = "pairwise-" + dask.base.tokenize(rows, columns, space.content(), rho, mass, check, B is None)
    graph: dict[Any, Any] = {}
    for i in range(rows.numblocks[0]):
        for j in range(columns.numblocks[0]):
            if B is None and j < i:
                graph[name, i, j] = (operator.attrgetter("T"), (name, j, i))
            else:
                chunks = ((rows.name, i, 0), (columns.name, j, 0))
                table = _own_table if B is None and i == j else _table
                graph[name, i, j] = (table, *chunks, shared.key, rho, mass, check)
    layers = HighLevelGraph.from_collections(name, graph, dependencies=[rows, columns, shared])
    dtype = _dtype(rows, columns)
    return da.Array(layers, name, (rows.chunks[0], columns.chunks[0]), dtype=dtype, meta=np.empty((0, 0), dtype))


def nearest(
    A: Any, B: Any, *, space: Space, k: int, rho: float = 1, mass: str = "equal", check: bool = True
) -> tuple[Any, Any]:
    """The k nearest rows of B for each row of A, exactly.

    Parameters
    ----------
    A, B : dask array or array_like, shapes (N, n) and (M, n)
        Queries, and the rows to search.
    space : Chain, Ring or Tree
    k : int
        From 1 to M.
    rho, mass, check
        As for `fastemd.emd`.

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
    token = dask.base.tokenize(rows, searched, space.content(), rho, mass, check, k)
    name = "nearest-" + token
    starts = np.concatenate([[0], np.cumsum(searched.chunks[0])]).tolist()
    graph: dict[Any, Any] = {}
    answers: dict[str, dict[Any, Any]] = {name + "-distances": {}, name + "-indices": {}}
    for i in range(rows.numblocks[0]):
        best: Any = None
        for j in range(searched.numblocks[0]):
            key = (name, i, j)
            chunks = ((rows.name, i, 0), (searched.name, j, 0))
            graph[key] = (_nearest_of, best, *chunks, starts[j], k, shared.key, rho, mass, check)
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


def _table(a: Any, b: Any, space: Space, rho: float, mass: str, check: bool) -> Any:
    """Return the distances of all rows of one chunk to all rows of another."""
    return api.emd(a[:, None], b[None], space, rho=rho, mass=mass, check=check)


def _own_table(a: Any, _: Any, space: Space, rho: float, mass: str, check: bool) -> Any:
    """Return the distances of the rows of a chunk among themselves: the upper triangle, and its mirror image."""
    table = _table(a, a, space, rho, mass, check)
    below = np.tril_indices(len(table), -1)
    table[below] = table.T[below]
    return table


def _nearest_of(
    best: Any, a: Any, b: Any, start: int, k: int, space: Space, rho: float, mass: str, check: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest, distances and indices, of those so far and of the rows of a chunk."""
    table = _table(a, b, space, rho, mass, check)
    if not isinstance(table, np.ndarray):  # on a GPU: only the table comes to the host
        table = table.get()
    indices = np.broadcast_to(start + np.arange(table.shape[1]), table.shape)
    if best is not None:
        table = np.concatenate([best[0], table], axis=1)
        indices = np.concatenate([best[1], indices], axis=1)
    order = np.argsort(table, axis=1, kind="stable")[:, :k]  # earlier chunks hold smaller indices
    taken = [np.take_along_axis(x, order, axis=1) for x in (table, indices)]
    return cast("tuple[np.ndarray, np.ndarray]", tuple(taken))

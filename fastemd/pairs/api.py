"""`pairwise`, `embed` and `nearest`: the distance between all rows of one or two tables."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arrays.callers import caller_of
from ..arrays.frames import PACKAGES, pairs_frame
from ..arrays.host import package_of
from ..spaces.base import Space
from ..spaces.tree import Tree
from . import device, matrix, store, validation
from .columns import Columns, subtree_ranges
from .tables import Table
from .tiles import EMBEDDED, tiles_of


def pairwise(
    A: ArrayLike,
    B: ArrayLike | None = None,
    *,
    space: Space,
    rho: float = 1,
    mass: str = "equal",
    out: Any = None,
    condensed: bool = False,
    dtype: Any = None,
    memory_limit: int | None = None,
    progress: bool | None = None,
) -> Any:
    """Earth Mover's Distance between all rows of a table, or between all rows of two.

    On a chain or tree the distance is a sum over edges, ``sum_e length_e * abs(F_ae - F_be) ** rho``, where F_ae is the
    mass of row a below edge e. So all pairs cost as much as an L1 distance of vectors, and are computed in tiles at the
    speed of the arithmetic units.

    Parameters
    ----------
    A, B : array_like, or sparse array or matrix of scipy or cupyx, shapes (rows, n)
        Histograms, a row each, as for `fastemd.emd`; on a CUDA device dense ones, all on the same. Sparse rows of cupyx
        are compared in host memory. B=None: all pairs of rows of A, of which half are computed.
    space : Chain, Ring or Tree
    rho : float, optional
        Exponent of the flow, at least 1.
    mass : {"equal", "normalize", "root"}, optional
        As for `fastemd.emd`; with "equal" all rows have the same mass.
    out : ndarray, numpy.memmap, zarr array or array on the device of A, optional
        Receives the distances, tile by tile. A run that writes to a file and is interrupted is resumed by the same call
        on the file opened with mode "r+": what has been written is kept in a record beside it, FILE.fastemd.json.
    condensed : bool, optional
        True: the upper triangle without the diagonal, in the order of scipy's ``squareform``. With B=None.
    dtype : dtype, optional
        Of the answer; by default that of the rows, float64 for integers.
    memory_limit : int, optional
        Bytes of scratch at most, beside A, B and the answer; 2**30 by default.
    progress : bool, optional
        True: a progress bar (needs rich). None: on a terminal, once it takes longer than two seconds.

    Returns
    -------
    ndarray, shape (rows of A, rows of B); (rows * (rows - 1) / 2,) if condensed
        `out`, if it was given; else of the kind of A, on its device. With B=None it is symmetric, bit for bit, and 0 on
        the diagonal.

    Raises
    ------
    TypeError, ValueError
        If arguments do not fit, for the first bad row, for a memory limit that no tile fits in, and for a record of
        other input.
    OSError
        If the file cannot be written, or the disk is full.

    Notes
    -----
    Time O(rows ** 2 * columns), where edges that no row reaches and edges that carry the same in all rows are left out.
    Sums of float32 rows are float32 over 128 edges at most, and then float64: their relative error stays below 1e-6;
    for rows that are nearly equal it is that of flows of float32.
    Sparse rows on a tree take O(nonzeros * depth) to embed and, for each pair, the columns that both have; they are
    never made dense. On a ring each pair has a circulation of its own, which takes some ten times longer. Answers do
    not depend on the number of threads or the size of the tiles.

    References
    ----------
    M. Martinez et al., arXiv:1611.07573 (2016). Trees: S. Evans, F. Matsen, The phylogenetic Kantorovich-Rubinstein
    metric for environmental sequence samples, J. R. Stat. Soc. B 74 (2012).

    Examples
    --------
    >>> import fastemd as fe
    >>> fe.pairwise([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], space=fe.Chain(3))
    array([[0., 1., 2.],
           [1., 0., 1.],
           [2., 1., 0.]])
    """
    tables, space, rho, mass = validation.tables_of(A, B, space, rho, mass)
    limit = validation.memory_limit(memory_limit)
    answer = validation.answer_dtype(dtype, tables)
    symmetric = B is None
    if condensed and not symmetric:
        raise ValueError("condensed is True, and there is a B. Needed: B=None, whose matrix is symmetric.")
    rows, columns = len(tables[0]), len(tables[-1])
    shape = matrix.shape_of(rows, columns, condensed)
    options = {"rho": rho, "mass": mass, "dtype": str(answer), "shape": shape, "symmetric": symmetric}
    key = functools.partial(store.digest, space=space, options=options)
    if isinstance(tables[0], device.DeviceTable):
        return device.pairwise(tables, space, rho, mass, out, condensed, answer, limit, progress, key)
    target = store.output(out, shape, answer)
    way = tiles_of(tables, space, rho, mass, limit)
    matrix.fill(
        target,
        way,
        rows,
        columns,
        symmetric,
        condensed,
        limit,
        functools.partial(key, [table.rows for table in tables]),
        progress,
    )
    if out is not None:
        return out
    other = A if B is None else B
    if target.ndim == 2 and package_of(A) in PACKAGES:
        return pairs_frame(target, A, other)
    caller = None if isinstance(A, np.ndarray) else caller_of(tables[0].rows, A, other)
    return target if caller is None else caller(target, -1)


def embed(A: ArrayLike, space: Space, *, rho: float = 1, mass: str = "equal") -> Any:
    """Vectors whose distance is the Earth Mover's Distance of the rows, for any index of vectors.

    At ``rho=1`` their L1 distance is the EMD, at ``rho=2`` their squared L2 distance is the relaxed one. Column e is
    ``length_e ** (1 / rho)`` times the mass below edge e.

    Parameters
    ----------
    A : array_like or scipy.sparse array or matrix, shape (rows, n)
        Histograms, as for `pairwise`.
    space : Chain or Tree
    rho : float, optional
        At least 1; the distance is ``sum(abs(x - y) ** rho)``.
    mass : {"equal", "normalize", "root"}, optional
        As for `pairwise`. Tables that are embedded by different calls have the same mass, or "root" is meant.

    Returns
    -------
    ndarray, shape (rows, m), or scipy.sparse.csr_array
        A column an edge, as `fastemd.flow` lists them; of the dtype of the rows, float64 for integers. Sparse for
        sparse rows.

    Raises
    ------
    TypeError, ValueError
        As `pairwise`, and on a Ring: the flow around it depends on the pair, and no such vectors exist.

    Notes
    -----
    Time O(n) a row; sparse rows on a tree O(nonzeros * depth). On a chain a sparse row has a column for each bin from
    its first mass on.

    References
    ----------
    As `pairwise`.

    Examples
    --------
    >>> import fastemd as fe
    >>> fe.embed([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], fe.Chain(3))
    array([[1., 1.],
           [0., 0.]])
    """
    tables, space, rho, mass = validation.tables_of(A, None, space, rho, mass)
    table = tables[0]
    if space.kind == "ring":
        raise ValueError(
            "space is a Ring, on which the flow of a pair depends on both. Needed: a Chain or a Tree; fastemd.pairwise "
            "and fastemd.nearest work on a Ring."
        )
    weight = space.lengths ** (1.0 / rho)
    caller = None if isinstance(A, np.ndarray) else caller_of(table.rows, A, A)
    if isinstance(table, device.DeviceTable):
        return device.embed(table, space, weight)
    if table.sparse:
        found = _sparse_embedding(table, space, weight)
        return found if caller is None else caller(found, -1)
    from ..exact.api import flow

    rows = np.asarray(table.dense(0, len(table)), table.dtype)
    flows = flow(rows, np.zeros((1, space.n), table.dtype), space, mass="root")
    np.multiply(flows, weight, out=flows, casting="same_kind")
    return flows if caller is None else caller(flows, -1)


def _sparse_embedding(table: Table, space: Space, weight: np.ndarray) -> Any:
    """Return the embedding of a sparse table, a column an edge."""
    from scipy.sparse import csr_array, vstack

    if not isinstance(space, Tree):
        blocks = []
        for start in range(0, len(table), EMBEDDED):
            rows = table.dense(start, min(start + EMBEDDED, len(table)))
            blocks.append(csr_array(np.cumsum(rows, axis=1)[:, :-1] * weight))
        empty = csr_array((0, space.m))
        return csr_array(vstack(blocks) if blocks else empty).astype(table.dtype)
    first, beyond = subtree_ranges(space)
    edges = np.flatnonzero(beyond > first)
    order = np.argsort(space.arrays.place, kind="stable")
    columns = Columns(order, first[edges], beyond[edges], weight[edges])
    flows = table.flows(columns, weight[edges], 0, len(table)).tocoo()
    found = csr_array((flows.data, (flows.row, edges[flows.col])), shape=(len(table), space.m))
    found.sort_indices()
    return found.astype(table.dtype)


def nearest(
    A: ArrayLike,
    B: ArrayLike,
    *,
    space: Space,
    k: int,
    rho: float = 1,
    mass: str = "equal",
    memory_limit: int | None = None,
) -> tuple[Any, Any]:
    """The k nearest rows of B for each row of A, exactly.

    Parameters
    ----------
    A, B : array_like or scipy.sparse array or matrix, shapes (rows, n)
        Histograms, as for `pairwise`.
    space : Chain, Ring or Tree
    k : int
        How many; at most the rows of B.
    rho, mass, memory_limit
        As for `pairwise`.

    Returns
    -------
    distances : ndarray, shape (rows of A, k)
        In ascending order, with the bits of `pairwise`.
    indices : ndarray of int64, shape (rows of A, k)
        The rows of B; of equal distances the first come first. As ``kneighbors`` of scikit-learn returns both.

    Raises
    ------
    TypeError, ValueError
        As `pairwise`, and if k is larger than the number of rows of B.

    Notes
    -----
    Dense rows on a chain or tree are first compared by the sums over all edges, then by those of groups of neighbouring
    edges, which bound the distance from below: ``abs(sum(x - y)) ** rho <= g ** (rho - 1) * sum(abs(x - y) ** rho)``
    for g edges. Only rows whose bounds are not above the k-th distance so far are compared in full.

    References
    ----------
    As `pairwise`.

    Examples
    --------
    >>> import fastemd as fe
    >>> distances, indices = fe.nearest([[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]], space=fe.Chain(3), k=1)
    >>> distances, indices
    (array([[0.5]]), array([[1]]))
    """
    from .nearest import search

    tables, space, rho, mass = validation.tables_of(A, B, space, rho, mass)
    number = validation.count(k, len(tables[1]))
    limit = validation.memory_limit(memory_limit)
    if isinstance(tables[0], device.DeviceTable):
        return device.search(tables, space, rho, mass, number, limit)
    distances, indices = search(tables, space, rho, mass, number, limit)
    with np.errstate(over="ignore", under="ignore"):
        distances = distances.astype(validation.answer_dtype(None, tables))
    caller = None if isinstance(A, np.ndarray) and isinstance(B, np.ndarray) else caller_of(tables[0].rows, A, B)
    return (distances, indices) if caller is None else (caller(distances, -1), caller(indices, -1))


__all__ = ["embed", "nearest", "pairwise"]

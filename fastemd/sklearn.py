"""A transformer of scikit-learn: histograms in, vectors out whose plain distance is the Earth Mover's Distance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .arrays.inputs import one_of
from .exact.api import flow
from .exact.validation import PLAN_MASSES, space_of
from .spaces import Chain

try:
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:  # pragma: no cover
    raise ImportError(
        "fastemd.sklearn needs scikit-learn 1.6 or later. Needed: pip install 'fastemd[sklearn]'."
    ) from error

__all__ = ["EMDEmbedding"]


class EMDEmbedding(TransformerMixin, BaseEstimator):
    """Vectors of histograms, between which the L1 distance (rho = 1) or the squared L2 distance (rho = 2) is the EMD.

    Entry e is ``length_e * phi_e`` with rho = 1 and ``sqrt(length_e) * phi_e`` with rho = 2, for the mass phi_e below
    edge e. So every method of scikit-learn that takes vectors and ``metric="manhattan"`` (with rho = 2
    ``metric="sqeuclidean"`` or ``"euclidean"``) works with the EMD, with its trees and its speed.

    Parameters
    ----------
    space : Chain, Ring or Tree, optional
        Where the bins, the columns, lie; by default a chain of as many bins as there are columns. Rings have an
        embedding with rho = 2 only.
    rho : {1, 2}, optional
        Exponent of the flow.
    mass : {"normalize", "equal"}, optional
        "normalize": each row is divided by its mass. "equal": rows are taken as they are, and should hold equal mass.

    Attributes
    ----------
    space_ : Chain, Ring or Tree
    edges_ : ndarray of int
        The edges of length above 0, one for each column of the output.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where `fit` got a DataFrame.

    Raises
    ------
    TypeError, ValueError
        From `fit` for a space or an option that does not fit, from both for rows that are no histograms.

    Examples
    --------
    >>> import fastemd as fe
    >>> from fastemd.sklearn import EMDEmbedding
    >>> X = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    >>> EMDEmbedding(fe.Chain(3)).fit_transform(X)
    array([[1., 1.],
           [0., 0.]])
    """

    def __init__(self, space: Any = None, *, rho: float = 1, mass: str = "normalize") -> None:
        self.space = space
        self.rho = rho
        self.mass = mass

    def fit(self, X: ArrayLike, y: Any = None) -> EMDEmbedding:
        """Check the options and the number of columns; nothing is learned from the rows.

        Parameters
        ----------
        X : array_like, shape (N, n)
            Histograms.
        y : ignored

        Returns
        -------
        EMDEmbedding
            Itself.
        """
        self._rows(X, reset=True)
        return self

    def transform(self, X: ArrayLike) -> Any:
        """Return the vectors of histograms.

        Parameters
        ----------
        X : array_like, shape (N, n)

        Returns
        -------
        ndarray, shape (N, n_edges)
            In float32 for float32, else float64; what `set_output` asks for.
        """
        check_is_fitted(self)
        rows = self._rows(X, reset=False)
        if self.mass == "normalize":
            masses = rows.sum(axis=1, dtype=np.float64)
            if not (masses > 0).all():
                i = int(np.argmin(masses > 0))
                raise ValueError(f"X[{i}] (row {i}) has mass 0. Needed: rows with mass; drop row {i}, or mass='equal'.")
            rows = (rows / masses[:, None]).astype(rows.dtype)
        lengths = self.space_.lengths[self.edges_]
        scale = lengths if self.rho == 1 else np.sqrt(lengths)
        return (self._flows(rows) * scale).astype(rows.dtype)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns, "edge0" and so on, by the numbers of the edges.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str, shape (n_edges,)
        """
        check_is_fitted(self)
        return np.array([f"edge{e}" for e in self.edges_], dtype=object)

    def _rows(self, X: Any, *, reset: bool) -> np.ndarray:
        """Return histograms that fit the options; with `reset`, the options are checked and the space is kept."""
        rows = validate_data(self, X, reset=reset, dtype=[np.float64, np.float32], ensure_non_negative=True)
        if reset:
            space = Chain(rows.shape[1]) if self.space is None else space_of(self.space)
            one_of(self.mass, PLAN_MASSES, "mass")
            if self.rho not in (1, 2):
                raise ValueError(f"rho is {self.rho}. Needed: 1 (L1 distance) or 2 (squared L2 distance).")
            if space.kind == "ring" and self.rho == 1:
                raise ValueError("rho is 1 on a Ring, which has no embedding into L1. Needed: rho=2, or fastemd.emd.")
            if space.n != rows.shape[1]:
                raise ValueError(f"X has {rows.shape[1]} columns. Needed: {space.n}, the bins of {space!r}.")
            self.space_ = space
            self.edges_ = np.flatnonzero(space.lengths > 0)
        return rows

    def _flows(self, rows: np.ndarray) -> np.ndarray:
        """Return the mass below each edge of length above 0; on a ring less the circulation of no other row."""
        if self.space_.kind != "ring":
            below = flow(rows, np.zeros(self.space_.n, rows.dtype), self.space_, mass="root")
            return np.asarray(below)[:, self.edges_]
        prefix = rows.cumsum(axis=1, dtype=np.float64)
        lengths = self.space_.lengths
        around = lengths.sum()
        mean = prefix @ lengths / around if around > 0 else np.zeros(len(rows))
        return (prefix - mean[:, None])[:, self.edges_]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

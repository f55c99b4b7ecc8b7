"""The base class of chains, rings and trees, and the arrays that their kernels read."""

from __future__ import annotations

import copyreg
import itertools
import weakref
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from . import validation


class ChainArrays(NamedTuple):
    """The arrays of a chain that kernels read."""

    length: np.ndarray


class RingArrays(NamedTuple):
    """The arrays of a ring that kernels read."""

    length: np.ndarray


class TreeArrays(NamedTuple):
    """The arrays of a tree that kernels read: nodes renumbered depth first, so each subtree is a range of positions.

    ``up[k]`` is the position of the parent of the node at position k (``up[0] = 0`` at the root), ``length[k]`` the
    length of the edge above it (``length[0] = 0``), ``place[i]`` the position of bin i, and ``edge[v]`` that of node v.
    """

    up: np.ndarray
    length: np.ndarray
    place: np.ndarray
    edge: np.ndarray


_numbers = itertools.count()
_by_number: weakref.WeakValueDictionary[int, Space] = weakref.WeakValueDictionary()


def space_of_number(number: int) -> Space:
    """Return the space of a number, which lives as long as somebody refers to it."""
    return _by_number[number]


class Space:
    """The base class of chains, rings and trees, for ``isinstance``; make one of those.

    Spaces are immutable: their arrays are read-only copies. They compare and hash by content, and can be pickled.

    Attributes
    ----------
    kind : str
        "chain", "ring" or "tree".
    n, m : int
        Number of bins and of edges.
    lengths : ndarray, shape (m,), float64
        Length of each edge, in the order in which flows and length gradients list the edges.
    arrays : NamedTuple of ndarray
        The arrays that kernels read; computed at first use.
    number : int
        Its own in this process: where only numbers can be passed, `space_of_number` finds the space again.
    """

    kind: ClassVar[str]
    # The constructor's keywords that define a space: equality, hash and pickle go by them alone.
    _content: ClassVar[tuple[str, ...]] = ()

    n: int
    m: int
    lengths: np.ndarray
    number: int

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Return a space without content, which has a number."""
        space = super().__new__(cls)
        vars(space)["number"] = next(_numbers)
        _by_number[space.number] = space
        return space

    def _freeze(self, **attributes: Any) -> None:
        for value in attributes.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        vars(self).update(attributes)

    @cached_property
    def kept(self) -> dict[Any, Any]:
        """What backends keep with the space: padded arrays, copies on a device, launch configurations."""
        return {}

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(validation.frozen_space(type(self).__name__, name))

    def __delattr__(self, name: str) -> None:
        raise AttributeError(validation.frozen_space(type(self).__name__, name))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(_bytes(getattr(self, name)) == _bytes(getattr(other, name)) for name in self._content)

    @cached_property
    def _hash(self) -> int:
        return hash((self.kind, *(_bytes(getattr(self, name)) for name in self._content)))

    def __hash__(self) -> int:
        return self._hash

    def content(self) -> dict[str, Any]:
        """Return the constructor's keywords that define the space, as plain lists, numbers and strings.

        Returns
        -------
        dict
            ``type(space)(**space.content())`` equals the space.
        """
        values = {name: getattr(self, name) for name in self._content}
        return {name: x.tolist() if isinstance(x, np.ndarray) else x for name, x in values.items()}

    # Pickled as a class and plain lists: torch.load(weights_only=True) admits a space once its class is allowed.
    def __reduce__(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self),), self.content()  # type: ignore[attr-defined]

    def __setstate__(self, content: dict[str, Any]) -> None:
        type(self).__init__(self, **content)

    def __copy__(self) -> Space:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Space:
        return self


def _bytes(value: Any) -> Any:
    """Return an array as bytes, which can be compared and hashed: spaces hold neither NaN nor -0.0."""
    return value.tobytes() if isinstance(value, np.ndarray) else value

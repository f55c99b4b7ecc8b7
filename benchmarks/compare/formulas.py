"""The formula itself in PyTorch and JAX, as one would write it without a library: eager and compiled.

On a chain it is a prefix sum, on a ring of equal edges a prefix sum less its median, on a tree a product with the
matrix that says which bins lie below which edge or, without that matrix, a difference of two prefix sums in
depth-first order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np

from fastemd.reference.flows import Space
from fastemd.spaces import Tree

from . import packages
from .solver import EVERYWHERE, Answer, Array, Ready, Solver

THREADS = 2


class Subtrees(NamedTuple):
    """Each subtree as a run in depth-first order: the edge above it has the flow `sums[beyond] - sums[first]`.

    Attributes
    ----------
    order : ndarray, shape (n,), int
        The bins in depth-first order, of which `sums`, (n + 1,), are the prefix sums.
    first, beyond : ndarray, shape (edges,), int
    length : ndarray, shape (edges,), float64
    """

    order: Array
    first: Array
    beyond: Array
    length: Array


def subtrees(space: Tree) -> Subtrees:
    """Return the runs of a tree's subtrees."""
    up, length, place, _ = space.arrays
    size = np.ones(len(up), dtype=np.intp)
    for v in range(len(up) - 1, 0, -1):
        size[up[v]] += size[v]
    order = np.argsort(place)
    nodes = np.arange(1, len(up))
    first, beyond = np.searchsorted(place[order], nodes), np.searchsorted(place[order], nodes + size[1:])
    return Subtrees(order, first, beyond, length[1:])


def membership(tree: Tree) -> Any:
    """Return the sparse (n_nodes, n) matrix that says which bins lie below which edge; with a - b it gives the flow."""
    edges, bins = [], []
    at, below = tree.bins, np.arange(tree.n)
    while (moving := at != tree.root).any():
        at, below = at[moving], below[moving]
        edges.append(at)
        bins.append(below)
        at = tree.parent[at]
    edge, bin_ = (np.concatenate([np.zeros(0, dtype=np.intp), *parts]) for parts in (edges, bins))
    csr_array = packages.load("scipy.sparse").csr_array
    return csr_array((np.ones(len(edge)), (edge, bin_)), shape=(tree.n_nodes, tree.n))


def torch_formula(space: Space) -> Callable[[Any, Any], Any]:
    """Values of a and b in PyTorch; the same text for eager and for compiled calls."""
    torch = packages.load("torch")
    if space.kind == "tree":
        order, first, beyond, length = (torch.from_numpy(np.array(part)) for part in subtrees(cast(Tree, space)))

        def tree(a: Any, b: Any) -> Any:
            sums = torch.nn.functional.pad((a - b)[:, order].cumsum(-1), (1, 0))
            return (sums[:, beyond] - sums[:, first]).abs() @ length

        return tree
    lengths = torch.from_numpy(np.array(space.lengths))

    def chain(a: Any, b: Any) -> Any:
        return (a - b).cumsum(-1)[:, :-1].abs() @ lengths

    def ring(a: Any, b: Any) -> Any:
        sums = (a - b).cumsum(-1)
        return (sums - sums.median(-1, keepdim=True).values).abs() @ lengths

    return ring if space.kind == "ring" else chain


def torch_matrix(space: Tree) -> Callable[[Any, Any], Any]:
    """Values of a and b on a tree in PyTorch, by the sparse matrix."""
    torch, matrix = packages.load("torch"), membership(space)
    parts = (torch.from_numpy(part.astype(np.int64)) for part in (matrix.indptr, matrix.indices))
    below = torch.sparse_csr_tensor(*parts, torch.from_numpy(matrix.data), size=matrix.shape, check_invariants=False)
    lengths = torch.from_numpy(np.array(space.lengths))
    return lambda a, b: lengths @ (below @ (a - b).T).abs()


def jax_formula(space: Space) -> Callable[[Any, Any], Any]:
    """Values of a and b in JAX."""
    jnp = double_precision().numpy
    if space.kind == "tree":
        order, first, beyond, length = (jnp.asarray(part) for part in subtrees(cast(Tree, space)))

        def tree(a: Any, b: Any) -> Any:
            sums = jnp.pad(jnp.cumsum((a - b)[:, order], -1), ((0, 0), (1, 0)))
            return jnp.abs(sums[:, beyond] - sums[:, first]) @ length

        return tree
    lengths = jnp.asarray(space.lengths)

    def chain(a: Any, b: Any) -> Any:
        return jnp.abs(jnp.cumsum(a - b, -1)[:, :-1]) @ lengths

    def ring(a: Any, b: Any) -> Any:
        sums = jnp.cumsum(a - b, -1)
        return jnp.abs(sums - jnp.median(sums, -1, keepdims=True)) @ lengths

    return ring if space.kind == "ring" else chain


def double_precision() -> Any:
    """Return JAX with float64, which it would round to float32 otherwise."""
    jax = packages.load("jax")
    packages.load("jax.numpy")
    jax.config.update("jax_enable_x64", True)
    return jax


def on_torch(formula: Callable[[Any, Any], Any]) -> Ready:
    """Feed a formula tensors of its own."""
    torch = packages.load("torch")
    torch.set_num_threads(THREADS)
    return Ready(lambda a, b: (torch.tensor(a), torch.tensor(b)), formula, lambda values, *_: Answer(values.numpy()))


def torch_eager(space: Space) -> Ready:
    """Operation by operation."""
    return on_torch(torch_formula(space))


def torch_sparse(space: Tree) -> Ready:
    """Operation by operation, by the matrix."""
    return on_torch(torch_matrix(space))


def torch_compiled(space: Space) -> Ready:
    """As one function, compiled for just this shape."""
    torch = packages.load("torch")
    torch.compiler.reset()  # each shape is compiled for itself, as if it were the only one
    return on_torch(torch.compile(torch_formula(space), dynamic=False))


def on_jax(formula: Callable[[Any, Any], Any]) -> Ready:
    """Feed a formula arrays of its own, and wait for its answer."""
    jax = packages.load("jax")

    def transfer(a: Array, b: Array) -> tuple[Any, ...]:
        return tuple(jax.block_until_ready([jax.numpy.array(x) for x in (a, b)]))

    return Ready(
        transfer,
        lambda a, b: jax.block_until_ready(formula(a, b)),
        lambda values, *_: Answer(np.asarray(values)),
    )


def jax_eager(space: Space) -> Ready:
    """Operation by operation."""
    return on_jax(jax_formula(space))


def jax_compiled(space: Space) -> Ready:
    """As one function."""
    formula = jax_formula(space)
    return on_jax(packages.load("jax").jit(formula))


def _solver(name: str, module: str, prepare: Callable[..., Ready], note: str, kinds: tuple[str, ...]) -> Solver:
    return Solver(name, (module,), kinds, prepare, note, batched=True, equal_ring=True)


FORMULAS = (
    _solver("torch", "torch", torch_eager, "the formula by prefix sums, eager", EVERYWHERE),
    _solver("torch, sparse", "torch", torch_sparse, "the formula by a sparse matrix, eager", ("tree",)),
    _solver("jax", "jax", jax_eager, "the formula by prefix sums, eager", EVERYWHERE),
    _solver("jax.jit", "jax", jax_compiled, "the formula by prefix sums, compiled", EVERYWHERE),
)
COMPILED = _solver("torch.compile", "torch", torch_compiled, "the formula by prefix sums, compiled", EVERYWHERE)

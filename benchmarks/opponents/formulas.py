"""The same formulas in PyTorch, on two threads: eager, compiled, and with sparse matrices.

Each opponent is given its cheapest form. Edges of a unit chain are not weighted; a tree's matrix holds only what is
needed; a compiled gradient is traced forwards and backwards as one graph, centring included; class indices are
subtracted from the probabilities in place of a matrix of one-hot rows. rho is 1 or 2.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

import fastemd as fe

from ..compare.formulas import membership, subtrees

try:
    import torch
except ModuleNotFoundError as error:
    torch, missing = None, str(error)
else:
    torch.set_num_threads(2)
    missing = ""

Formula = Callable[..., Any]


def _cost(flow: Any, rho: int) -> Any:
    return flow.abs() if rho == 1 else flow.square()


def chain(rho: int) -> Formula:
    """Values of differences on a chain of unit lengths: cumulative sum, absolute value, sum."""
    return lambda d: _cost(d.cumsum(-1)[..., :-1], rho).sum(-1)


def _sparse(matrix: scipy.sparse.csr_array, device: str = "cpu") -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        parts = (torch.from_numpy(part.astype(np.int64)) for part in (matrix.indptr, matrix.indices))
        data = torch.from_numpy(matrix.data.astype(np.float32))
        return torch.sparse_csr_tensor(*parts, data, size=matrix.shape, check_invariants=False).to(device)


def _dense(matrix: scipy.sparse.csr_array, device: str) -> Any:
    return torch.from_numpy(matrix.toarray().astype(np.float32)).to(device)


def tree(space: fe.Tree, rho: int, device: str = "cpu", *, dense: bool = False) -> Formula:
    """Values of differences on a tree: flow = membership matrix @ d, then ``lengths @ abs(flow) ** rho``."""
    below = (_dense if dense else _sparse)(membership(space), device)
    length = torch.tensor(space.lengths, dtype=torch.float32, device=device)
    return lambda d: length @ _cost(below @ d.T, rho)


def tree_by_hand(space: fe.Tree, rho: int, device: str = "cpu", *, dense: bool = False) -> Formula:
    """Values and centred gradients on a tree, the gradient by the transposed matrix in place of autograd."""
    matrix = membership(space)
    if dense:
        below = _dense(matrix, device)
        above = below.T
    else:
        below, above = _sparse(matrix, device), _sparse(matrix.T.tocsr(), device)
    length = torch.tensor(space.lengths, dtype=torch.float32, device=device)

    def both(a: Any, b: Any) -> Any:
        flow = below @ (a - b).T
        slope = length[:, None] * (flow.sign() if rho == 1 else 2 * flow)
        potential = (above @ slope).T
        return length @ _cost(flow, rho), potential - potential.mean(-1, keepdim=True)

    return both


def tree_by_prefix_sums(space: fe.Tree, rho: int) -> Formula:
    """Values of differences on a tree without a matrix.

    In depth-first order a subtree's sum is a difference of two prefix sums. In float32 that difference of large
    numbers costs digits, which is the price of this one.
    """
    order, first, beyond, length = (torch.from_numpy(np.array(part)) for part in subtrees(space))
    weight = length.float()

    def value(d: Any) -> Any:
        prefix = torch.nn.functional.pad(d[:, order].cumsum(-1), (1, 0))
        return _cost(prefix[:, beyond] - prefix[:, first], rho) @ weight

    return value


def histograms(formula: Formula) -> Formula:
    """Values of a against b."""
    return lambda a, b: formula(a - b)


def logits(formula: Formula) -> Formula:
    """Values of softmax(z) against class indices."""

    def value(z: Any, target: Any) -> Any:
        minus_one = torch.full_like(z[:, :1], -1.0)
        return formula(z.softmax(-1).scatter_add(-1, target[:, None], minus_one))

    return value


def _centred(grad: Any, centred: bool) -> Any:
    return grad - grad.mean(-1, keepdim=True) if centred else grad


def autograd(formula: Formula, *, centred: bool = True) -> Formula:
    """Values, and their gradient with respect to the first argument."""

    def both(a: Any, b: Any) -> Any:
        a = a.detach().requires_grad_()
        value = formula(a, b)
        (grad,) = torch.autograd.grad(value.sum(), a)
        return value.detach(), _centred(grad, centred)

    return both


def traceable(formula: Formula, *, centred: bool = True) -> Formula:
    """The same as `autograd`, in the form that torch.compile takes as one graph."""

    def summed(a: Any, b: Any) -> Any:
        value = formula(a, b)
        return value.sum(), value

    def both(a: Any, b: Any) -> Any:
        grad, (_, value) = torch.func.grad_and_value(summed, has_aux=True)(a, b)
        return value, _centred(grad, centred)

    return both


def call(function: Formula, *arrays: np.ndarray) -> Callable[[], Any]:
    """Return a call of `function` on these arrays, which share their memory with torch."""
    return functools.partial(function, *map(torch.from_numpy, arrays))


def compiled_call(function: Formula, *arrays: np.ndarray) -> tuple[Callable[[], Any] | None, str]:
    """Return a call of the compiled function; or None, and why there is none (such as: no C++ compiler)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch's compiler uses what torch deprecates
            torch.compiler.reset()  # each size is compiled for itself, as if it were the only one
            result = call(torch.compile(function, dynamic=False), *arrays)
            result()
    except RuntimeError as error:
        return None, f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
    return result, ""

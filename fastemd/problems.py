"""The records between a call and a backend: a problem, which the call builds once, and a solution.

Both backends have the same `solve(problem, ...)` in their `launch` modules.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .spaces.base import Space

# Largest cost range over reg whose exponentials stay normal numbers of a dtype, also when squared.
SAFE_RANGE = {"float16": 35.0, "bfloat16": 35.0, "float32": 35.0, "float64": 280.0}
# Largest cost range over reg of sums of plain float64: they stay above exp(-300) times the largest weight.
PLAIN_RANGE = 300.0


class EMDProblem(NamedTuple):
    """Rows of histograms on a space, and how they are compared.

    Parameters
    ----------
    a, b : ndarray or DeviceArray, shapes (..., n)
        Histograms; with `logits`, logits and either class indices (...) or histograms (..., n).
    batch : tuple of int
        The shape that the leading axes broadcast to.
    dtype : numpy.dtype or BFLOAT16
        Of the answer.
    space : Chain, Ring or Tree
    rho : float
        Exponent of the flow.
    mass : str
        The mass policy.
    tolerance : float
        By how much, relative to the larger, the masses of a pair may differ.
    normalized : pair of bool
        Which of the two is divided by its mass.
    logits : bool
        Whether a holds logits.
    caller : Caller or None
        Makes answers arrays of the caller's library; None where the caller passes numpy arrays, or arrays on a device.
    empty : str
        What the answer of a pair with an empty row is, where it has none: "raise", "nan" or "zero".
    """

    a: Any
    b: Any
    batch: tuple[int, ...]
    dtype: Any
    space: Space
    rho: float
    mass: str
    tolerance: float
    normalized: tuple[bool, bool]
    logits: bool = False
    caller: Any = None
    empty: str = "raise"


class Cost(NamedTuple):
    """The cost of moving a unit from bin i of a (n bins) to bin j of b (k bins): a distance on a space, or a matrix.

    Parameters
    ----------
    space : Chain, Ring or Tree, or None
    matrix : ndarray or DeviceArray, shape (n, k), or None
        float64 in host memory; on a device as the caller has it.
    n, k : int
    cost_range : float
        The largest finite cost less the smallest.
    least : float
        The smallest cost.
    device_copy : DeviceArray, shape (n, k), or None
        A matrix on a device as float64 in C order; the matrix itself, if it is that already.
    forbids : bool
        Whether some cost is infinite: no mass may go from that bin to that one.
    """

    space: Any
    matrix: Any
    n: int
    k: int
    cost_range: float
    least: float
    device_copy: Any = None
    forbids: bool = False


class SinkhornProblem(NamedTuple):
    """Rows of histograms, a cost, and how Sinkhorn's iteration is run on them.

    Parameters
    ----------
    a, b : ndarray or DeviceArray, shapes (..., n) and (..., k)
    batch : tuple of int
        The shape that the leading axes broadcast to.
    dtype : numpy.dtype or BFLOAT16
        Of the histograms, float64 for integers: it decides the precision of the iteration.
    answer : numpy.dtype or BFLOAT16
        Of the arrays that a backend on a device writes; on the CPU answers are float64.
    cost : Cost
    reg : float
    stages : tuple of float
        The regs to solve for in turn: `reg` is the last, and the only one without epsilon scaling.
    max_iter : int
        For each stage.
    tol : float
        Marginal error at which a row has converged; -1: at none.
    unbalanced : pair of float or None, or None
        Prices of marginals that differ from a and from b; None in the pair for a marginal that may not differ, None in
        its place if neither may.
    method : str
        "scaling" or "log".
    normalize : bool
        Whether rows are divided by their mass.
    tolerance : float or None
        By how much the masses of a pair may differ, relative to the larger; None: by anything.
    start : pair of ndarray or DeviceArray, shapes (..., n) and (..., k), or None
        Potentials to begin with.
    plan : bool
        Whether the plan is wanted.
    same : bool
        Whether b is a, under a symmetric cost.
    caller : Caller or None
        As of `EMDProblem`.
    """

    a: Any
    b: Any
    batch: tuple[int, ...]
    dtype: Any
    answer: Any
    cost: Cost
    reg: float
    stages: tuple[float, ...]
    max_iter: int
    tol: float
    unbalanced: tuple[float | None, float | None] | None
    method: str
    normalize: bool
    tolerance: float | None
    start: tuple[Any, Any] | None = None
    plan: bool = False
    same: bool = False
    caller: Any = None


class Solution(NamedTuple):
    """Answers to the rows (...) of a `SinkhornProblem`, as `fastemd.results.SinkhornResult` names them.

    Arrays are float64 ndarrays on the CPU, `DeviceArray`s on a device. `good` says which rows are pairs of histograms;
    it is None on a device, where the answers of other rows are NaN.
    """

    value: Any
    regularised: Any
    f: Any
    g: Any
    grad_a: Any
    grad_b: Any
    n_iter: Any
    error: Any
    converged: Any
    plan: Any
    good: Any = None


# How `combine` makes one array of three: x - (y + z) / 2, the largest, or the least of them.
DEBIASED, LARGEST, LEAST = 0, 1, 2

"""State of Sinkhorn's iteration in device memory, and the options of its kernels.

All numbers are float64. Each side has vectors of one row after the other. Potentials are divided by reg and are never
exponentiated. The state table has one row of `FIELDS` numbers for each row of the problem.
"""

from typing import Any, NamedTuple

from ..primitives.intrinsics import device
from ..primitives.memory import DOUBLE

# Fields of the state table. Of the iteration: over-relaxation, 0 where a row has converged; marginal error; mass of the
# plan over that of a; iterations of this stage, and of the stages before.
OMEGA, ERROR, PLAN_MASS, COUNT, EARLIER_COUNT = 0, 1, 2, 3, 4
# Of its over-relaxation, see fastemd.formulas.over_relaxation.
WINDOW_START, WINDOW, START_ERROR, SPEED, ERROR_LIMIT, LARGEST_OMEGA = 5, 6, 7, 8, 9, 10
LARGEST_LOG_WEIGHT = 11
# Of the row: 1 if it is valid, else 0; masses; half of ln(mass of b / mass of a), 0 where both are taken as 1.
GOOD, MASS_A, MASS_B, LOG_RATIO = 12, 13, 14, 15
FIELDS = 16


class Side(NamedTuple):
    """One of the two histograms: its number of bins, and addresses of its vectors.

    mass : histogram of mass 1
    log_mass : logarithm of `mass`
    potential : potential over reg
    gibbs_kernel : matrix in C order whose entry (j, i) belongs to bin j of the other side and bin i of this one; 0 on a
        space
    """

    bins: Any
    mass: Any
    log_mass: Any
    potential: Any
    gibbs_kernel: Any


class StageOptions(NamedTuple):
    """Options of all rows in a stage of epsilon scaling.

    least_over_reg : smallest cost over reg
    damping : reg / unbalanced, 0 if balanced
    """

    reg: Any
    least_over_reg: Any
    tol: Any
    damping: Any
    max_iter: Any


class AnswerOptions(NamedTuple):
    """Further options of the answers: the smallest cost; `unbalanced`, 0 if balanced; 1 if rows are normalized."""

    least: Any
    unbalanced: Any
    normalized: Any


class SolverState(NamedTuple):
    """Addresses of the state of so many rows.

    table : the state table
    sums, weights : vectors of `width` numbers a row
    scratch : `slots` numbers a row
    """

    rows: Any
    table: Any
    sums: Any
    weights: Any
    width: Any
    scratch: Any
    slots: Any


@device
def load_field(state, field, row):
    """Return a field of the state table."""
    return DOUBLE.load(state.table + 8 * (FIELDS * row + field))


@device
def store_field(state, field, row, x):
    """Store a field of the state table; one thread of a block does."""
    DOUBLE.store(state.table + 8 * (FIELDS * row + field), x)


@device
def row_address(vectors, row, bins):
    """Return the address of a row's vector."""
    return vectors + 8 * row * bins


@device
def load(vector, i):
    """Return entry i of a vector."""
    return DOUBLE.load(vector + 8 * i)


@device
def store(vector, i, x):
    """Store entry i of a vector."""
    DOUBLE.store(vector + 8 * i, x)


class Weights(NamedTuple):
    """Addresses of a row's vectors of log mass and potential, whose sum is the logarithm of each weight."""

    log_mass: Any
    potential: Any


@device
def weights_of(side, row):
    """Return the `Weights` of a row of a side."""
    return Weights(row_address(side.log_mass, row, side.bins), row_address(side.potential, row, side.bins))


@device
def log_weight(x, j):
    """Return the logarithm of weight j."""
    return load(x.log_mass, j) + load(x.potential, j)

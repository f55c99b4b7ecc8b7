"""Sinkhorn on a device: how rows are split up, which kernels are launched, and when the host looks at the state."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ...arrays import device, driver
from ...arrays.device import DeviceArray
from ...arrays.strides import device_rows, launches
from ...problems import DEBIASED, PLAIN_RANGE, SinkhornProblem, Solution
from ..primitives import intrinsics
from ..primitives.thread_group import REDUCTION_SLOTS
from . import cost_matrix, matrix, read_rows, solver, sweeps, write_rows
from .state import FIELDS, GOOD, OMEGA, AnswerOptions, Side, SolverState, StageOptions

# Threads of the largest block, on a matrix and on a space. Kernels take up to 240 registers, so 256 threads are as many
# as a multiprocessor holds; on a space, blocks of half the size can wait by turns. Neither is measured.
BLOCK, SPACE_BLOCK = 256, 128
MOST_MEMORY = 1 << 30  # bytes of the state of rows that are solved together, but at least one row
FIRST_ITERATIONS, MOST_ITERATIONS = 8, 512  # of a call's first launch, and of any; each has twice those of the last
LAUNCH_SECONDS = 0.2  # estimated time of a launch; a device that drives a display stops a kernel after some seconds
TERM_SECONDS, LEVEL_SECONDS = 2e-9, 1e-5  # of a term of a block's sums, and of a pass with barriers: guesses
FLOAT64, COUNT, FLAG = np.dtype(np.float64), np.dtype(np.int64), np.dtype(bool)


class Stage(NamedTuple):
    """A reg, and the form of the Gibbs kernel for it: one of `matrix.ROWS`, or the kind of the space."""

    reg: float
    form: str


def solve(problem: SinkhornProblem, check: bool) -> Solution | None:
    """Solve for all rows of a problem on the stream of its arrays; the answers to bad rows are NaN.

    Under `check` the host looks, now and then, whether rows are left. If one is bad, it stops and returns None.
    Otherwise nothing waits for the device, except copies to it and borrowed memory.
    """
    solution = _unsolved(problem)
    if solution.value.size:
        with driver.on(solution.value.device):
            if not _Solver(problem, solution, check).solve():
                return None
    arrays = (problem.a, problem.b, *(problem.start or ()), problem.cost.device_copy)
    device.synchronize(*(array for array in arrays if array is not None))
    return solution


def _unsolved(problem: SinkhornProblem) -> Solution:
    """Return new arrays for the answers to all rows."""
    n, k, dtype = problem.cost.n, problem.cost.k, problem.answer

    def empty(kind: Any, *columns: int) -> Any:
        return device.empty(problem.a, (*problem.batch, *columns), kind)

    return Solution(
        empty(dtype),
        empty(dtype),
        empty(dtype, n),
        empty(dtype, k),
        empty(dtype, n),
        empty(dtype, k),
        empty(COUNT),
        empty(FLOAT64),
        empty(FLAG),
        empty(dtype, n, k) if problem.plan else None,
    )


def combine(arrays: list[Any], problem: SinkhornProblem, how: int, dtype: Any) -> Any:
    """Make one array of three that broadcast to the batch; `how` is DEBIASED, LARGEST or LEAST."""
    out = device.empty(problem.a, arrays[0].shape, dtype)
    if out.size == 0:
        return out
    columns = [*arrays, out]
    if out.ndim == len(problem.batch):
        columns = [x._replace(shape=(*x.shape, 1), strides=(*x.strides, x.dtype.itemsize)) for x in columns]
    batch, n = columns[-1].shape[:-1], columns[-1].shape[-1]
    kernel = write_rows.combine_kernel(tuple(_stored_name(x) for x in columns), how)
    with driver.on(out.device):
        for rows, inner, first, starts in launches(batch, [device_rows(x, batch) for x in columns[:3]]):
            address = out.address + first * n * out.dtype.itemsize
            blocks = min(-(-rows * n // BLOCK), 1 << 20)
            intrinsics.launch(
                kernel, blocks, BLOCK, driver.stream_of(out.stream), 0, (rows, inner, n, *starts, address)
            )
    return out


def debiased_values(parts: list[Solution], problem: SinkhornProblem) -> Any:
    """Return the values of a divergence."""
    return combine([part.regularised for part in parts], problem, DEBIASED, problem.dtype)


def _price(problem: SinkhornProblem) -> float:
    """Return the price of both marginals; 0 where they may not differ."""
    return 0.0 if problem.unbalanced is None else problem.unbalanced[0] or 0.0


def _stored_name(array: Any) -> str:
    return "uint8" if array.dtype.name == "bool" else array.dtype.name


def _form(problem: SinkhornProblem, reg: float) -> str:
    """Return the form of the Gibbs kernel: sweeps of a space, matrix products, or exponentials of each entry."""
    cost, precision = problem.cost, "float64" if problem.dtype == np.float64 else "float32"
    if cost.space is not None:
        return str(cost.space.kind)
    if problem.method == "scaling":
        return precision
    return "float64" if cost.cost_range <= PLAIN_RANGE * reg else f"{precision} exponentials"


class _Rows(NamedTuple):
    """Rows that are solved together: what every kernel takes first."""

    state: SolverState
    a: Side
    b: Side


class _Solver:
    """The solver of a problem: its cost on the device, memory for rows that are solved together, and its launches."""

    def __init__(self, problem: SinkhornProblem, solution: Solution, check: bool) -> None:
        self.problem, self.solution, self.check = problem, solution, check
        self.like, self.stream = solution.value, driver.stream_of(solution.value.stream)
        self.stages = [Stage(reg, _form(problem, reg)) for reg in problem.stages]
        self.memory: list[Any] = []
        cost = problem.cost
        largest = BLOCK if cost.space is None else SPACE_BLOCK
        self.size = min(largest, max(intrinsics.WARP, 1 << (max(cost.n, cost.k) - 1).bit_length()))
        self.answer_options = AnswerOptions(float(cost.least), _price(problem), int(problem.normalize))
        if cost.space is None:
            self.matrix = self._matrix_address()
            self.gibbs_kernels = self._allocate(cost.n * cost.k).address, self._allocate(cost.n * cost.k).address
            self.cost: Any = matrix.Matrix(self.matrix, float(cost.least))
            self.slots = 0
        else:
            self.matrix, self.gibbs_kernels = 0, (0, 0)
            self.cost = _space_on_device(cost.space, self.like.device)
            self.slots = sweeps.SLOTS * self.cost.nodes
        numbers_per_row = sum(self._state_sizes())
        self.most_rows = min(math.prod(self.like.shape), max(1, MOST_MEMORY // (8 * numbers_per_row)))
        self.state_memory = self._allocate(numbers_per_row * self.most_rows)

    def _allocate(self, count: int) -> DeviceArray:
        """Return new float64 numbers, which are kept until the call is over."""
        self.memory.append(device.empty(self.like, (count,), FLOAT64))
        return self.memory[-1]

    def _upload(self, array: np.ndarray) -> int:
        self.memory.append(device.to_device(self.like, array))
        return int(self.memory[-1].address)

    def _launch(self, kernel: Any, blocks: int, shared_bytes: int, *arguments: Any) -> None:
        intrinsics.launch(kernel, blocks, self.size, self.stream, 8 * REDUCTION_SLOTS + shared_bytes, arguments)

    def _matrix_address(self) -> int:
        """Return the address of the cost matrix on the device; that of a space is needed for plans only."""
        cost = self.problem.cost
        if cost.device_copy is not None:
            return int(cost.device_copy.address)
        return self._upload(cost.space.cost_matrix() if cost.matrix is None else cost.matrix)

    def solve(self) -> bool:
        """Solve for as many rows at a time as fit `MOST_MEMORY`; return False for a bad row under `check`."""
        problem, batch = self.problem, self.like.shape
        inputs = (problem.a, problem.b, *(problem.start or (None, None)))
        matrices = [(0, (0,) * len(batch), 0) if array is None else device_rows(array, batch) for array in inputs]
        tolerance = math.inf if problem.tolerance is None else problem.tolerance
        names = tuple(None if array is None else array.dtype.name for array in inputs)
        kernel = read_rows.read_rows_kernel(names, self.size)
        for rows, inner, first, starts in launches(batch, matrices):
            for offset in range(0, rows, self.most_rows):
                part = self._rows(min(self.most_rows, rows - offset))
                arguments = (rows, inner, offset, *starts, *part, tolerance, self.answer_options)
                self._launch(kernel, part.state.rows, 0, *arguments)
                if self.check and not self._field(part, GOOD).all():
                    return False
                self._iterate_stages(part)
                self._write_answers(part, first + offset)
        return True

    def _state_sizes(self) -> tuple[int, ...]:
        """Return how many numbers a row has in the state table, each vector, and scratch."""
        n, k = self.problem.cost.n, self.problem.cost.k
        return FIELDS, n, n, n, k, k, k, max(n, k), max(n, k), self.slots

    def _rows(self, rows: int) -> _Rows:
        """Return the addresses of so many rows in the memory of the state."""
        cost, sizes = self.problem.cost, self._state_sizes()
        starts = np.cumsum([0, *sizes[:-1]]) * rows
        table, *vectors = (self.state_memory.address + 8 * int(start) for start in starts)
        mass_a, log_mass_a, f, mass_b, log_mass_b, g, sums, weights, scratch = vectors
        a = Side(cost.n, mass_a, log_mass_a, f, self.gibbs_kernels[0])
        b = Side(cost.k, mass_b, log_mass_b, f if self.problem.same else g, self.gibbs_kernels[1])
        return _Rows(SolverState(rows, table, sums, weights, max(cost.n, cost.k), scratch, self.slots), a, b)

    def _field(self, rows: _Rows, field: int) -> np.ndarray:
        """Return a field of all rows, once the device has written it."""
        address, count = rows.state.table + 8 * field, rows.state.rows
        return driver.to_host(self.state_memory._replace(address=address, shape=(count,), strides=(8 * FIELDS,)))

    def _stage_options(self, stage: Stage) -> StageOptions:
        problem = self.problem
        damping = stage.reg / _price(problem) if problem.unbalanced else 0.0
        least_over_reg = float(problem.cost.least) / stage.reg
        return StageOptions(stage.reg, least_over_reg, problem.tol, damping, float(problem.max_iter))

    def _iterate_stages(self, rows: _Rows) -> None:
        """Iterate, stage by stage."""
        previous_reg = 1.0
        warm = self.problem.start is not None
        omega = 0.5 if self.problem.same else 1.0
        for stage in self.stages:
            if self.problem.cost.space is None:
                self._write_gibbs_matrices(stage)
            self._launch(read_rows.start_stage, rows.state.rows, 0, *rows, previous_reg / stage.reg, omega)
            self._iterate(rows, stage, solver.WARM_START if warm else solver.COLD_START)
            previous_reg, warm = stage.reg, True

    def _write_gibbs_matrices(self, stage: Stage) -> None:
        cost = self.problem.cost
        blocks = min(-(-cost.n * cost.k // self.size), 1 << 20)
        arguments = (cost.n, cost.k, self.matrix, float(cost.least), stage.reg, *self.gibbs_kernels)
        self._launch(cost_matrix.gibbs_matrices_kernel(stage.form), blocks, 0, *arguments)

    def _iterate(self, rows: _Rows, stage: Stage, start: int) -> None:
        """Queue launches for all iterations of a stage, or until the host sees that all rows have converged."""
        kernel = solver.build(stage.form, self.size, self.problem.same)
        on_matrix = self.problem.cost.space is None
        blocks = -(-rows.state.rows // (matrix.ROWS[stage.form] if on_matrix else 1))
        shared_bytes = matrix.shared_bytes(stage.form) if on_matrix else 0
        options = self._stage_options(stage)
        for iterations in _portions(self.problem.max_iter + 1, self._most_iterations(stage, blocks)):
            self._launch(kernel, blocks, shared_bytes, *rows, options, self.cost, iterations, start)
            start = solver.CONTINUE
            if self.check and not self._field(rows, OMEGA).any():
                return

    def _most_iterations(self, stage: Stage, blocks: int) -> int:
        """Return how many iterations a launch may have to take no longer than about `LAUNCH_SECONDS`."""
        cost = self.problem.cost
        if cost.space is None:
            seconds = 2 * TERM_SECONDS * cost.n * cost.k * matrix.ROWS[stage.form] / 8 + 2 * LEVEL_SECONDS
        else:
            seconds = 20 * TERM_SECONDS * self.cost.nodes + 4 * LEVEL_SECONDS * (1 + self.cost.levels)
        waves = max(1.0, blocks / (2 * driver.multiprocessors(self.like.device)))
        return int(min(MOST_ITERATIONS, max(1, LAUNCH_SECONDS / (seconds * waves))))

    def _write_answers(self, rows: _Rows, first: int) -> None:
        """Write the answers of the rows from number `first` on."""
        solution, cost, count = self.solution, self.problem.cost, rows.state.rows
        stage = self.stages[-1]
        addresses = write_rows.SolutionAddresses(first, *(array.address for array in solution[:9]))
        kernel = write_rows.write_answers_kernel(stage.form, self.size, solution.value.dtype.name)
        options = self._stage_options(stage)
        self._launch(kernel, count, 0, *rows, options, self.cost, self.answer_options, addresses)
        if solution.plan is not None:
            self.matrix = self.matrix or self._matrix_address()
            blocks_per_row = max(1, min(-(-cost.n * cost.k // self.size), (1 << 30) // count))
            plans = write_rows.write_plans_kernel(solution.plan.dtype.name)
            arguments = (options, self.answer_options, self.matrix, first, solution.plan.address, blocks_per_row)
            self._launch(plans, count * blocks_per_row, 0, *rows, *arguments)


def _portions(total: int, most: int) -> Iterator[int]:
    """Yield growing numbers of iterations that add up to `total`."""
    iterations = min(FIRST_ITERATIONS, most)
    while total > 0:
        yield min(iterations, total)
        total -= iterations
        iterations = min(2 * iterations, most)


def _space_on_device(space: Any, ordinal: int) -> Any:
    """Return what the sweeps of a space read on a device. Its arrays are copied there once and kept with the space."""
    key = ("cuda", ordinal, "entropic")
    if key not in space.kept:
        layout = solver.SPACES[space.kind].prepare(space)
        owners = {name: driver.upload(x, ordinal) for name, x in layout._asdict().items() if isinstance(x, np.ndarray)}
        addresses = {name: driver.address_of(owner) for name, owner in owners.items()}
        space.kept[key] = owners, layout._replace(**addresses)
    return space.kept[key][1]

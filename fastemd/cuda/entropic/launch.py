"""The door of the CUDA wing for entropic transport: how rows are split up, what is launched, when the host looks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ...arrays import device, driver
from ...arrays.strides import device_rows, launches
from ...problems import PLAIN_RANGE, SinkhornProblem, Solution
from ..primitives import intrinsics
from ..primitives.thread_group import MEETING
from . import matrix as dense
from . import read_rows, ring, solver, walks, write_rows
from .state import GOOD, LINES, OMEGA, Law, Price, Room, Side

# Threads of the largest block, on a matrix and on a space. Kernels take up to 240 registers, so 256 threads are as many
# as find room on a multiprocessor; on a space blocks of half the size can wait by turns. Neither is measured.
BLOCK, WALKERS = 256, 128
MOST_MEMORY = 1 << 30  # bytes that rows may take at a time, beside their answers; one row's at the least
FIRST_STEPS, MOST_STEPS = 8, 512  # iterations of a call's first launch, and of any; each has twice those of the last
LAUNCH = 0.2  # seconds that a launch may take, estimated; a device that shows a picture stops one of some seconds
TERM, LEVEL = 2e-9, 1e-5  # seconds for a term of a block's sums, and for a pass with barriers: guesses
FLOAT64, COUNT, FLAG = np.dtype(np.float64), np.dtype(np.int64), np.dtype(bool)


class Stage(NamedTuple):
    """A reg, and how sums are made for it: a form of `matrix`, or the kind of a space."""

    reg: float
    form: str


def solve(problem: SinkhornProblem, check: bool) -> Solution | None:
    """Solve for all rows of a problem on the stream of its arrays; the answers to bad rows are NaN.

    Under `check` the host looks, now and then, whether rows are left; if one is bad, nothing further is done, and None
    returned. Otherwise nothing waits for the device, but for copies to it and for memory that is borrowed.
    """
    solution = _unsolved(problem)
    if solution.value.size:
        with driver.on(solution.value.device):
            if not _Call(problem, solution, check).solve():
                return None
    device.synchronize(problem.a, problem.b, *(problem.start or ()))
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
    kernel = write_rows.combining(tuple(_stored(x) for x in columns), how)
    with driver.on(out.device):
        for rows, inner, first, starts in launches(batch, [device_rows(x, batch) for x in columns[:3]]):
            address = out.address + first * n * out.dtype.itemsize
            blocks = min(-(-rows * n // BLOCK), 1 << 20)
            intrinsics.launch(
                kernel, blocks, BLOCK, driver.stream_of(out.stream), 0, (rows, inner, n, *starts, address)
            )
    return out


def _stored(array: Any) -> str:
    return "uint8" if array.dtype.name == "bool" else array.dtype.name


def _form(problem: SinkhornProblem, reg: float) -> str:
    """Return how sums are made: by sweeps of a space, by matrix products, or from exponentials of each entry."""
    cost, double = problem.cost, problem.dtype == np.float64
    if cost.space is not None:
        return str(cost.space.kind)
    if problem.method == "scaling":
        return "float64" if double else "float32"
    if cost.cost_range <= PLAIN_RANGE * reg:
        return "float64"
    return "wide" if double else "narrow"


class _Call:
    """A call: its matrices or tables on the device, memory for as many rows as go together, and its kernels."""

    def __init__(self, problem: SinkhornProblem, solution: Solution, check: bool) -> None:
        self.problem, self.solution, self.check = problem, solution, check
        self.like, self.stream = solution.value, driver.stream_of(solution.value.stream)
        self.stages = [Stage(reg, _form(problem, reg)) for reg in problem.stages]
        cost = problem.cost
        on_space = cost.matrix is None
        most = WALKERS if on_space else BLOCK
        self.size = min(most, max(intrinsics.WARP, 1 << (max(cost.n, cost.k) - 1).bit_length()))
        self.price = Price(float(cost.least), problem.unbalanced or 0.0, int(problem.normalize))
        self.memory: list[Any] = []
        self.walk = _walk(cost.space, self.like.device) if on_space else None
        self.slots = walks.SLOTS * self.walk.places if self.walk is not None else 0
        self.cost = 0 if on_space else self._sent(cost.matrix)
        self.matrices = (0, 0) if on_space else (self._space(cost.n * cost.k), self._space(cost.n * cost.k))

    def _space(self, slots: int) -> int:
        """Return the address of new float64 slots, which are kept until the call is over."""
        self.memory.append(device.empty(self.like, (slots,), FLOAT64))
        return int(self.memory[-1].address)

    def _sent(self, array: np.ndarray) -> int:
        self.memory.append(device.to_device(self.like, array))
        return int(self.memory[-1].address)

    def _launch(self, kernel: Any, blocks: int, shared: int, *arguments: Any) -> None:
        intrinsics.launch(kernel, blocks, self.size, self.stream, 8 * MEETING + shared, arguments)

    def plan_cost(self) -> int:
        """Return the address of the cost matrix, which a space has for plans only."""
        if not self.cost:
            self.cost = self._sent(self.problem.cost.space.cost_matrix())
        return self.cost

    def solve(self) -> bool:
        """Go through the rows, as many at a time as memory is given for; return False for a bad row under `check`."""
        problem, cost, batch = self.problem, self.problem.cost, self.like.shape
        width = max(cost.n, cost.k)
        each = 3 * (cost.n + cost.k) + 2 * width + LINES + self.slots
        total = int(np.prod(batch))
        most = min(total, max(1, MOST_MEMORY // (8 * each)))
        home = self._space(each * most), self.memory[-1]
        inputs = (problem.a, problem.b, *(problem.start or (None, None)))
        matrices = [(0, (0,) * len(batch), 0) if array is None else device_rows(array, batch) for array in inputs]
        tolerance = math.inf if problem.tolerance is None else problem.tolerance
        opens = read_rows.opening(tuple(None if array is None else array.dtype.name for array in inputs), self.size)
        for rows, inner, first, starts in launches(batch, matrices):
            for offset in range(0, rows, most):
                count = min(most, rows - offset)
                part = _Part(self, home, count, width)
                tail = (part.room, part.a, part.b, tolerance, self.price)
                self._launch(opens, count, 0, rows, inner, offset, *starts, *tail)
                if self.check and not part.line(GOOD).all():
                    return False
                part.solve()
                part.answer(first + offset)
        return True


class _Part:
    """Rows that are solved together, and their state on the device."""

    def __init__(self, call: _Call, home: tuple[int, Any], rows: int, width: int) -> None:
        self.call, self.rows, self.memory = call, rows, home[1]
        n, k = call.problem.cost.n, call.problem.cost.k
        sizes = [LINES, n, n, n, k, k, k, width, width, call.slots]
        ends = np.cumsum([0, *sizes]) * rows
        table, *vectors = (home[0] + 8 * int(end) for end in ends[:-1])
        mass_a, log_a, f, mass_b, log_b, g, sums, weights, scratch = vectors
        self.a = Side(n, mass_a, log_a, f, call.matrices[0])
        self.b = Side(k, mass_b, log_b, f if call.problem.same else g, call.matrices[1])
        self.room = Room(rows, table, sums, weights, width, scratch, call.slots)

    def line(self, line: int) -> np.ndarray:
        """Return a line of the table, once the device has written it."""
        place = {"address": self.room.table + 8 * line, "shape": (self.rows,), "strides": (8 * LINES,)}
        return driver.to_host(self.memory._replace(**place))

    def law(self, stage: Stage) -> Law:
        """Return what rows have in common in a stage."""
        problem = self.call.problem
        damp = stage.reg / problem.unbalanced if problem.unbalanced else 0.0
        return Law(stage.reg, float(problem.cost.least) / stage.reg, problem.tol, damp, float(problem.max_iter))

    def ground(self) -> Any:
        """Return what kernels read of the cost."""
        call = self.call
        return dense.Matrix(call.cost, float(call.problem.cost.least)) if call.walk is None else call.walk

    def solve(self) -> None:
        """Iterate, stage by stage."""
        call = self.call
        before = 1.0
        warm = call.problem.start is not None
        for stage in call.stages:
            if call.walk is None:
                self._fill(stage)
            omega = 0.5 if call.problem.same else 1.0
            call._launch(read_rows.begin, self.rows, 0, self.room, self.a, self.b, before / stage.reg, omega)
            self._iterate(stage, solver.WARM if warm else solver.COLD)
            before, warm = stage.reg, True

    def _fill(self, stage: Stage) -> None:
        call, cost = self.call, self.call.problem.cost
        blocks = min(-(-cost.n * cost.k // call.size), 1 << 20)
        arguments = (cost.n, cost.k, call.cost, float(cost.least), stage.reg, *call.matrices)
        call._launch(dense.gibbs(stage.form), blocks, 0, *arguments)

    def _iterate(self, stage: Stage, begins: int) -> None:
        """Queue launches until there have been iterations enough, or the host sees that no row is left."""
        call, law, ground = self.call, self.law(stage), self.ground()
        kernel = solver.build(stage.form, call.size, call.problem.same)
        group = 1 if call.walk is not None else dense.ROWS[stage.form]
        shared = 0 if call.walk is not None else dense.shared_bytes(stage.form)
        blocks = -(-self.rows // group)
        for steps in _portions(call.problem.max_iter + 1, self._most_steps(stage, blocks)):
            call._launch(kernel, blocks, shared, self.room, self.a, self.b, law, ground, steps, begins)
            begins = solver.GOES_ON
            if call.check and not self.line(OMEGA).any():
                return

    def _most_steps(self, stage: Stage, blocks: int) -> int:
        """Return how many iterations a launch may have, so that it does not take too long."""
        call, cost = self.call, self.call.problem.cost
        if call.walk is None:
            seconds = 2 * TERM * cost.n * cost.k * dense.ROWS[stage.form] / 8 + 2 * LEVEL
        else:
            seconds = 20 * TERM * call.walk.places + 4 * LEVEL * (1 + call.walk.levels)
        waves = max(1.0, blocks / (2 * driver.multiprocessors(call.like.device)))
        return int(min(MOST_STEPS, max(1, LAUNCH / (seconds * waves))))

    def answer(self, first: int) -> None:
        """Write the answers of rows from number `first` on."""
        call, found, cost = self.call, self.call.solution, self.call.problem.cost
        stage = call.stages[-1]
        addresses = (array.address for array in found[:9])
        answers = write_rows.Answers(first, *addresses)
        kernel = write_rows.concluding(stage.form, call.size, found.value.dtype.name)
        law, price = self.law(stage), call.price
        call._launch(kernel, self.rows, 0, self.room, self.a, self.b, law, self.ground(), price, answers)
        if found.plan is not None:
            across = max(1, min(-(-cost.n * cost.k // call.size), (1 << 30) // self.rows))
            plans = write_rows.planning(found.plan.dtype.name)
            arguments = (self.room, self.a, self.b, law, price, call.plan_cost(), first, found.plan.address, across)
            call._launch(plans, self.rows * across, 0, *arguments)


def _portions(whole: int, most: int) -> Iterator[int]:
    """Yield numbers of iterations that add up to `whole`, growing."""
    steps = min(FIRST_STEPS, most)
    while whole > 0:
        yield min(steps, whole)
        whole -= steps
        steps = min(2 * steps, most)


def _walk(space: Any, ordinal: int) -> Any:
    """Return the tables of a space on a device, copied there at first and kept with the space."""
    place = ("cuda", ordinal, "walk")
    if place not in space.kept:
        kind = ring if space.kind == "ring" else walks
        arrays, numbers = kind.prepare(space)
        owners = tuple(driver.upload(array, ordinal) for array in arrays)
        space.kept[place] = owners, kind.Walk(*(driver.address_of(owner) for owner in owners), *numbers)
    return space.kept[place][1]

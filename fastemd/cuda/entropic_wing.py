"""The door of the CUDA wing for entropic transport: how rows are split up, what is launched, when the host looks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import device
from . import dense, driver, intake, march, outcomes, target, walks, windows
from .entropic import GOOD, LINES, OMEGA, Law, Price, Room, Side
from .strips import matrix, strips
from .teams import MEETING

# Threads of the largest block, on a matrix and on a space. Kernels take up to 240 registers, so 256 threads are as many
# as find room on a multiprocessor; on a space blocks of half the size can wait by turns. Neither is measured.
BLOCK, WALKERS = 256, 128
MOST_MEMORY = 1 << 30  # bytes that rows may take at a time, beside their answers; one row's at the least
FIRST_STEPS, MOST_STEPS = 8, 512  # iterations of a call's first launch, and of any; each has twice those of the last
LAUNCH = 0.2  # seconds that a launch may take, estimated; a device that shows a picture stops one of some seconds
TERM, LEVEL = (
    2e-9,
    1e-5,
)  # seconds for a term of a block's sums, and for a pass with barriers: guesses
FLOAT64 = np.dtype(np.float64)


class Stage(NamedTuple):
    """A reg, and how sums are made for it: a form of `dense`, or the kind of a space."""

    reg: float
    form: str


class Job(NamedTuple):
    """What the rows of a call have in common; `tolerance` inf where masses may differ, `unbalanced` 0 where not."""

    space: Any
    cost: np.ndarray | None
    n: int
    k: int
    least: float
    stages: list[Stage]
    max_iter: int
    tol: float
    tolerance: float
    unbalanced: float
    normalize: bool


class Found(NamedTuple):
    """`DeviceArray`s for the answers to all rows, named as in `outcomes.Answers`, and the plan, or None."""

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


def run(job: Job, a: Any, b: Any, start: tuple[Any, Any] | None, found: Found, same: bool, check: bool) -> bool:
    """Solve for rows a (..., n) and b (..., k), `DeviceArray`s that broadcast to the batch of `found`.

    All is queued on the stream that they came with. Under `check` the host looks, now and then, whether rows are left;
    if one is bad, nothing further is done, and False returned. Otherwise nothing waits for the device, but for copies
    to it.
    """
    if found.value.size == 0:
        return True
    with driver.on(found.value.device):
        call = _Call(job, found, same, check)
        return call.solve(a, b, start)


def combine(x: Any, y: Any, z: Any, out: Any, how: int) -> None:
    """Make one array of three that broadcast to it; see `outcomes.combining`."""
    if out.size == 0:
        return
    batch, columns = out.shape[:-1], out.shape[-1]
    kernel = outcomes.combining(tuple(_stored(array) for array in (x, y, z, out)), how)
    with driver.on(out.device):
        for rows, inner, first, starts in strips(batch, [matrix(array, batch, False) for array in (x, y, z)]):
            address = out.address + first * columns * out.dtype.itemsize
            blocks = min(-(-rows * columns // BLOCK), 1 << 20)
            target.launch(
                kernel, blocks, BLOCK, driver.stream_of(out.stream), 0, (rows, inner, columns, *starts, address)
            )


def _stored(array: Any) -> str:
    return "uint8" if array.dtype.name == "bool" else array.dtype.name


class _Call:
    """A call: its matrices or tables on the device, memory for as many rows as go together, and its kernels."""

    def __init__(self, job: Job, found: Found, same: bool, check: bool) -> None:
        self.job, self.found, self.same, self.check = job, found, same, check
        self.like, self.stream = found.value, driver.stream_of(found.value.stream)
        most = BLOCK if job.cost is not None else WALKERS
        self.size = min(most, max(target.WARP, 1 << (max(job.n, job.k) - 1).bit_length()))
        self.price = Price(job.least, job.unbalanced, int(job.normalize))
        self.memory: list[Any] = []
        self.warm = False
        on_space = job.cost is None
        self.walk = _walk(job.space, self.like.device) if on_space else None
        self.slots = walks.SLOTS * self.walk.places if self.walk is not None else 0
        self.cost = self._sent(job.cost) if job.cost is not None else 0
        self.matrices = (0, 0) if on_space else (self._space(job.n * job.k), self._space(job.n * job.k))

    def _space(self, slots: int) -> int:
        """Return the address of new float64 slots, which are kept until the call is over."""
        self.memory.append(device.empty(self.like, (slots,), FLOAT64))
        return int(self.memory[-1].address)

    def _sent(self, array: np.ndarray) -> int:
        self.memory.append(device.sent(self.like, array))
        return int(self.memory[-1].address)

    def _launch(self, kernel: Any, blocks: int, shared: int, *arguments: Any) -> None:
        target.launch(kernel, blocks, self.size, self.stream, 8 * MEETING + shared, arguments)

    def plan_cost(self) -> int:
        """Return the address of the cost matrix, which a space has for plans only."""
        if not self.cost:
            self.cost = self._sent(self.job.space.cost_matrix())
        return self.cost

    def solve(self, a: Any, b: Any, start: tuple[Any, Any] | None) -> bool:
        """Go through the rows, as many at a time as memory is given for."""
        job, batch = self.job, self.like.shape
        width = max(job.n, job.k)
        each = 3 * (job.n + job.k) + 2 * width + LINES + self.slots
        total = int(np.prod(batch))
        most = min(total, max(1, MOST_MEMORY // (8 * each)))
        home = self._space(each * most), self.memory[-1]
        inputs = (a, b, *(start or (None, None)))
        self.warm = start is not None
        matrices = [(0, (0,) * len(batch), 0) if array is None else matrix(array, batch, False) for array in inputs]
        opens = intake.opening(tuple(None if array is None else array.dtype.name for array in inputs), self.size)
        for rows, inner, first, starts in strips(batch, matrices):
            for offset in range(0, rows, most):
                count = min(most, rows - offset)
                part = _Part(self, home, count, width)
                tail = (part.room, part.a, part.b, job.tolerance, self.price)
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
        n, k = call.job.n, call.job.k
        sizes = [LINES, n, n, n, k, k, k, width, width, call.slots]
        ends = np.cumsum([0, *sizes]) * rows
        table, *vectors = (home[0] + 8 * int(end) for end in ends[:-1])
        mass_a, log_a, f, mass_b, log_b, g, sums, weights, scratch = vectors
        self.a = Side(n, mass_a, log_a, f, call.matrices[0])
        self.b = Side(k, mass_b, log_b, f if call.same else g, call.matrices[1])
        self.room = Room(rows, table, sums, weights, width, scratch, call.slots)

    def line(self, line: int) -> np.ndarray:
        """Return a line of the table, once the device has written it."""
        place = {"address": self.room.table + 8 * line, "shape": (self.rows,), "strides": (8 * LINES,)}
        return driver.to_host(self.memory._replace(**place))

    def law(self, stage: Stage) -> Law:
        """Return what rows have in common in a stage."""
        job = self.call.job
        damp = stage.reg / job.unbalanced if job.unbalanced else 0.0
        return Law(stage.reg, job.least / stage.reg, job.tol, damp, float(job.max_iter))

    def ground(self) -> Any:
        """Return what kernels read of the cost."""
        call = self.call
        return dense.Matrix(call.cost, call.job.least) if call.walk is None else call.walk

    def solve(self) -> None:
        """Iterate, stage by stage."""
        call = self.call
        before = 1.0
        warm = call.warm
        for stage in call.job.stages:
            if call.walk is None:
                self._fill(stage)
            omega = 0.5 if call.same else 1.0
            call._launch(intake.begin, self.rows, 0, self.room, self.a, self.b, before / stage.reg, omega)
            self._iterate(stage, march.WARM if warm else march.COLD)
            before, warm = stage.reg, True

    def _fill(self, stage: Stage) -> None:
        call, job = self.call, self.call.job
        blocks = min(-(-job.n * job.k // call.size), 1 << 20)
        arguments = (job.n, job.k, call.cost, job.least, stage.reg, *call.matrices)
        call._launch(dense.gibbs(stage.form), blocks, 0, *arguments)

    def _iterate(self, stage: Stage, begins: int) -> None:
        """Queue launches until there have been iterations enough, or the host sees that no row is left."""
        call, law, ground = self.call, self.law(stage), self.ground()
        kernel = march.build(stage.form, call.size, call.same)
        group = 1 if call.walk is not None else dense.ROWS[stage.form]
        shared = 0 if call.walk is not None else dense.shared_bytes(stage.form)
        blocks = -(-self.rows // group)
        for steps in _portions(call.job.max_iter + 1, self._most_steps(stage, blocks)):
            call._launch(kernel, blocks, shared, self.room, self.a, self.b, law, ground, steps, begins)
            begins = march.GOES_ON
            if call.check and not self.line(OMEGA).any():
                return

    def _most_steps(self, stage: Stage, blocks: int) -> int:
        """Return how many iterations a launch may have, so that it does not take too long."""
        call, job = self.call, self.call.job
        if call.walk is None:
            seconds = 2 * TERM * job.n * job.k * dense.ROWS[stage.form] / 8 + 2 * LEVEL
        else:
            seconds = 20 * TERM * call.walk.places + 4 * LEVEL * (1 + call.walk.levels)
        waves = max(1.0, blocks / (2 * driver.multiprocessors(call.like.device)))
        return int(min(MOST_STEPS, max(1, LAUNCH / (seconds * waves))))

    def answer(self, first: int) -> None:
        """Write the answers of rows from number `first` on."""
        call, found, job = self.call, self.call.found, self.call.job
        stage = job.stages[-1]
        addresses = (array.address for array in found[:-1])
        answers = outcomes.Answers(first, *addresses)
        kernel = outcomes.concluding(stage.form, call.size, found.value.dtype.name)
        law, price = self.law(stage), call.price
        call._launch(kernel, self.rows, 0, self.room, self.a, self.b, law, self.ground(), price, answers)
        if found.plan is not None:
            across = max(1, min(-(-job.n * job.k // call.size), 1 << 30 // self.rows))
            plans, cost = outcomes.planning(found.plan.dtype.name), call.plan_cost()
            arguments = (self.room, self.a, self.b, law, price, cost, first, found.plan.address, across)
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
        kind = windows if space.kind == "ring" else walks
        arrays, numbers = kind.prepare(space)
        owners = tuple(driver.upload(array, ordinal) for array in arrays)
        space.kept[place] = owners, kind.Walk(*(driver.address_of(owner) for owner in owners), *numbers)
    return space.kept[place][1]

"""The cases of the suite: every kernel of every space, in a selection of types, sizes and devices.

A case has a kernel, a space, rho, a dtype, a number of threads to a row, a place for its scratch and a compute
capability. All combinations are thousands, at a second or more each. The table has

- every kernel on every space with rho = 1, 2 and any other, for float32, 256 threads and scratch in shared memory, on
  compute capability 9.0;
- the main kernels likewise on each capability: gradients other than "gradient for a" differ from it in little;
- the main kernels for the other dtypes at rho = 1; and, at rho = 1 and any rho, whose powers take the most registers,
  for fewer threads and for scratch in global memory; on compute capability 9.0;
- the multi-block kernels;
- the kernels of Sinkhorn's iteration, which have no rho, on each capability.

`quick` distributes the main kernels and the gradient of normalized histograms over the capabilities, each once, with
the other properties taken in turn.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from fastemd.formulas.gradient import CENTRED, EXPECTED, POTENTIAL, UNCENTRED, WRT_A, WRT_B

from .reading import CAPABILITIES

SPACES = ("chain", "ring", "tree")
MULTIBLOCK_SPACES = ("chain", "tree")
RHOS = (1.0, 2.0, 0.0)  # 0: any
DTYPES = ("float32", "float64", "float16", "bfloat16", "int32")
THREADS = (256, 32, 1)
BASE = "9.0"


class Kernel(NamedTuple):
    """A kernel: its label, its name in `fastemd.cuda.exact.kernels`, and further fields of the `Case` there.

    `method` is that of Sinkhorn's iteration on a matrix.
    """

    label: str
    name: str
    flags: tuple[int, ...] = ()
    classes: bool = False
    normalized: tuple[bool, bool] = (False, False)
    method: str = ""


KERNELS = (
    Kernel("value", "value"),
    Kernel("value, normalized", "value", normalized=(True, True)),
    Kernel("gradient for a", "gradient", (CENTRED, WRT_A)),
    Kernel("gradient for b", "gradient", (CENTRED, WRT_B)),
    Kernel("gradient for a, not centred", "gradient", (UNCENTRED, WRT_A)),
    Kernel("gradient for a, normalized", "gradient", (EXPECTED, WRT_A), normalized=(True, True)),
    Kernel("gradient for b, normalized", "gradient", (EXPECTED, WRT_B), normalized=(True, True)),
    Kernel("potential", "gradient", (CENTRED, POTENTIAL)),
    Kernel("flow", "flow"),
    Kernel("length gradient", "length_gradient"),
    Kernel("logits, classes", "logits", classes=True),
    Kernel("logits, histograms", "logits"),
    Kernel("logits, histograms normalized", "logits", normalized=(False, True)),
)
MAIN = tuple(kernel for kernel in KERNELS if kernel.label in (
    "value", "gradient for a", "flow", "length gradient", "logits, classes", "logits, histograms",
))  # fmt: skip
QUICK = (*MAIN, *(kernel for kernel in KERNELS if kernel.label == "gradient for b, normalized"))
MULTIBLOCK_QUICK = tuple(
    kernel
    for kernel in KERNELS
    if kernel.label in ("value", "gradient for b, normalized", "flow", "logits, histograms normalized")
)
HOT = tuple(
    (space, kernel)
    for space, label in (("chain", "value"), ("chain", "gradient for a"), ("tree", "gradient for a"))
    for kernel in KERNELS
    if kernel.label == label
)
REGISTER_LIMITS = (80, 64, 48, 40)
# Of Sinkhorn's iteration: on a matrix there are two methods, on spaces one.
SINKHORN_COSTS = ("matrix", "chain", "ring", "tree")
SINKHORN = (
    Kernel("Sinkhorn's loop, products", "sinkhorn", method="products"),
    Kernel("Sinkhorn's loop, exponentials", "sinkhorn", method="exponentials"),
    Kernel("Sinkhorn's loop", "sinkhorn"),
    Kernel("Sinkhorn's matrices, products", "sinkhorn matrices", method="products"),
    Kernel("Sinkhorn's matrices, exponentials", "sinkhorn matrices", method="exponentials"),
    Kernel("Sinkhorn's answers", "sinkhorn answers"),
)
# Of all pairs, whose distances are those of a chain or tree.
PAIRS = (Kernel("distances of pairs", "distances"), Kernel("rows of pairs", "rows"))


class Case(NamedTuple):
    """A kernel to compile, or the steps of a multi-block kernel.

    `rho` is 0 for any; `space` is "matrix" where Sinkhorn's iteration has a cost matrix; `threads` work on a row;
    `register_limit` is None where the compiler decides.
    """

    space: str
    kernel: Kernel
    rho: float = 1.0
    dtype: str = "float32"
    threads: int = 256
    scratch: str = "shared"
    capability: str = BASE
    register_limit: int | None = None
    blocks: str = "one"

    @property
    def label(self) -> str:
        """The case in one line."""
        rho = f"ρ = {self.rho:g}" if self.rho else "any ρ"
        limit = "" if self.register_limit is None else f", at most {self.register_limit} registers"
        kernel, threads = f"{self.space}, {self.kernel.label}", f"{self.threads} threads"
        device = f"compute capability {self.capability}{limit}"
        if self.kernel in SINKHORN:
            return f"{kernel}, {self.dtype}, {threads}, {device}"
        scratch = f", scratch in {self.scratch} memory" if self.space in ("ring", "tree") else ""
        blocks = f", {self.blocks} blocks to a row" if self.blocks != "one" else ""
        return f"{kernel}, {rho}, {self.dtype}, {threads}{scratch}{blocks}, {device}"


def full() -> list[Case]:
    """Return every case of the table, each once."""
    cases = itertools.chain(_products(), _variations(), entropic(), pairs())
    return list(dict.fromkeys(cases))


def _products() -> Iterator[Case]:
    for space, kernel, rho, capability in itertools.product(SPACES, KERNELS, RHOS, CAPABILITIES):
        if capability == BASE or kernel in MAIN:
            yield Case(space, kernel, rho, capability=capability)


def _variations() -> Iterator[Case]:
    for space, kernel in itertools.product(SPACES, MAIN):
        for dtype in DTYPES:
            if dtype != "int32" or not kernel.name.startswith("logits"):  # logits are no integers
                yield Case(space, kernel, dtype=dtype)
        for threads, rho in itertools.product(THREADS, (1.0, 0.0)):
            yield Case(space, kernel, rho, threads=threads)
        if space != "chain":  # a chain needs no scratch
            yield Case(space, kernel, scratch="global")
            yield Case(space, kernel, 0.0, scratch="global")
    for space, kernel in itertools.product(MULTIBLOCK_SPACES, KERNELS):
        yield Case(space, kernel, 0.0, scratch="global", blocks="many")
        if kernel in MAIN:
            for dtype in DTYPES[:4]:
                yield Case(space, kernel, dtype=dtype, scratch="global", blocks="many")


def quick(capability: str) -> list[Case]:
    """Return the part of the kernels for a capability, with rho, dtypes, threads and scratch taken in turn."""
    turn = list(CAPABILITIES).index(capability)
    cases = []
    for number, (space, kernel) in enumerate(itertools.product(SPACES, QUICK)):
        if number % len(CAPABILITIES) == turn:
            step = number // len(CAPABILITIES) + turn
            scratch = ("shared", "global")[step % 2] if space != "chain" else "shared"
            dtype = ("float32", "float16", "float32", "bfloat16", "float32", "float64")[step % 6]
            cases.append(Case(space, kernel, RHOS[number % 3], dtype, THREADS[step % 3], scratch, capability))
    space = MULTIBLOCK_SPACES[turn % 2]
    for kernel in MULTIBLOCK_QUICK[turn // 2 :: 2]:
        cases.append(Case(space, kernel, RHOS[turn % 3], scratch="global", capability=capability, blocks="many"))
    of_base = [case for case in entropic() if case.capability == BASE and case.threads == largest(case.space)]
    cases += [case for case in pairs() if case.capability == capability]
    return cases + [case._replace(capability=capability) for case in of_base[turn :: len(CAPABILITIES)]]


def entropic() -> Iterator[Case]:
    """Yield the kernels of Sinkhorn's iteration: on each capability, and for other dtypes and threads on one."""
    for capability, dtype, space, kernel in itertools.product(
        CAPABILITIES, ("float32", "float64"), SINKHORN_COSTS, SINKHORN
    ):
        twice = space != "matrix" and dtype != "float32" and kernel.name == "sinkhorn"  # has no dtype there
        exists = kernel.name == "sinkhorn answers" or bool(kernel.method) == (space == "matrix")
        if exists and not twice:
            yield Case(space, kernel, dtype=dtype, threads=largest(space), capability=capability)
            if capability == BASE and kernel.name == "sinkhorn":
                yield Case(space, kernel, dtype=dtype, threads=THREADS[1])
    for space, dtype in itertools.product(SINKHORN_COSTS, ("float16", "bfloat16", "int32")):
        yield Case(space, SINKHORN[-1], dtype=dtype, threads=largest(space))


def pairs() -> Iterator[Case]:
    """Yield the kernels of all pairs."""
    for capability, dtype in itertools.product(CAPABILITIES, ("float32", "float64")):
        for rho in RHOS:
            yield Case("pairs", PAIRS[0], rho, dtype, 128, capability=capability)
        yield Case("pairs", PAIRS[1], dtype=dtype, capability=capability)


def largest(space: str) -> int:
    """Return how many threads a block of Sinkhorn's iteration has at most."""
    from fastemd.cuda.entropic import launch

    return launch.BLOCK if space == "matrix" else launch.SPACE_BLOCK


def variants() -> list[Case]:
    """Return the hot kernels with limits on registers, so that more threads are resident."""
    return [
        Case(space, kernel, register_limit=register_limit)
        for space, kernel in HOT
        for register_limit in REGISTER_LIMITS
    ]

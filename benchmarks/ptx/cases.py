"""Which kernels are compiled: every one there is, of every room; and what of their properties is varied.

A kernel has a room, a law, a dtype, a team of threads, a place for its scratch and a compute capability. All
combinations are thousands, at a second or more each. So:

- every kernel x room x law, for float32, a team of 256, shared scratch, on compute capability 9.0;
- of these the main kernels on each capability: other gradients differ from "gradient for a" by what they take off;
- the main kernels at rho = 1 with each of the other dtypes; and at rho = 1 and any rho, whose powers take the most
  registers, with smaller teams and with scratch in device memory; on compute capability 9.0;
- and so those that share a row out to many blocks;
- the kernels of entropic transport, which have no law, on each capability.

`quick` deals the main kernels and the expected gradient out to the capabilities, each once, with the other properties
taken in turn.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from fastemd.formulas.gradient import CENTRED, EXPECTED, POTENTIAL, UNCENTRED, WRT_A, WRT_B

from .reading import CAPABILITIES

ROOMS = ("chain", "ring", "tree")
SHARED_OUT = ("chain", "tree")  # whose long rows many blocks share
LAWS = (1.0, 2.0, 0.0)
DTYPES = ("float32", "float64", "float16", "bfloat16", "int32")
TEAMS = (256, 32, 1)
BASE = "9.0"


class Kernel(NamedTuple):
    """A kernel as a call asks for it: its name in `fastemd.cuda.exact.kernels`, and what else it is compiled for."""

    words: str
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
MAIN = tuple(kernel for kernel in KERNELS if kernel.words in (
    "value", "gradient for a", "flow", "length gradient", "logits, classes", "logits, histograms",
))  # fmt: skip
QUICK = (*MAIN, *(kernel for kernel in KERNELS if kernel.words == "gradient for b, normalized"))
SHARED_QUICK = tuple(
    kernel
    for kernel in KERNELS
    if kernel.words in ("value", "gradient for b, normalized", "flow", "logits, histograms normalized")
)
HOT = tuple(
    (room, kernel)
    for room, words in (("chain", "value"), ("chain", "gradient for a"), ("tree", "gradient for a"))
    for kernel in KERNELS
    if kernel.words == words
)
CAPS = (80, 64, 48, 40)
# Of entropic transport: on a matrix by either method, which spaces do not have.
SINKHORN_ROOMS = ("matrix", "chain", "ring", "tree")
SINKHORN = (
    Kernel("Sinkhorn's loop, products", "sinkhorn", method="products"),
    Kernel("Sinkhorn's loop, exponentials", "sinkhorn", method="exponentials"),
    Kernel("Sinkhorn's loop", "sinkhorn"),
    Kernel("Sinkhorn's matrices, products", "sinkhorn matrices", method="products"),
    Kernel("Sinkhorn's matrices, exponentials", "sinkhorn matrices", method="exponentials"),
    Kernel("Sinkhorn's answers", "sinkhorn answers"),
)


class Case(NamedTuple):
    """One kernel to compile, or the several that share a row out to many blocks.

    `cap` limits their registers; None leaves them to the compiler.
    """

    room: str
    kernel: Kernel
    law: float = 1.0
    dtype: str = "float32"
    team: int = 256
    scratch: str = "shared"
    capability: str = BASE
    cap: int | None = None
    blocks: str = "one"

    @property
    def words(self) -> str:
        """The case in one line."""
        law = f"ρ = {self.law:g}" if self.law else "any ρ"
        cap = "" if self.cap is None else f", at most {self.cap} registers"
        if self.kernel in SINKHORN:
            room, team = f"{self.room}, {self.kernel.words}", f"team of {self.team}"
            return f"{room}, {self.dtype}, {team}, compute capability {self.capability}{cap}"
        where = f", scratch {self.scratch}" if self.room != "chain" else ""
        where += f", {self.blocks} blocks to a row" if self.blocks != "one" else ""
        return (
            f"{self.room}, {self.kernel.words}, {law}, {self.dtype}, team of {self.team}{where}, "
            f"compute capability {self.capability}{cap}"
        )


def full() -> list[Case]:
    """Return every case of the table, each once."""
    found = itertools.chain(_products(), _departures(), entropic())
    return list(dict.fromkeys(found))


def _products() -> Iterator[Case]:
    for room, kernel, law, capability in itertools.product(ROOMS, KERNELS, LAWS, CAPABILITIES):
        if capability == BASE or kernel in MAIN:
            yield Case(room, kernel, law, capability=capability)


def _departures() -> Iterator[Case]:
    for room, kernel in itertools.product(ROOMS, MAIN):
        for dtype in DTYPES:
            if dtype != "int32" or not kernel.name.startswith("logits"):  # logits are no integers
                yield Case(room, kernel, dtype=dtype)
        for team, law in itertools.product(TEAMS, (1.0, 0.0)):
            yield Case(room, kernel, law, team=team)
        if room != "chain":  # whose rows need no scratch
            yield Case(room, kernel, scratch="in memory")
            yield Case(room, kernel, 0.0, scratch="in memory")
    for room, kernel in itertools.product(SHARED_OUT, KERNELS):
        yield Case(room, kernel, 0.0, scratch="in memory", blocks="many")
        if kernel in MAIN:
            for dtype in DTYPES[:4]:
                yield Case(room, kernel, dtype=dtype, scratch="in memory", blocks="many")


def quick(capability: str) -> list[Case]:
    """Return the part of the kernels that falls to a capability, with laws, dtypes, teams and scratch taken in turn."""
    turn = list(CAPABILITIES).index(capability)
    cases = []
    for number, (room, kernel) in enumerate(itertools.product(ROOMS, QUICK)):
        if number % len(CAPABILITIES) == turn:
            step = number // len(CAPABILITIES) + turn
            scratch = ("shared", "in memory")[step % 2] if room != "chain" else "shared"
            dtype = ("float32", "float16", "float32", "bfloat16", "float32", "float64")[step % 6]
            cases.append(Case(room, kernel, LAWS[number % 3], dtype, TEAMS[step % 3], scratch, capability))
    room = SHARED_OUT[turn % 2]
    for kernel in SHARED_QUICK[turn // 2 :: 2]:
        cases.append(Case(room, kernel, LAWS[turn % 3], scratch="in memory", capability=capability, blocks="many"))
    of_base = [case for case in entropic() if case.capability == BASE and case.team == largest(case.room)]
    return cases + [case._replace(capability=capability) for case in of_base[turn :: len(CAPABILITIES)]]


def entropic() -> Iterator[Case]:
    """Yield the kernels of entropic transport: on each capability, and in other dtypes and teams on one."""
    for capability, dtype, room, kernel in itertools.product(
        CAPABILITIES, ("float32", "float64"), SINKHORN_ROOMS, SINKHORN
    ):
        twice = room != "matrix" and dtype != "float32" and kernel.name == "sinkhorn"  # which has no dtype there
        named = kernel.name == "sinkhorn answers" or bool(kernel.method) == (room == "matrix")
        if named and not twice:
            yield Case(room, kernel, dtype=dtype, team=largest(room), capability=capability)
            if capability == BASE and kernel.name == "sinkhorn":
                yield Case(room, kernel, dtype=dtype, team=TEAMS[1])
    for room, dtype in itertools.product(SINKHORN_ROOMS, ("float16", "bfloat16", "int32")):
        yield Case(room, SINKHORN[-1], dtype=dtype, team=largest(room))


def largest(room: str) -> int:
    """Return how many threads a block of entropic transport has at the most."""
    from fastemd.cuda.entropic import launch

    return launch.BLOCK if room == "matrix" else launch.SPACE_BLOCK


def variants() -> list[Case]:
    """Return the hot kernels with their registers limited, which trades registers for resident threads."""
    return [Case(room, kernel, cap=cap) for room, kernel in HOT for cap in CAPS]

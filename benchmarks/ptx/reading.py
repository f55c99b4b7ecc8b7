"""Reading of PTX and of the report of ptxas: instructions, registers, faults, occupancy.

These functions take text, and need neither a compiler nor a device.
"""

from __future__ import annotations

import re
from collections import Counter

CAPABILITIES = {"7.5": (7, 5), "8.0": (8, 0), "9.0": (9, 0), "10.0": (10, 0)}
MOST_THREADS = {"7.5": 1024, "8.0": 2048, "9.0": 2048, "10.0": 2048}  # of a multiprocessor
MOST_BLOCKS = {"7.5": 16, "8.0": 32, "9.0": 32, "10.0": 32}
REGISTERS = 65_536  # of a multiprocessor, of every one of these capabilities
QUARTERS = 4  # schedulers of a multiprocessor, each with its part of the registers and warps
GRANULE = 256  # registers are allocated to warps in multiples of this
WARP = 32

INSTRUCTION = re.compile(r"^\s*(?:@!?%\w+\s+)?([a-z]\w*(?:\.[\w:]+)+)\s+[^;]*;", re.MULTILINE)
ACCESS = re.compile(r"(ld|st)(?:\.\w+)*?\.global(?:\.\w+)*?(?:\.v(\d))?\.([bfsu])(\d+)$")
SEEDS = re.compile(r"r(cp|sqrt)\.approx\.ftz\.f64")  # first approximations, refined by exact divisions and powers


def instructions(ptx: str) -> Counter[str]:
    """Return the count of each instruction in a PTX text."""
    return Counter(INSTRUCTION.findall(ptx))


def widest(counts: Counter[str], word: str, bits: int, letters: str = "bfsu") -> int:
    """Return the bytes of the widest global load ("ld") or store ("st") of numbers of so many bits, or 0."""
    widths = [0]
    for name in counts:
        access = ACCESS.match(name)
        if access and access[1] == word and access[3] in letters and int(access[4]) == bits:
            widths.append(int(access[2] or 1) * bits // 8)
    return max(widths)


def assembled(report: str) -> dict[str, int]:
    """Return the report of ``ptxas -v`` on a file with one kernel: spills and stack are sums over its functions."""
    kernel = re.search(r"Used (\d+) registers(.*)", report)
    if kernel is None:
        raise ValueError(f"ptxas reports no kernel:\n{report}")
    shared = re.search(r"(\d+) bytes smem", kernel[2])
    stacks = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", report)
    stack, stores, loads = (sum(map(int, column)) for column in zip(*stacks, strict=True))
    return {
        "registers": int(kernel[1]),
        "static_shared": int(shared[1]) if shared else 0,
        "stack": stack,
        "spill_stores": stores,
        "spill_loads": loads,
    }


def faults(counts: Counter[str], report: dict[str, int] | None) -> list[str]:
    """Return the faults of a kernel: spills, local memory, atomics on floats, fast mathematics."""
    wrong = []
    if report and (report["spill_stores"] or report["spill_loads"]):
        wrong.append(f"spills {report['spill_stores']} bytes and loads {report['spill_loads']} back")
    if report and report["stack"]:
        wrong.append(f"has a stack frame of {report['stack']} bytes")
    for name in sorted(counts):
        if re.match(r"(ld|st)\b.*\.local\b", name):
            wrong.append(f"uses local memory: {name}")
        elif re.match(r"(atom|red)\.", name) and re.search(r"\.(f|bf)\d+", name):
            wrong.append(f"adds floats atomically, in no fixed order: {name}")
        elif re.search(r"\.(approx|full|ftz)\b", name) and not SEEDS.fullmatch(name):
            wrong.append(f"computes inexactly: {name}")
    return wrong


def resident(registers: int, block: int, capability: str) -> int:
    """Return how many threads are resident on a multiprocessor, for registers of a thread and blocks of a size.

    Each scheduler has a quarter of the registers, and allocates multiples of `GRANULE` to a warp.
    """
    of_warp = -(-registers * WARP // GRANULE) * GRANULE
    warps = QUARTERS * (REGISTERS // QUARTERS // of_warp)
    blocks = min(warps * WARP // block, MOST_THREADS[capability] // block, MOST_BLOCKS[capability])
    return blocks * block

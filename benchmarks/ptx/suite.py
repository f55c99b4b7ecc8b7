"""The suite of compiled kernels: what the CUDA wing's kernels cost in registers, with neither a GPU nor a driver.

``python -m benchmarks ptx`` compiles them to PTX (NVVM, in the wheels of ``numba-cuda[cu13]``), puts them through ptxas
(the wheel ``nvidia-cuda-nvcc`` of the same version), and writes ``results/ptx.json``; its status is 1 if a kernel is at
fault: it spills, uses local memory, adds floats atomically or computes inexactly. ``python -m benchmarks.ptx --quick
--json -`` prints the same for each kernel once.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..harness import record
from ..harness.record import RESULTS
from . import cases as ptx_cases
from . import entropic
from .cases import Case
from .reading import CAPABILITIES, assembled, faults, instructions, resident, widest

FILE = "ptx.json"
BITS = {"float16": 16, "bfloat16": 16, "float32": 32, "int32": 32, "float64": 64}
BLOCK = 256
PACKAGES = ("numba-cuda", "nvidia-nvvm", "nvidia-cuda-nvcc")


def run(folder: Path = RESULTS, *, quick: bool = False, only: str = "") -> Path:
    """Compile all kernels, write ``ptx.json`` into a folder and return its path.

    Parameters
    ----------
    folder : Path
    quick : bool
        Each kernel once, dealt out to the capabilities.
    only : str
        A regular expression: only the cases whose words it is found in.
    """
    cases = [case for capability in CAPABILITIES for case in ptx_cases.quick(capability)] if quick else ptx_cases.full()
    cases += ptx_cases.variants()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    result = compiled([case for case in cases if re.search(only, case.words)], os.cpu_count() or 1) | {"quick": quick}
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def status(path: Path) -> int:
    """Return 1 if a kernel in a file of results is at fault, else 0. A limit on registers may make one spill."""
    return int(any(at_fault(json.loads(path.read_text(encoding="utf-8"))["lines"])))


def at_fault(lines: Iterable[dict]) -> Iterator[str]:
    """Yield a line for each kernel that is at fault as it is shipped."""
    for line in lines:
        if line["faults"] and line["cap"] is None:
            yield f"{line['words']}: {'; '.join(line['faults'])}"


def compiled(cases: list[Case], workers: int) -> dict[str, Any]:
    """Return what belongs into the file of results."""
    begin = time.perf_counter()
    result = record.here_and_now(PACKAGES) | {"assembler": _assembler_version(), "lines": []}
    for number, line in enumerate(_lines(cases, workers), 1):
        result["lines"].append(line)
        verdict = "; ".join(line["faults"]) or "no fault"
        print(f"{number}: {line['words']}: {line['registers']} registers, {verdict}", file=sys.stderr)
    result["seconds"] = time.perf_counter() - begin
    return result


def _lines(cases: list[Case], workers: int) -> Iterator[dict]:
    if workers == 1:
        yield from itertools.chain.from_iterable(map(examined, cases))
        return
    spawn = multiprocessing.get_context("spawn")
    # numba keeps all that it compiled, some ten MiB a kernel: processes are made anew now and then. (An executor of
    # concurrent.futures that does so was seen to wait for ever, on Python 3.11.)
    with spawn.Pool(workers, maxtasksperchild=8) as pool:
        yield from itertools.chain.from_iterable(pool.imap(examined, cases, chunksize=4))


def examined(case: Case) -> list[dict[str, Any]]:
    """Compile a case, and return what there is to say of its kernels as lines of the results."""
    return [_line(case, *kernel) for kernel in compile_case(case)]


def _line(case: Case, part: str, ptx: str, limits: list[str]) -> dict[str, Any]:
    report = assemble(ptx, case.capability, limits)
    found, bits = instructions(ptx), BITS[case.dtype]
    line: dict[str, Any] = {"words": case.words + part, **case._asdict(), "kernel": case.kernel.words}
    line |= report or dict.fromkeys(("registers", "static_shared", "stack", "spill_stores", "spill_loads"))
    line["resident"] = resident(report["registers"], BLOCK, case.capability) if report else None
    # A tree's tables of tokens are integers, which instructions tell from floats but for capability 10.0.
    letters = "f" if case.room == "tree" and case.dtype == "float32" else "bfsu"
    line["load_bytes"], line["store_bytes"] = (widest(found, word, bits, letters) for word in ("ld", "st"))
    line["memory"] = {
        name: found[name] for name in sorted(found) if re.match(r"(ld|st)\b.*\.(global|shared|local)", name)
    }
    line["faults"] = faults(found, report)
    return line


def compile_case(case: Case) -> Iterator[tuple[str, str, list[str]]]:
    """Yield what each kernel of a case is called besides, its PTX text, and the options of ptxas that it asks for."""
    from fastemd.cuda.primitives import intrinsics

    for part, kernel, signature in _kernels(case):
        if intrinsics.SIMULATED:
            raise RuntimeError("Kernels are compiled where numba does not simulate; unset NUMBA_ENABLE_CUDASIM.")
        options = kernel.targetoptions
        ptx = _ptx(kernel.py_func, signature, case.capability, options.get("launch_bounds"))
        cap = case.cap or options.get("max_registers")
        yield part, ptx, [f"-maxrregcount={cap}"] if cap else []


def _kernels(case: Case) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Yield the kernels of a case as numba has them, and the types of their arguments."""
    from numba import types

    from fastemd.cuda.exact import kernels, launch, multiblock, tile_aggregates
    from fastemd.cuda.primitives import memory, thread_group

    if case.kernel in ptx_cases.SINKHORN:
        yield from entropic.kernels(case)
        return
    room, (name, flags, classes, normalized, _) = launch.ROOMS[case.room], case.kernel[1:]
    aim = "int64" if classes else case.dtype
    wanted = kernels.Case(name, case.law, case.dtype, aim, case.dtype, classes, normalized, flags)
    signature, team = _signature(case.room), thread_group.team(case.team, launch.columns_of(room, case.law))
    if case.blocks == "one":
        slots = {"shared": memory.SHARED, "in memory": memory.IN_MEMORY}[case.scratch]
        yield "", kernels.build(wanted, room, team, slots), signature
        return
    steps = multiblock.build(wanted, room, team)
    for number, step in enumerate(steps, 1):
        yield f", step {number} of {len(steps)}", step.kernel, (*signature, *(types.int64,) * 3)
    if name == "value" and case.room == "chain":
        yield ", combining", tile_aggregates.combine, (types.int64,) * 5


def _ptx(function: Any, signature: Any, capability: str, launch_bounds: Any = None) -> str:
    """Compile a function to PTX. What it calls asks for the current device, which is stood in for."""
    import numba.cuda.dispatcher

    from fastemd.cuda.primitives.intrinsics import cuda

    cc = CAPABILITIES[capability]
    numba.cuda.dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=cc)
    ptx, _ = cuda.compile_ptx(function, signature, cc=cc, launch_bounds=launch_bounds)
    if f".target sm_{cc[0]}{cc[1]}" not in ptx:
        raise RuntimeError(f"What was compiled is not for compute capability {capability}.")
    return ptx


@functools.cache
def _signature(kind: str) -> tuple[Any, ...]:
    """Return the types of a kernel's arguments, from arguments as `fastemd.cuda.exact.launch` makes them."""
    from numba import typeof

    import fastemd as fe
    from fastemd.cuda.exact import launch
    from fastemd.cuda.primitives import thread_group

    room = launch.ROOMS[kind]
    space = {"chain": fe.Chain(5), "ring": fe.Ring(5), "tree": fe.Tree([-1, 0, 1, 1], [0, 1, 1, 1])}[kind]
    arrays, numbers = room.prepare(space.arrays, space.n, thread_group.team(1, room.COLUMNS))
    matrix = (0, 0, 0, 0)
    arguments = (
        1,
        1,
        space.n,
        space.m,
        matrix,
        matrix,
        0,
        matrix,
        room.Layout(*(0,) * len(arrays), *numbers),
        1.0,
        1.0,
        0,
        0,
    )
    return tuple(map(typeof, arguments))


@functools.cache
def assembler() -> str | None:
    """Return the path of ptxas: the wheel's, which fits the compiler, or else a toolkit's; None without either."""
    try:
        import nvidia
    except ModuleNotFoundError:
        return shutil.which("ptxas")
    found = [path for root in nvidia.__path__ for path in Path(root).glob("*/bin/ptxas")]
    return str(found[0]) if found else shutil.which("ptxas")


def _assembler_version() -> str | None:
    ptxas = assembler()
    if ptxas is None:
        return None
    text = subprocess.run([ptxas, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"release .*", text)[0]


def assemble(ptx: str, capability: str, options: Iterable[str] = ()) -> dict[str, int] | None:
    """Put PTX through ptxas and return what it reports; None where there is no ptxas."""
    ptxas = assembler()
    if ptxas is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "kernel.ptx")
        source.write_text(ptx)
        arch = f"-arch=sm_{capability.replace('.', '')}"
        command = [ptxas, "-v", arch, *options, str(source), "-o", str(Path(folder, "kernel.cubin"))]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ptxas refuses a kernel:\n{done.stderr}")
    return assembled(done.stderr)


def main() -> None:
    """Compile each kernel once, or those of one capability, in this process, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ptx", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="each kernel once, in place of all cases")
    parser.add_argument("--capability", choices=list(CAPABILITIES), help="compute capability; default: each")
    parser.add_argument("--only", default="", metavar="REGEX", help="only the cases whose words match")
    parser.add_argument("--cap", type=int, metavar="REGISTERS", help="limit of registers for a thread")
    parser.add_argument("--json", default="-", metavar="FILE", help="where the results go; - prints them")
    arguments = parser.parse_args()
    capabilities = [arguments.capability] if arguments.capability else list(CAPABILITIES)
    cases = ptx_cases.full()
    if arguments.quick:
        cases = [case for capability in capabilities for case in ptx_cases.quick(capability)]
    cases = [case for case in cases if case.capability in capabilities and re.search(arguments.only, case.words)]
    result = compiled([case._replace(cap=arguments.cap) for case in cases], 1)
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    if arguments.json == "-":
        sys.stdout.write(text)
    else:
        Path(arguments.json).write_text(text, encoding="utf-8")
    sys.exit(int(any(line["faults"] for line in result["lines"])))


if __name__ == "__main__":
    main()

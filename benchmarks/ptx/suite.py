"""The suite of compiled kernels: the registers and memory that CUDA kernels need, without a GPU or a driver.

``python -m benchmarks ptx`` compiles the kernels to PTX (NVVM, in the wheels of ``numba-cuda[cu13]``), assembles them
by ptxas (the wheel ``nvidia-cuda-nvcc`` of the same version), and writes ``results/ptx.json``. Its status is 1 if a
kernel is at fault: it spills, uses local memory, adds floats atomically or computes inexactly.

``python -m benchmarks.ptx --quick`` prints the same for each kernel once.
"""

from __future__ import annotations

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
from . import entropic, pairs
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
        Each kernel once, distributed over the capabilities.
    only : str
        A regular expression: only the cases whose label it matches.
    """
    cases = [case for capability in CAPABILITIES for case in ptx_cases.quick(capability)] if quick else ptx_cases.full()
    cases += ptx_cases.variants()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    result = compiled([case for case in cases if re.search(only, case.label)], os.cpu_count() or 1) | {"quick": quick}
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def status(path: Path) -> int:
    """Return 1 if a kernel in a file of results is at fault, else 0. A limit on registers may make one spill."""
    return int(any(at_fault(json.loads(path.read_text(encoding="utf-8"))["lines"])))


def at_fault(lines: Iterable[dict]) -> Iterator[str]:
    """Yield a line for each kernel that is at fault as it is shipped."""
    for line in lines:
        if line["faults"] and line["register_limit"] is None:
            yield f"{line['label']}: {'; '.join(line['faults'])}"


def compiled(cases: list[Case], workers: int) -> dict[str, Any]:
    """Return the content of the file of results."""
    begin = time.perf_counter()
    result = record.here_and_now(PACKAGES) | {"assembler": _assembler_version(), "lines": []}
    for number, line in enumerate(_lines(cases, workers), 1):
        result["lines"].append(line)
        faults_of_line = "; ".join(line["faults"]) or "no fault"
        print(f"{number}: {line['label']}: {line['registers']} registers, {faults_of_line}", file=sys.stderr)
    result["seconds"] = time.perf_counter() - begin
    return result


def _lines(cases: list[Case], workers: int) -> Iterator[dict]:
    if workers == 1:
        yield from itertools.chain.from_iterable(map(examined, cases))
        return
    spawn = multiprocessing.get_context("spawn")
    # numba keeps every compiled kernel, some ten MiB each, so processes are replaced now and then. (On Python 3.11 an
    # executor of concurrent.futures that replaces processes was seen to deadlock.)
    with spawn.Pool(workers, maxtasksperchild=8) as pool:
        yield from itertools.chain.from_iterable(pool.imap(examined, cases, chunksize=4))


def examined(case: Case) -> list[dict[str, Any]]:
    """Compile a case, and return a line of the results for each of its kernels."""
    return [_line(case, *kernel) for kernel in compile_case(case)]


def _line(case: Case, part: str, ptx: str, limits: list[str]) -> dict[str, Any]:
    report = assemble(ptx, case.capability, limits)
    counts, bits = instructions(ptx), BITS[case.dtype]
    line: dict[str, Any] = {"label": case.label + part, **case._asdict(), "kernel": case.kernel.label}
    line |= report or dict.fromkeys(("registers", "static_shared", "stack", "spill_stores", "spill_loads"))
    line["resident"] = resident(report["registers"], BLOCK, case.capability) if report else None
    # A tree's tokens are integers: instructions for capability 10.0 do not tell them from floats.
    letters = "f" if case.space == "tree" and case.dtype == "float32" else "bfsu"
    line["load_bytes"], line["store_bytes"] = (widest(counts, word, bits, letters) for word in ("ld", "st"))
    line["memory"] = {
        name: counts[name] for name in sorted(counts) if re.match(r"(ld|st)\b.*\.(global|shared|local)", name)
    }
    line["faults"] = faults(counts, report)
    return line


def compile_case(case: Case) -> Iterator[tuple[str, str, list[str]]]:
    """Yield for each kernel of a case its part of the label, its PTX text, and its options of ptxas."""
    from fastemd.cuda.primitives import intrinsics

    for part, kernel, signature in _kernels(case):
        if intrinsics.SIMULATED:
            raise RuntimeError("Kernels are compiled where numba does not simulate; unset NUMBA_ENABLE_CUDASIM.")
        options = kernel.targetoptions
        ptx = _ptx(kernel.py_func, signature, case.capability, options.get("launch_bounds"))
        register_limit = case.register_limit or options.get("max_registers")
        yield part, ptx, [f"-maxrregcount={register_limit}"] if register_limit else []


def _kernels(case: Case) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Yield for each kernel of a case its part of the label, numba's dispatcher, and the types of its arguments."""
    from numba import types

    from fastemd.cuda.exact import kernels, launch, multiblock, tile_aggregates
    from fastemd.cuda.primitives import memory, thread_group

    if case.kernel in ptx_cases.SINKHORN:
        yield from entropic.kernels(case)
        return
    if case.kernel in ptx_cases.PAIRS:
        yield from pairs.kernels(case)
        return
    module, (name, flags, classes, normalized, _) = _module(case), case.kernel[1:]
    dtype_y = "int64" if classes else case.dtype
    exact_case = kernels.Case(name, case.rho, case.dtype, dtype_y, case.dtype, classes, normalized, flags)
    signature = _signature(case.space, module)
    group = thread_group.thread_group(case.threads, launch.columns_of(module, case.rho))
    if case.blocks == "one":
        scratch = {"shared": memory.SHARED, "global": memory.GLOBAL}[case.scratch]
        yield "", kernels.build(exact_case, module, group, scratch), signature
        return
    steps = multiblock.build(exact_case, module, group)
    for number, step in enumerate(steps, 1):
        yield f", step {number} of {len(steps)}", step.kernel, (*signature, *(types.int64,) * 3)
    if name == "value" and case.space == "chain":
        yield ", scan of tiles", tile_aggregates.scan, (types.int64,) * 5


def _ptx(function: Any, signature: Any, capability: str, launch_bounds: Any = None) -> str:
    """Compile a function to PTX. The device functions that it calls ask for the current device: a stand-in."""
    import numba.cuda.dispatcher

    from fastemd.cuda.primitives.intrinsics import cuda

    cc = CAPABILITIES[capability]
    numba.cuda.dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=cc)
    ptx, _ = cuda.compile_ptx(function, signature, cc=cc, launch_bounds=launch_bounds)
    if f".target sm_{cc[0]}{cc[1]}" not in ptx:
        raise RuntimeError(f"The PTX is not for compute capability {capability}.")
    return ptx


def _module(case: Case) -> Any:
    """Return the module of a case's space: trees that do not fit in shared memory have another one."""
    from fastemd.cuda.exact import launch

    return (launch.SPACES if case.scratch == "shared" else launch.SPACES | launch.TILED)[case.space]


@functools.cache
def _signature(kind: str, module: Any) -> tuple[Any, ...]:
    """Return the types of a kernel's arguments, those of `fastemd.cuda.exact.launch`."""
    from numba import typeof

    import fastemd as fe
    from fastemd.cuda.primitives import thread_group

    space = {"chain": fe.Chain(5), "ring": fe.Ring(5), "tree": fe.Tree([-1, 0, 1, 1], [0, 1, 1, 1])}[kind]
    arrays, numbers = module.prepare(space.arrays, space.n, thread_group.thread_group(1, module.COLUMNS))
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
        module.Layout(*(0,) * len(arrays), *numbers),
        1.0,
        1.0,
        0,
        0,
    )
    return tuple(map(typeof, arguments))


@functools.cache
def assembler() -> str | None:
    """Return the path of ptxas: of the wheel, which fits the compiler, or of a toolkit; None without either."""
    try:
        import nvidia
    except ModuleNotFoundError:
        return shutil.which("ptxas")
    paths = [path for root in nvidia.__path__ for path in Path(root).glob("*/bin/ptxas")]
    return str(paths[0]) if paths else shutil.which("ptxas")


def _assembler_version() -> str | None:
    ptxas = assembler()
    if ptxas is None:
        return None
    text = subprocess.run([ptxas, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"release .*", text)[0]


def assemble(ptx: str, capability: str, options: Iterable[str] = ()) -> dict[str, int] | None:
    """Assemble PTX by ptxas and return its report; None where there is no ptxas."""
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

"""The compiled CUDA kernels, without a GPU or a driver: no spills, no local memory, no atomics, vector loads.

Kernels are compiled in a process of its own, in which numba does not simulate a device.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.ptx import cases as ptx_cases
from benchmarks.ptx import page as ptx_page
from benchmarks.ptx import reading, suite
from benchmarks.ptx.reading import CAPABILITIES
from fastemd.cuda.primitives.thread_group import REDUCTION_SLOTS

ROOT = Path(__file__).parents[2]

compiling = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda, whose compiler makes PTX, is not installed"
)
assembling = pytest.mark.skipif(
    suite.assembler() is None, reason="ptxas, which counts registers, is not installed: pip install nvidia-cuda-nvcc"
)


def compiled(*words):
    """Compile in a process of its own; return its status and the results."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    command = [sys.executable, "-m", "benchmarks.ptx", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


# --- The kernels that are shipped -------------------------------------------------------------------------------------


@compiling
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_kernels_stay_in_registers_and_compute_exactly_in_a_fixed_order(capability):
    status, result = compiled("--quick", "--capability", capability)
    assert list(suite.at_fault(result["lines"])) == []
    assert status == 0
    for case in ptx_cases.quick(capability):
        assert any(line["label"].startswith(case.label) for line in result["lines"])
    for line in result["lines"]:
        if suite.assembler() is not None:
            assert 0 < line["registers"] <= 255
            assert line["stack"] == line["spill_stores"] == line["spill_loads"] == 0
        reads_rows = line["space"] != "tree" and line["blocks"] == "one" and "Sinkhorn" not in line["kernel"]
        reads_rows &= line["kernel"] != "rows of pairs"  # bins are gathered in depth-first order
        if line["dtype"] == "float32" and reads_rows:
            assert line["load_bytes"] == 16, line["label"]


def test_every_kernel_is_compiled_and_every_property_varied():
    cases = sweeps(case for capability in CAPABILITIES for case in ptx_cases.quick(capability))
    assert len(cases) == len({(case.space, case.kernel, case.blocks) for case in cases})
    names = {kernel.name for kernel in ptx_cases.KERNELS}
    for some, kernels in ((cases, ptx_cases.QUICK), (sweeps(ptx_cases.full()), ptx_cases.KERNELS)):
        alone = [case for case in some if case.blocks == "one"]
        assert {(case.space, case.kernel) for case in alone} == {
            (space, k) for space in ptx_cases.SPACES for k in kernels
        }
        assert {(case.space, case.kernel.name) for case in alone} == {
            (r, name) for r in ptx_cases.SPACES for name in names
        }
        assert {case.space for case in some if case.blocks == "many"} == set(ptx_cases.MULTIBLOCK_SPACES)
        assert {case.rho for case in some} == {1.0, 2.0, 0.0}
        assert {case.capability for case in some} == set(CAPABILITIES)
        assert {case.dtype for case in some} >= {"float16", "bfloat16", "float32", "float64"}
        assert {case.threads for case in some} == {1, 32, 256}
        assert {(case.space, case.scratch) for case in some} >= {("ring", "global"), ("tree", "global")}


SPACES = ("chain", "ring", "tree")


def sweeps(cases):
    return [case for case in cases if case.kernel not in (*ptx_cases.SINKHORN, *ptx_cases.PAIRS)]


def test_kernels_of_sinkhorn_are_compiled_in_every_form_and_on_each_capability():
    from benchmarks.ptx import entropic
    from fastemd.cuda.entropic import matrix

    every = {(space, kernel) for space in SPACES for kernel in (ptx_cases.SINKHORN[2], ptx_cases.SINKHORN[5])}
    every |= {("matrix", kernel) for kernel in ptx_cases.SINKHORN if kernel != ptx_cases.SINKHORN[2]}
    dealt = [case for capability in CAPABILITIES for case in ptx_cases.quick(capability)]
    for some in (ptx_cases.full(), dealt):
        some = [case for case in some if case.kernel in ptx_cases.SINKHORN]
        assert {(case.space, case.kernel) for case in some} == every
        loops = [case for case in some if case.kernel.name == "sinkhorn"]
        assert {entropic.form(case) for case in loops} == {*matrix.ROWS, *SPACES}
        assert {case.dtype for case in some} >= {"float16", "bfloat16", "float32", "float64", "int32"}
    for capability in CAPABILITIES:
        here = [case for case in ptx_cases.full() if case.capability == capability]
        assert {(case.space, case.kernel) for case in here if case.kernel in ptx_cases.SINKHORN} == every


def test_kernels_compiled_are_those_that_there_are():
    from fastemd.cuda.exact import kernels, launch

    assert set(ptx_cases.SPACES) == set(launch.SPACES)
    with pytest.raises(KeyError) as missing:
        kernels.build(kernels.Case("none", *[None] * 7), None, None, None)
    assert missing.value.args == ("none",)
    assert {kernel.name for kernel in ptx_cases.KERNELS} == {"value", "gradient", "flow", "length_gradient", "logits"}


# --- Kernels at fault are caught --------------------------------------------------------------------------------------


@compiling
@assembling
def test_a_kernel_with_too_few_registers_is_caught():
    words = ("--capability", "9.0", "--only", "chain, gradient for a, ρ = 1, float32, 256 threads, compute")
    status, result = compiled(*words, "--register-limit", "24")
    (line,) = result["lines"]
    assert status == 1
    assert line["registers"] <= 24 and line["spill_stores"] > 0 and line["spill_loads"] > 0
    assert any("spills" in fault for fault in line["faults"])


@compiling
def test_a_kernel_that_indexes_an_array_of_its_own_is_caught():
    code = """
from benchmarks.ptx import reading, suite
from fastemd.cuda.primitives.intrinsics import cuda, types
def kernel(at, k):
    own = cuda.local.array(64, types.float64)
    for i in range(64):
        own[(i * k) % 64] += 1.0
    cuda.atomic.add(at, 0, own[k])
text = suite._ptx(kernel, (types.float64[::1], types.int64), "9.0")
print(*reading.faults(reading.instructions(text), suite.assemble(text, "9.0")), sep="\\n")
"""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert "uses local memory: st.local" in done.stdout
    assert "adds floats atomically" in done.stdout
    assert suite.assembler() is None or "has a stack frame of" in done.stdout


@compiling
def test_where_numba_simulates_nothing_is_compiled():
    command = [sys.executable, "-m", "benchmarks.ptx", "--only", "chain, value, ρ = 1, float32, 256 threads"]
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode and "unset NUMBA_ENABLE_CUDASIM" in done.stderr


# --- Reading ----------------------------------------------------------------------------------------------------------

PTX = """
	@%p1 ld.global.v4.f32 	{%f1, %f2, %f3, %f4}, [%rd1];
	ld.global.v2.f64 	{%fd1, %fd2}, [%rd2];
	ld.volatile.global.u16 	%rs1, [%rd2];
	st.global.f32 	[%rd3], %f1;
	ld.shared.f64 	%fd3, [%r1];
	bar.sync 	0;
	rcp.approx.ftz.f64 	%fd4, %fd3;
	div.rn.f64 	%fd5, %fd3, %fd4;
"""


def test_instructions_are_counted_with_and_without_a_predicate():
    assert reading.instructions(PTX) == Counter(
        [
            "ld.global.v4.f32", "ld.global.v2.f64", "ld.volatile.global.u16", "st.global.f32", "ld.shared.f64",
            "bar.sync", "rcp.approx.ftz.f64", "div.rn.f64",
        ]
    )  # fmt: skip


def test_the_widest_access_is_that_of_numbers_of_the_size_asked_for():
    found = reading.instructions(PTX)
    assert [reading.widest(found, "ld", bits) for bits in (16, 32, 64, 8)] == [2, 16, 16, 0]
    assert [reading.widest(found, "st", bits) for bits in (32, 64)] == [4, 0]
    assert reading.widest(found, "ld", 32, "su") == 0


def test_exact_instructions_are_no_fault():
    assert reading.faults(reading.instructions(PTX), None) == []


@pytest.mark.parametrize(
    ("instruction", "fault"),
    [
        ("ld.local.f64 %fd1, [%rd1];", "local memory"),
        ("st.local.v2.u32 [%rd1], {%r1, %r2};", "local memory"),
        ("atom.global.add.f64 %fd1, [%rd1], %fd2;", "atomically"),
        ("red.global.add.f32 [%rd1], %f2;", "atomically"),
        ("atom.global.add.noftz.bf16 %rs1, [%rd1], %rs2;", "atomically"),
        ("div.approx.f32 %f1, %f2, %f3;", "inexactly"),
        ("div.full.f32 %f1, %f2, %f3;", "inexactly"),
        ("ex2.approx.ftz.f32 %f1, %f2;", "inexactly"),
        ("add.ftz.f32 %f1, %f2, %f3;", "inexactly"),
    ],
)
def test_an_instruction_that_has_no_place_is_named(instruction, fault):
    (words,) = reading.faults(reading.instructions(f"\t{instruction}\n"), None)
    assert fault in words and instruction.split()[0] in words


REPORT = """ptxas info    : Compiling entry function 'kernel' for 'sm_90'
ptxas info    : Function properties for kernel
    {0} bytes stack frame, {1} bytes spill stores, {2} bytes spill loads
ptxas info    : Used 72 registers, used 1 barriers, 16 bytes smem, 700 bytes cmem[0]
ptxas info    : Function properties for helper
    0 bytes stack frame, 4 bytes spill stores, 0 bytes spill loads
"""


def test_what_the_assembler_reports_is_added_up_over_functions():
    found = reading.assembled(REPORT.format(8, 12, 20))
    assert found == {"registers": 72, "static_shared": 16, "stack": 8, "spill_stores": 16, "spill_loads": 20}
    assert len(reading.faults(Counter(), found)) == 2


def test_a_report_without_a_kernel_is_refused():
    with pytest.raises(ValueError, match="no kernel"):
        reading.assembled("ptxas info : 0 bytes gmem")


@pytest.mark.parametrize(
    ("registers", "capability", "threads"),
    [(32, "9.0", 2048), (40, "9.0", 1536), (64, "9.0", 1024), (72, "9.0", 768), (96, "9.0", 512), (255, "9.0", 256),
     (32, "7.5", 1024), (64, "7.5", 1024), (128, "8.0", 512)],
)  # fmt: skip
def test_resident_threads_are_those_of_the_occupancy_calculator(registers, capability, threads):
    assert reading.resident(registers, 256, capability) == threads


# --- The page ---------------------------------------------------------------------------------------------------------


def line(case, **more):
    kept = {"label": case.label, **case._asdict(), "kernel": case.kernel.label, "registers": 72, "resident": 768}
    return (
        kept
        | {"static_shared": 16, "spill_stores": 0, "spill_loads": 0, "load_bytes": 16, "store_bytes": 4, "faults": []}
        | more
    )


def written(folder, lines):
    head = {
        "date": "2026-11-24",
        "seconds": 1.0,
        "commit": None,
        "dirty": False,
        "assembler": "release 13",
        "quick": False,
    }
    result = head | {"versions": {"numba": "0.68"}, "lines": lines}
    (folder / suite.FILE).write_text(json.dumps(result), encoding="utf-8")
    return ptx_page.write(folder, folder / "ptx.md").read_text(encoding="utf-8")


def test_the_page_has_the_worst_of_each_kernel_and_the_limits_beside_none(tmp_path):
    case = ptx_cases.Case("chain", ptx_cases.KERNELS[0])
    worse = line(case._replace(rho=0.0), registers=90, resident=512)
    capped = line(case._replace(register_limit=40), registers=40, resident=1536, spill_stores=8)
    page = written(tmp_path, [line(case), worse, capped])
    assert (
        f"| chain | value | 2 | 90 (any ρ, float32, 256 threads, 9.0) | 512 | 16 | 4 | {16 + 8 * REDUCTION_SLOTS} | 0 |"
        in page
    )
    assert "| none | 72 | 768 | 0 |" in page and "| 40 | 40 | 1536 | 8 |" in page
    assert suite.status(tmp_path / suite.FILE) == 0


def test_a_kernel_at_fault_is_named_on_the_page_and_in_the_status(tmp_path):
    case = ptx_cases.Case("ring", ptx_cases.KERNELS[0])
    page = written(tmp_path, [line(case, faults=["spills 8 bytes and loads 8 back"])])
    assert "1 of 1 kernels are at fault" in page and f"{case.label}: spills 8 bytes" in page
    assert suite.status(tmp_path / suite.FILE) == 1


def test_the_page_needs_results(tmp_path):
    with pytest.raises(FileNotFoundError, match="python -m benchmarks ptx"):
        ptx_page.write(tmp_path, tmp_path / "ptx.md")

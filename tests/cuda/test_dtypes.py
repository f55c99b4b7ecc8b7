"""A row has the same bits in every kernel: no sum is fused with a product in some kernels and not in others.

The compiler may fuse them anywhere, and the simulator cannot show it; so these tests read the compiled PTX.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fastemd.formulas.gradient import EXPECTED, WRT_B

ROOT = Path(__file__).parents[2]
CODE = """
from benchmarks.ptx import cases, suite

for blocks in ("one", "many"):
    kernel = cases.Kernel("", {name!r}, {flags!r}, False, {normalized!r})
    case = cases.Case({kind!r}, kernel, {rho!r}, scratch="global", blocks=blocks)
    for _, text, _ in suite.compile_case(case):
        print(text)
"""


def compiled(**words):
    """Compile a kernel and its multi-block kernels; return the PTX of each function in them."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    command = [sys.executable, "-c", CODE.format(**words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return re.findall(r"^(?:\.weak |\.visible )*\.(?:entry|func) [^;{]*\{.*?^\}", done.stdout, re.DOTALL | re.MULTILINE)


def results(text):
    """Return the float64 instructions as (name, operands), by the registers that they write."""
    found = {}
    for name, to, operands in re.findall(r"(\w[\w.]*\.f64)\s+(%fd\d+), (.*);", text):
        found.setdefault(to, []).append((name, re.findall(r"%fd\d+", operands)))
    return found


def products(text):
    """Return the sums that the compiler may fuse with a product."""
    made = results(text)

    def is_product(register):
        if len(made.get(register, ())) != 1:  # at a join of branches nothing can be fused
            return False
        ((name, operands),) = made[register]
        return name == "mul.f64" or (name in ("neg.f64", "abs.f64", "mov.f64") and any(map(is_product, operands)))

    instructions = [(to, *one) for to, several in made.items() for one in several]
    return [
        to for to, name, operands in instructions if name in ("add.f64", "sub.f64") and any(map(is_product, operands))
    ]


JOBS = (
    {"name": "gradient", "rho": 2.0, "flags": (EXPECTED, WRT_B), "normalized": (True, True)},
    {"name": "length_gradient", "rho": 0.0, "flags": (), "normalized": (False, True)},
    {"name": "logits", "rho": 1.0, "flags": (), "normalized": (False, True)},
)


@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="needs the compiler that numba-cuda brings")
@pytest.mark.parametrize("job", JOBS, ids=lambda job: job["name"])
@pytest.mark.parametrize("kind", ["chain", "tree"])
def test_no_sum_is_fused_with_a_product(kind, job):
    functions = compiled(kind=kind, **job)
    kernels = [text for text in functions if ".entry" in text.splitlines()[0]]
    others = {re.sub(r"\$L__\w+", "", text) for text in functions if text not in kernels}
    assert len(kernels) > 3
    assert not [to for text in kernels for to in products(text)]
    assert len(others) <= 1  # the power, which is the same in all of them
    if job["name"] == "gradient":  # powers and exponentials fuse explicitly
        assert not [line for text in kernels for line in re.findall(r"fma\.\w+\.f64.*", text)]


@pytest.mark.parametrize("text", ["mul.f64 %fd1, %fd2, %fd3;\nneg.f64 %fd4, %fd1;\nadd.f64 %fd5, %fd4, %fd6;"])
def test_sum_of_a_product_is_found(text):
    assert products(text) == ["%fd5"]
    assert not products(text.replace("add.f64", "add.rn.f64"))

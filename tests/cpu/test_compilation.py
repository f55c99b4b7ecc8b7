"""Compiled kernels are kept on disk, made anew when a source changes, and not missed where no disk can be written.

Each test works on a copy of the package in a folder of its own. Where nothing can be written is imitated by files that
stand in the place of folders, which stops even a superuser.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastemd as fe

ANSWER = """
import fastemd, numpy as np
from fastemd.cpu import kernels
print(fastemd.__file__)
print(fastemd.emd(np.array([1.0, 0, 0]), np.array([0, 0, 1.0]), fastemd.Chain(3)))
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package without anything compiled."""
    folder = tmp_path / "site" / "fastemd"
    shutil.copytree(Path(fe.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__", "*.gz"))
    return folder


def answer(package, **environment):
    """The distance that the copied package answers in a process of its own."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "XDG", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-c", ANSWER],
        env=inherited | {"PYTHONPATH": str(package.parent)} | environment,
        cwd=package.parent,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    where, value = done.stdout.split()
    assert Path(where).parent == package
    return float(value)


def kept(folder):
    """The compiled kernels in a folder, and when each was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")}


def test_change_of_the_law_recompiles_the_kernels(package, tmp_path):
    cache = tmp_path / "cache"
    assert answer(package, NUMBA_CACHE_DIR=str(cache)) == 2.0
    first = kept(cache)
    assert first
    assert answer(package, NUMBA_CACHE_DIR=str(cache)) == 2.0
    assert kept(cache) == first
    laws = package / "laws.py"
    source = laws.read_text()
    assert source.count("return length * abs(phi)\n") == 1
    laws.write_text(source.replace("return length * abs(phi)\n", "return 10.0 * length * abs(phi)\n"))
    assert answer(package, NUMBA_CACHE_DIR=str(cache)) == 20.0
    laws.write_text(source)
    assert answer(package, NUMBA_CACHE_DIR=str(cache)) == 2.0


def test_kernels_are_kept_beside_their_sources(package):
    assert answer(package) == 2.0
    assert kept(package / "cpu" / "__pycache__")


def test_kernels_are_kept_in_the_users_cache_where_the_package_cannot_be_written(package, tmp_path):
    (package / "cpu" / "__pycache__").write_text("in the way")
    home = tmp_path / "home"
    home.mkdir()
    assert answer(package, HOME=str(home), XDG_CACHE_HOME=str(home), PYTHONDONTWRITEBYTECODE="1") == 2.0
    assert kept(home) or sys.platform != "linux"


def test_where_nothing_can_be_kept_kernels_are_compiled_anew(package, tmp_path):
    (package / "cpu" / "__pycache__").write_text("in the way")
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way")
    nowhere = {name: str(blocked) for name in ("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME", "LOCALAPPDATA")}
    assert answer(package, **nowhere, PYTHONDONTWRITEBYTECODE="1") == 2.0
    assert not kept(tmp_path)


def test_read_only_and_writable_inputs_share_one_compiled_kernel():
    from fastemd.cpu.exact.kernels import value

    a, b = np.array([[1.0, 0.0]]), np.array([0.0, 1.0])
    fe.emd(a, b, fe.Chain(2))
    compiled = len(value.overloads)
    a.flags.writeable = False
    fe.emd(a, b, fe.Chain(2))
    fe.emd(a[::-1], b[::-1], fe.Chain(2))
    assert len(value.overloads) == compiled


# --- Warming up -------------------------------------------------------------------------------------------------------


def test_after_warmup_nothing_is_left_to_compile():
    from fastemd.cpu.exact import kernels

    spaces = [fe.Chain(5), fe.Tree([-1, 0, 0], [0.0, 1.0, 1.0])]
    fe.warmup(spaces, dtypes=[np.float32], rhos=[1, 2])
    named = [getattr(kernels, name) for name in ("value", "gradient", "flow", "length_gradient", "logits")]
    before = [len(kernel.overloads) for kernel in named]
    for space in spaces:
        a = np.full((3, space.n), 1 / space.n, np.float32)
        for rho in (1, 2):
            fe.emd(a, a, space, rho=rho)
            for wrt in ("a", "b", "both", "length"):
                fe.emd_value_and_grad(a, a, space, rho=rho, wrt=wrt, centred=False)
            fe.emd_with_logits(a, a, space, rho=rho)
            fe.emd_with_logits(a, [0, 1, 0], space, rho=rho)
        fe.flow(a, a, space)
    assert [len(kernel.overloads) for kernel in named] == before


def test_warmup_takes_every_dtype_that_calls_take():
    fe.warmup([fe.Chain(3)], dtypes=["float16", np.float64, int], rhos=[1])


@pytest.mark.parametrize(
    ("kind", "options", "shown"),
    [
        (TypeError, {"spaces": [3]}, "space is of type int"),
        (ValueError, {"spaces": [fe.Chain(2)], "rhos": [0.5]}, "rho is 0.5"),
        (TypeError, {"spaces": [fe.Chain(2)], "rhos": ["x"]}, "rho is 'x'"),
        (TypeError, {"spaces": [fe.Chain(2)], "dtypes": [complex]}, "complex"),
        (TypeError, {"spaces": [fe.Chain(2)], "dtypes": ["no dtype"]}, "no dtype"),
        (TypeError, {"spaces": fe.Chain(2)}, "spaces"),
    ],
)
def test_warmup_of_what_is_no_space_dtype_or_exponent_is_refused(kind, options, shown):
    with pytest.raises(kind, match=shown):
        fe.warmup(**options)

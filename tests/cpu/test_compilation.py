"""Compiled kernels are cached on disk and compiled anew when a source changes or where no disk can be written.

Tests of the cache work on a copy of the package in a folder of its own. A folder that cannot be written is imitated by
a file in its place, which stops even a superuser.
"""

import ast
import functools
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher
from numba.core.typing.templates import builtin_registry

import fastemd as fe
from fastemd.cpu import compilation
from fastemd.cpu.entropic import kernels as entropic_kernels
from fastemd.cpu.exact import kernels, matching

ANSWER = """
import fastemd, numpy as np
from fastemd.cpu.exact import kernels
print(fastemd.__file__)
print(fastemd.emd(np.array([1.0, 0, 0]), np.array([0, 0, 1.0]), fastemd.Chain(3)))
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package without anything compiled."""
    folder = tmp_path / "site" / "fastemd"
    shutil.copytree(Path(fe.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__", "*.gz"))
    return folder


def answered(package, *options, before="", path=None, **environment):
    """Return the distance that the copied package computes in a process of its own, and its error output."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "XDG", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, *options, "-c", before + ANSWER],
        env=inherited | {"PYTHONPATH": str(path or package.parent)} | environment,
        cwd=package.parent if path is None else Path(path).parent,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    where, value = done.stdout.split()
    assert Path(where).parent == (package if path is None else Path(path) / "fastemd")
    return float(value), done.stderr


def answer(package, **environment):
    """Return the distance that the copied package computes in a process of its own."""
    return answered(package, **environment)[0]


def kept(folder):
    """Return the compiled kernels in a folder, with the time when each was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")}


def test_change_of_the_cost_of_an_edge_recompiles_the_kernels(package, tmp_path):
    cache = tmp_path / "cache"
    assert answer(package, NUMBA_CACHE_DIR=str(cache)) == 2.0
    first = kept(cache)
    assert first
    assert answer(package, NUMBA_CACHE_DIR=str(cache)) == 2.0
    assert kept(cache) == first
    edge = package / "formulas" / "edge.py"
    source = edge.read_text()
    assert source.count("return length * abs(phi)\n") == 1
    edge.write_text(source.replace("return length * abs(phi)\n", "return 10.0 * length * abs(phi)\n"))
    assert answer(package, NUMBA_CACHE_DIR=str(cache)) == 20.0
    edge.write_text(source)
    assert answer(package, NUMBA_CACHE_DIR=str(cache)) == 2.0


def test_change_of_any_source_changes_the_digest(package, monkeypatch):
    monkeypatch.setattr(compilation, "PACKAGE", package)
    paths = [path for folder in ("formulas", "cpu") for path in (package / folder).rglob("*.py")]
    assert len(paths) == len(list(Path(fe.__file__).parent.glob("formulas/*.py"))) + len(
        list(Path(fe.__file__).parent.glob("cpu/**/*.py"))
    )
    before = compilation.digest.__wrapped__()
    for path in paths:
        source = path.read_bytes()
        path.write_bytes(source + b"# changed\n")
        assert compilation.digest.__wrapped__() != before, path
        path.write_bytes(source)
    assert compilation.digest.__wrapped__() == before


@functools.cache
def imported_from(path):
    """The names that a source file imports from a module, and the path of that module where it is the package's."""
    names = {}
    for node in ast.walk(ast.parse(Path(path).read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = Path(path).parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for name in node.names:
                file = folder / f"{name.name}.py"
                names[name.asname or name.name] = file if file.exists() else folder.with_suffix(".py")
    return names


def names_in(code):
    """All names that a code object and the code objects in it refer to."""
    return set(code.co_names).union(*(names_in(inner) for inner in code.co_consts if inspect.iscode(inner)))


def files_in(kernel):
    """The files of the package whose functions and constants can be in the code of a kernel."""
    implementations = {}
    for template in builtin_registry.functions:
        # In the simulator those of the CUDA backend stand in the same registry; no kernel of the CPU calls them.
        if hasattr(template, "_overload_func") and "fastemd.cuda" not in str(template._overload_func.__module__):
            implementations.setdefault(template.key, []).append(template._overload_func)
    files, seen, left, expanded = set(), set(), [kernel], set()
    while left:
        item = left.pop()
        if inspect.isroutine(item) and item not in expanded:
            expanded.add(item)
            left += implementations.get(item, [])
        item = getattr(item, "py_func", None) or getattr(item, "_defn", item)  # of a dispatcher, of an intrinsic
        if not inspect.isfunction(item) or item in seen or not item.__module__.startswith("fastemd"):
            continue
        seen.add(item)
        path = inspect.getsourcefile(item)
        files.add(Path(path))
        names = names_in(item.__code__)
        files |= {file for name, file in imported_from(path).items() if name in names}
        reached = [item.__globals__[name] for name in names if name in item.__globals__]
        reached += [cell.cell_contents for cell in item.__closure__ or ()]
        for module in [value for value in reached if inspect.ismodule(value)]:
            reached += [getattr(module, name) for name in names if hasattr(module, name)]
        left += reached
    return files


def test_the_digest_covers_every_file_that_a_kernel_can_contain():
    compiled = [
        kernel
        for module in (kernels, matching, entropic_kernels)
        for kernel in vars(module).values()
        if isinstance(kernel, Dispatcher)
    ]
    assert len(compiled) > 10
    files = set().union(*map(files_in, compiled))
    names = {path.relative_to(Path(fe.__file__).parent).as_posix() for path in files}
    expected = {f"cpu/{part}/{space}.py" for part in ("exact", "entropic") for space in ("chain", "ring", "tree")}
    assert names >= expected | {"formulas/edge.py", "formulas/mass.py", "cpu/simd/rows.py", "cpu/simd/exp_log.py"}
    assert files <= set(compilation.sources())


def test_kernels_are_kept_beside_their_sources(package):
    assert answer(package) == 2.0
    assert kept(package / "cpu" / "exact" / "__pycache__")


def test_kernels_are_kept_in_the_users_cache_where_the_package_cannot_be_written(package, tmp_path):
    (package / "cpu" / "exact" / "__pycache__").write_text("in the way")
    home = tmp_path / "home"
    home.mkdir()
    assert answer(package, HOME=str(home), XDG_CACHE_HOME=str(home), PYTHONDONTWRITEBYTECODE="1") == 2.0
    assert kept(home) or sys.platform != "linux"


def test_where_no_folder_can_be_written_kernels_are_compiled_anew(package, tmp_path):
    (package / "cpu" / "exact" / "__pycache__").write_text("in the way")
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way")
    nowhere = {name: str(blocked) for name in ("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME", "LOCALAPPDATA")}
    assert answer(package, **nowhere, PYTHONDONTWRITEBYTECODE="1") == 2.0
    assert not kept(tmp_path)


DAMAGES = {
    "emptied": lambda data: b"",
    "halved": lambda data: data[: len(data) // 2],
    "garbage": lambda data: b"?" * 99,
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A copy of the package with its compiled kernels; not to be changed."""
    folder = tmp_path_factory.mktemp("compiled") / "fastemd"
    shutil.copytree(Path(fe.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__", "*.gz"))
    assert answer(folder) == 2.0
    return folder


@pytest.mark.parametrize(("ending", "damage"), [("nbi", "emptied"), ("nbi", "garbage"), ("nbc", "halved")])
def test_damaged_cache_file_costs_one_warning_and_is_mended(compiled, tmp_path, ending, damage):
    package = shutil.copytree(compiled, tmp_path / "site" / "fastemd")
    files = list(package.rglob(f"*.{ending}"))
    assert files
    for path in files:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    value, errors = answered(package, "-W", "default")
    assert value == 2.0
    assert errors.count("RuntimeWarning") == 1
    assert "holds a kernel that cannot be loaded" in errors
    assert answered(package, "-W", "error") == (2.0, "")


FULL_DISK = """
import errno
from numba.core import caching
def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")
caching.IndexDataCacheFile.save = full
"""


def test_full_disk_costs_one_warning(package):
    value, errors = answered(package, "-W", "default", before=FULL_DISK)
    assert value == 2.0
    assert errors.count("RuntimeWarning") == 1
    assert "compiles anew (OSError: [Errno 28] No space left on device)" in errors


def test_package_in_a_zip_file_answers(package, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", package.parent)
    value, errors = answered(package, "-W", "error", path=archive, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert (value, errors) == (2.0, "")


def test_without_a_compiler_the_error_says_so(package):
    with pytest.raises(
        AssertionError, match=r"NUMBA_DISABLE_JIT is set\. Needed: compiled kernels; unset NUMBA_DISABLE_JIT"
    ):
        answer(package, NUMBA_DISABLE_JIT="1")


def test_read_only_and_writable_inputs_share_one_compiled_kernel():
    a, b = np.array([[1.0, 0.0]]), np.array([0.0, 1.0])
    fe.emd(a, b, fe.Chain(2))
    compiled = len(kernels.value.overloads)
    a.flags.writeable = False
    fe.emd(a, b, fe.Chain(2))
    fe.emd(a[::-1], b[::-1], fe.Chain(2))
    assert len(kernels.value.overloads) == compiled


# --- Warming up -------------------------------------------------------------------------------------------------------


def test_after_warmup_nothing_is_left_to_compile():
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
def test_warmup_raises_for_anything_but_spaces_dtypes_and_exponents(kind, options, shown):
    with pytest.raises(kind, match=shown):
        fe.warmup(**options)

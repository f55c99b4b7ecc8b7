"""The house: which module may import which, what importing fastemd brings in, and that all that is public is told."""

import ast
import doctest
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import fastemd as fe

PACKAGE = Path(fe.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
UPPER = {"api", "dispatch", "warm", "plans", "cpu", "cli", "compare"}
LOWER = [
    "builders", "preorder", "space", "spaces", "validation", "laws", "arguments", "verdicts", "threads", "results",
    "entropic_arguments", "device", "device_arguments", "device_readers", "dlpack",
]  # fmt: skip


def named(path):
    return path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


def imported(path):
    """Full names of all that a file imports anywhere, type checking set aside."""
    tree = ast.parse(path.read_text())
    package = named(path).split(".") if path.name == "__init__.py" else named(path).split(".")[:-1]
    checking = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    set_aside = {id(inner) for node in checking for inner in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in set_aside:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return found


def rooms(path):
    """The parts of fastemd that a file imports, by the first word after "fastemd."."""
    return {name.split(".")[1] for name in imported(path) if name.startswith("fastemd.")}


def outside(path):
    """The packages that a file imports, fastemd and the standard library left out."""
    return {name.split(".")[0] for name in imported(path)} - {"fastemd"} - set(sys.stdlib_module_names)


def test_laws_import_nothing():
    assert imported(PACKAGE / "laws.py") == set()
    assert rooms(PACKAGE / "pace.py") == outside(PACKAGE / "pace.py") == set()


def test_cpu_wing_imports_the_laws_and_the_compiler_only():
    for path in sorted((PACKAGE / "cpu").glob("*.py")):
        assert outside(path) <= {"numba", "numpy", "llvmlite"}, path
        assert rooms(path) <= {"cpu", "laws", "contraction"}, path


def test_cuda_wing_imports_the_laws_and_the_compiler_only():
    for path in sorted((PACKAGE / "cuda").glob("*.py")):
        doors = {"device"} if path.stem in ("wing", "entropic_wing") else set()
        assert outside(path) <= {"numba", "numpy", "llvmlite", "cuda"}, path
        assert rooms(path) <= {"cuda", "laws", "pace", "contraction"} | doors, path


def test_one_file_of_the_cuda_wing_imports_numba():
    users = [path.stem for path in (PACKAGE / "cuda").glob("*.py") if outside(path) & {"numba", "llvmlite"}]
    assert users == ["target"]


def test_both_wings_have_rooms_of_the_same_names():
    from fastemd.cpu.exact import launch as cpu
    from fastemd.cuda.exact import launch as cuda

    assert cpu.ROOMS.keys() == cuda.ROOMS.keys() == {"chain", "ring", "tree"}


def test_only_the_wings_import_numba():
    for path in FILES:
        if path.parent.name not in ("cpu", "cuda"):
            assert not outside(path) & {"numba", "llvmlite"}, path


def test_only_the_adapters_import_their_frameworks():
    for path in FILES:
        adapted = path.stem.partition("_")[0] if path.parent == PACKAGE else ""
        assert outside(path) & {"torch", "jax"} <= {adapted}, path


def test_nothing_but_an_adapter_imports_an_adapter():
    for path in FILES:
        adapters = {room.partition("_")[0] for room in rooms(path)} & {"torch", "jax"}
        assert adapters <= {path.stem.partition("_")[0]}, path


def test_cuda_wing_has_four_doors():
    users = {path.stem for path in FILES if "cuda" in rooms(path) and path.parent.name != "cuda"}
    assert {"device", "device_readers", "dispatch", "entropic_device"} <= users
    assert users <= {"device", "device_readers", "dispatch", "entropic_device", "cli"}


def test_reference_imports_spaces_only():
    for path in sorted((PACKAGE / "reference").glob("*.py")):
        assert rooms(path) <= {"reference", "spaces", "space", "results"}, path
        assert outside(path) <= {"numpy", "scipy"}, path


@pytest.mark.parametrize("name", LOWER)
def test_lower_modules_import_no_upper_ones(name):
    assert not rooms(PACKAGE / f"{name}.py") & UPPER


def test_dispatch_does_not_import_what_calls_it():
    assert not rooms(PACKAGE / "dispatch.py") & {"api", "warm", "arguments", "verdicts", "cli"}


def test_no_module_imports_the_api_but_those_above_it():
    users = {path.stem for path in FILES if "api" in rooms(path)}
    assert users <= {"warm", "cli", "compare", "solvers", "torch_rows", "jax"}


def test_importing_fastemd_brings_in_nothing_heavy():
    code = "import sys; before = set(sys.modules); import fastemd; print(*sorted(set(sys.modules) - before))"
    heavy = {"numpy", "numba", "scipy", "torch", "jax", "llvmlite", "rich", "typer", "matplotlib"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.split(".")[0] for name in done.stdout.split()} & heavy


@pytest.mark.parametrize(
    "use", ["fe.Chain(3)", "fe.Tree([-1, 0], [0, 1]).cost_matrix()", "fe.reference.emd([1], [1], fe.Chain(1))"]
)
def test_spaces_and_reference_do_without_a_compiler(use):
    code = f"import sys, fastemd as fe; {use}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.split(".")[0] for name in done.stdout.split()} & {"numba", "scipy", "llvmlite"}


def keywords(path):
    """Names and values of all keyword arguments and of all entries of literal dicts."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.keyword):
            yield node.arg, ast.unparse(node.value)
        elif isinstance(node, ast.Dict):
            yield from (
                (k.value, ast.unparse(v))
                for k, v in zip(node.keys, node.values, strict=True)
                if isinstance(k, ast.Constant)
            )


def test_no_kernel_is_parallel_or_forgets_nan():
    for path in FILES:
        for name, value in keywords(path):
            assert (name, value) != ("parallel", "True"), path
            assert name != "fastmath", path
        assert "prange" not in path.read_text(), path


# --- What is public ---------------------------------------------------------------------------------------------------


def test_public_names_are_those_that_are_loaded():
    assert sorted(fe.__all__) == sorted(fe._HOMES) == dir(fe)
    for name in fe.__all__:
        assert getattr(fe, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'earth'"):
        _ = fe.earth


PUBLIC = [f"fastemd.{name}" for name in fe.__all__ if name not in ("cuda", "reference")]
PUBLIC += [f"fastemd.cuda.{name}" for name in fe.cuda.__all__]
PUBLIC += [f"fastemd.reference.{name}" for name in fe.reference.__all__]


def found(name):
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_tells_its_arguments_answer_and_errors_and_shows_an_example(name):
    thing = found(name)
    text = inspect.getdoc(thing)
    takes = [p for p in inspect.signature(thing).parameters if p != "self"]
    sections = ["Examples"]
    if takes:
        sections += ["Parameters", "Raises"]
    if not inspect.isclass(thing) and inspect.signature(thing).return_annotation not in ("None", None):
        sections.append("Returns")
    for section in sections:
        assert f"\n{section}\n{'-' * len(section)}\n" in text, f"{name} has no section {section}"
    assert ">>> " in text
    for parameter in takes:
        assert parameter in text.partition("Parameters\n")[2].partition("\nRaises")[0], (
            f"{name} does not tell {parameter}"
        )


@pytest.mark.parametrize("name", fe.reference.__all__)
def test_reference_has_the_names_and_arguments_of_the_api(name):
    fast = inspect.signature(getattr(fe, name)).parameters
    slow = inspect.signature(getattr(fe.reference, name)).parameters
    assert set(fast) - set(slow) <= {"out", "check"}
    assert set(slow) <= set(fast)
    for parameter in slow:
        assert slow[parameter].default == fast[parameter].default
        assert slow[parameter].kind == fast[parameter].kind


@pytest.mark.doctest
@pytest.mark.parametrize("path", [p for p in FILES if ">>> " in p.read_text()], ids=named)
def test_examples_print_what_they_say(path, monkeypatch):
    from fastemd import threads

    monkeypatch.setattr(threads, "_count", None)
    module = importlib.import_module(named(path))
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0

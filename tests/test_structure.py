"""The layout: which module imports which, and how few modules a call enters."""

import ast
import functools
import itertools
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastemd as fe

PACKAGE = Path(fe.__file__).parent
ROOT = PACKAGE.parent
FILES = sorted(PACKAGE.rglob("*.py"))

# From the bottom up. A part of the package imports parts below its own floor only, none beside it.
FLOORS = [
    {"formulas", "threads", "results"},
    {"arrays"},
    {"data"},
    {"spaces"},
    {"problems", "reference"},
    {"cpu", "cuda"},
    {"exact", "entropic", "environment"},
    {"torch", "jax", "pairs", "barycenters", "points"},
    {"bio", "sklearn"},
    {"dask"},
    {"cli", "plot", "benchmarks"},
]
MOST_FLOORS = 10
MOST_MODULES = 14  # in a folder

# What numba offers to those who extend it, which a kernel's intrinsics are made of.
EXTENSION_API = {"numba.cuda.config", "numba.cuda.extending"}


def module_name(path):
    """The full name of the module in a file."""
    return path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


def part_of(name):
    """The part of the package that a module belongs to: a folder or a flat module; "" is the package itself."""
    return name.removeprefix("fastemd").lstrip(".").partition(".")[0]


def folder_of(name):
    """The innermost folder that a module is in, or a flat module itself."""
    path = MODULES[name]
    return name if path.parent == PACKAGE else module_name(path.parent / "__init__.py")


def loaded_by_name(call):
    """The modules of fastemd that a call of `import_module` can mean, wherever a name has parts that vary."""
    argument = call.args[0]
    parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
    words = (re.escape(part.value) if isinstance(part, ast.Constant) else r"\w+" for part in parts)
    pattern = re.compile("".join(words))
    return {name for name in MODULES if pattern.fullmatch(name)}


def nodes_at_run_time(node):
    """All nodes of a tree but those that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for other in child.orelse:
                yield other
                yield from nodes_at_run_time(other)
        else:
            yield child
            yield from nodes_at_run_time(child)


@functools.cache
def imports(path):
    """Full names of all that a file imports, in functions too; a module where `from` names one, else its package."""
    name = module_name(path) if path.is_relative_to(PACKAGE) else ""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in nodes_at_run_time(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            names = {f"{source}.{alias.name}" for alias in node.names}
            modules = names & MODULES.keys() if source.startswith("fastemd") else names
            found |= modules or {source}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found |= loaded_by_name(node)
    return found


@functools.cache
def imports_of(name):
    """The modules of fastemd that a module imports, itself and the package's facade left out."""
    return (imports(MODULES[name]) & MODULES.keys()) - {name, "fastemd"}


def outside(path):
    """The packages that a file imports, fastemd and the standard library left out."""
    return {name.partition(".")[0] for name in imports(path)} - {"fastemd"} - set(sys.stdlib_module_names)


def importing(package):
    """The files, relative to the package, that import a package or a module of it."""
    inner = package + "."
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if any(name == package or name.startswith(inner) for name in imports(path))
    }


def longest_path(graph):
    """The longest way down a graph; one that returns to where it was is a circle, and an error."""
    known, entered = {}, []

    def below(node):
        assert node not in entered, f"a circle of imports: {' -> '.join([*entered[entered.index(node) :], node])}"
        if node not in known:
            entered.append(node)
            known[node] = [node, *max(map(below, sorted(graph[node])), key=len, default=[])]
            entered.pop()
        return known[node]

    return max(map(below, sorted(graph)), key=len)


# --- Imports ----------------------------------------------------------------------------------------------------------


def test_every_part_of_the_package_has_a_floor():
    parts = {part_of(name) for name in MODULES} - {""}
    assert parts == set().union(*FLOORS) - {"benchmarks"}


def test_imports_lead_down():
    floor = {part: number for number, parts in enumerate(FLOORS) for part in parts}
    for name in MODULES.keys() - {"fastemd"}:
        here = part_of(name)
        for other in imports_of(name):
            there = part_of(other)
            assert there == here or floor[there] < floor[here], f"{name} imports {other}"


def test_no_import_leads_in_a_circle():
    longest_path({name: imports_of(name) for name in MODULES})


def test_folders_stand_on_ten_floors_at_most_and_none_in_a_circle():
    graph = {folder_of(name): set() for name in MODULES}
    for name in MODULES:
        graph[folder_of(name)] |= {folder_of(other) for other in imports_of(name)} - {folder_of(name)}
    graph["benchmarks"] = {
        folder_of(name)
        for path in (ROOT / "benchmarks").rglob("*.py")
        for name in imports(path) & MODULES.keys() - {"fastemd"}
    }
    floors = longest_path(graph)
    assert len(floors) <= MOST_FLOORS, f"{len(floors)} floors: {' -> '.join(floors)}"


def test_package_imports_neither_benchmarks_nor_tests():
    assert not importing("benchmarks") | importing("tests")


def test_tests_import_no_test_module():
    for path in (ROOT / "tests").rglob("*.py"):
        for name in imports(path):
            assert not name.startswith("tests.") or name.startswith("tests.support"), f"{path} imports {name}"


def test_numba_cuda_is_imported_in_one_file_and_its_extension_api_in_another():
    assert importing("numba.cuda") <= {"arrays/driver.py", "cuda/primitives/intrinsics.py"}
    intrinsics = imports(PACKAGE / "cuda" / "primitives" / "intrinsics.py")
    of_cuda = {name for name in intrinsics if name.startswith("numba.cuda")}
    assert all(name in EXTENSION_API or name.rpartition(".")[0] in EXTENSION_API for name in of_cuda), of_cuda


def test_only_the_backends_and_the_driver_import_numba():
    for path in importing("numba") | importing("llvmlite"):
        assert path == "arrays/driver.py" or path.startswith(("cpu/", "cuda/")), path


def test_backends_import_the_compiler_and_numpy_only():
    for path in FILES:
        if part_of(module_name(path)) in ("cpu", "cuda"):
            assert outside(path) <= {"numba", "numpy", "llvmlite"}, path


def test_only_the_adapters_import_their_frameworks():
    assert all(path.startswith("torch/") for path in importing("torch"))
    assert all(path.startswith("jax/") for path in importing("jax"))


def test_reference_imports_spaces_and_results_only():
    for path in (PACKAGE / "reference").glob("*.py"):
        assert {part_of(name) for name in imports_of(module_name(path))} <= {"reference", "spaces", "results"}, path
        assert outside(path) <= {"numpy", "scipy"}, path


def test_formulas_import_no_package():
    for path in (PACKAGE / "formulas").glob("*.py"):
        assert not outside(path), path


def test_no_folder_holds_more_than_fourteen_modules():
    for folder in {path.parent for path in FILES}:
        modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
        assert len(modules) <= MOST_MODULES, f"{folder}: {sorted(modules)}"


@pytest.mark.parametrize(
    ("folder", "stems"),
    [
        ("exact", {"chain", "ring", "tree", "sweeps", "kernels", "launch"}),
        ("entropic", {"chain", "ring", "tree", "sweeps", "solver", "launch"}),
    ],
)
@pytest.mark.parametrize("backend", ["cpu", "cuda"])
def test_both_backends_have_modules_of_the_same_names(backend, folder, stems):
    assert stems <= {path.stem for path in (PACKAGE / backend / folder).glob("*.py")}


def test_no_module_is_named_after_nothing():
    assert not {path.stem for path in FILES} & {"utils", "helpers", "core", "common"}


def names_after(code):
    """The packages that are loaded in a new process after it has run some code."""
    code = f"import sys; before = set(sys.modules); {code}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_importing_fastemd_brings_in_nothing_heavy():
    heavy = {"numpy", "numba", "scipy", "torch", "jax", "llvmlite", "rich", "matplotlib"}
    assert not names_after("import fastemd") & heavy


@pytest.mark.parametrize(
    "use", ["fe.Chain(3)", "fe.Tree([-1, 0], [0, 1]).cost_matrix()", "fe.reference.emd([1], [1], fe.Chain(1))"]
)
def test_spaces_and_reference_do_without_a_compiler(use):
    assert not names_after(f"import fastemd as fe; {use}") & {"numba", "scipy", "llvmlite"}


# --- Kernels ----------------------------------------------------------------------------------------------------------


def keywords(path):
    """Names and values of all keyword arguments and of all entries of literal dicts."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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
        assert "prange" not in path.read_text(encoding="utf-8"), path


# --- The way of a call ------------------------------------------------------------------------------------------------

MASS = np.full(100, 0.01)
POINT = np.eye(100)[3]
CHAIN = fe.Chain(100)
MATRIX = CHAIN.cost_matrix()
CALLS = {
    "emd": (lambda: fe.emd(MASS, POINT, CHAIN), 6, 10),
    "emd_value_and_grad": (lambda: fe.emd_value_and_grad(MASS, POINT, CHAIN), 6, 10),
    "emd_with_logits": (lambda: fe.emd_with_logits(MASS, np.array(3), CHAIN), 6, 10),
    "sinkhorn on a space": (lambda: fe.sinkhorn(MASS, POINT, CHAIN, reg=1.0, max_iter=1), 10, 40),
    "sinkhorn on a matrix": (lambda: fe.sinkhorn(MASS, POINT, MATRIX, reg=1.0, max_iter=1), 10, 40),
}


def modules_entered(call):
    """The modules of the package whose functions a call enters, one for each function, in turn."""
    prefix, entered = str(PACKAGE) + "/", []

    def note(frame, event, _):
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(prefix):
            entered.append(file.removeprefix(prefix))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return entered


@pytest.mark.parametrize("name", CALLS)
def test_call_passes_few_modules_and_changes_between_them_seldom(name):
    call, most_modules, most_changes = CALLS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fe.SinkhornWarning)  # one iteration is too few
        for _ in range(3):
            call()
        entered = modules_entered(call)
    changes = sum(here != there for here, there in itertools.pairwise(entered))
    assert 0 < len(set(entered)) <= most_modules, sorted(set(entered))
    assert changes <= most_changes, f"{changes} changes: {entered}"

"""The wheel, tested in an empty environment: ``python -m tests.wheel [--python PATH] [--lowest]``.

The newest wheel of ``dist/`` is installed, with the test's own needs, into an environment of its own. Then some test
files run in a folder that holds no source of the package.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEEDS = ["hypothesis>=6.120", "pot>=0.9.5", "pytest>=8.3", "pytest-timeout>=2.3"]
LOWEST = ["numba==0.61.*", "numpy==2.0.*", "scipy==1.14.*"]  # the lower bounds of pyproject.toml
FILES = ["spaces/test_spaces.py", "exact/test_distance_properties.py", "exact/test_plans.py", "formulas/test_edge.py"]
SETTINGS = """[pytest]
addopts = --import-mode=importlib -q
pythonpath = .
markers =
    doctest: runs the examples of docstrings and pages
    gpu: needs a CUDA device, and is skipped where there is none
"""


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.wheel", description=__doc__)
    parser.add_argument("--python", default=sys.executable, metavar="PATH", help="interpreter of the environment")
    parser.add_argument("--lowest", action="store_true", help=f"with {', '.join(LOWEST)}")
    options = parser.parse_args()
    wheels = sorted((ROOT / "dist").glob("*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        sys.exit("dist/ has no wheel. Needed: python -m build --wheel")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        subprocess.run([options.python, "-m", "venv", home / "env"], check=True)
        python = next(path for path in (home / "env/bin/python", home / "env/Scripts/python.exe") if path.exists())
        more = LOWEST if options.lowest else []
        subprocess.run([python, "-m", "pip", "install", "--quiet", wheels[-1], *NEEDS, *more], check=True)
        shutil.copytree(ROOT / "tests", home / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        (home / "pytest.ini").write_text(SETTINGS, encoding="utf-8")
        where = "import fastemd, sys; print(sys.version.split()[0], fastemd.__version__, fastemd.__file__)"
        subprocess.run([python, "-c", where], cwd=home, check=True)
        files = [f"tests/{name}" for name in FILES]
        sys.exit(subprocess.run([python, "-m", "pytest", *files], cwd=home, check=False).returncode)


if __name__ == "__main__":
    main()

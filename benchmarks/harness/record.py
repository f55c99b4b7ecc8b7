"""Files of results: what is measured, where and when: the machine, the versions, the commit."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import subprocess
from pathlib import Path

from fastemd.environment import machine, versions_of

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results"
MADE = ("benchmarks/results", "docs/generated")
PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "torch", "fastemd")


def here_and_now(packages: tuple[str, ...] = ()) -> dict[str, object]:
    """Return what belongs at the head of a file of results; it names the versions of more packages if asked to."""
    here = machine()
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": here["processor"],
        "cores": here["cpus"],
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": here["system"],
        "threads": 2,
        "python": platform.python_version(),
        "versions": versions_of({name: (name,) for name in (*PACKAGES, *packages)}),
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--", ".", *(f":!{made}" for made in MADE))),
    }


def file_name(suite: str, device: str) -> str:
    """Return the name of a file of results, such as core-intel-xeon-8481c.json."""
    return f"{suite}-{re.sub(r'[^a-z0-9]+', '-', device.lower()).strip('-')}.json"


def processor() -> str:
    """Return the name of the processor, as the system gives it."""
    return str(machine()["processor"])


def write(result: dict[str, object], path: Path) -> Path:
    """Write a file of results and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _git(*words: str) -> str | None:
    """Return what git says about the sources; None where they are in no repository, or it has no commit."""
    try:
        run = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()

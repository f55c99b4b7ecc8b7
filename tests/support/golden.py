"""What the public functions answer to some thousand drawn calls, recorded in one checkout and compared in another.

Run it from the root of a checkout::

    python -m tests.support.golden record FILE
    python -m tests.support.golden compare FILE

Call i is drawn from a generator seeded with i, so it is the same however many calls there are. About a third are bad
input. A record holds a digest of the answer's bits, or the error, and the warnings. Only the public API is used.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import gzip
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"  # sums of BLAS depend on its threads; those of fastemd do not
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"

import numpy as np

import fastemd as fe

from . import golden_calls

SHOWN = 50
VERSIONS = ("numpy", "scipy", "numba", "llvmlite", "torch", "jax", "jaxlib")


class Part(NamedTuple):
    """A leaf of an answer: where it stands, what it is, its first values, and a digest of its bits."""

    path: str
    kind: str
    shown: str
    digest: str


def parts(value: Any, path: str = "") -> list[Part]:
    """Return the leaves of an answer."""
    kind = type(value).__name__
    package = type(value).__module__.partition(".")[0]
    if package == "torch" and hasattr(value, "detach"):
        kind = f"{kind} {value.dtype}{' grad' if value.requires_grad else ''}"
        if value.is_meta:
            return [Part(path, f"{kind} meta", str(tuple(value.shape)), "")]
        value = value.detach()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    elif package in ("jax", "jaxlib"):
        kind, value = f"jax {value.dtype}", np.asarray(value)
        value = value.astype(np.float32) if value.dtype.name == "bfloat16" else value
    if hasattr(value, "tocoo"):
        names = ("shape", "indptr", "indices", "coords", "data")
        inner = {name: getattr(value, name) for name in names if hasattr(value, name)}
        return [Part(path, kind, "", ""), *parts(inner, path)]
    if isinstance(value, np.ndarray) and value.dtype == object:
        value, kind = {"shape": value.shape, "items": value.ravel().tolist()}, "object array"
    if isinstance(value, np.ndarray | np.generic):
        return [_numbers(value, path, kind)]
    if isinstance(value, dict):
        inner = value.items()
    elif hasattr(value, "__dataclass_fields__"):
        inner = [(name, getattr(value, name)) for name in value.__dataclass_fields__]
    elif isinstance(value, tuple | list):
        inner = enumerate(value)
    else:
        text = steady(repr(value))
        return [Part(path, kind, text[:60], _digest(text.encode()))]
    return [Part(path, kind, "", ""), *(part for key, item in inner for part in parts(item, f"{path}.{key}"))]


def _numbers(value: Any, path: str, kind: str) -> Part:
    array = np.array(value, order="C")
    array = array.astype(np.float64) if array.dtype == np.longdouble else array  # whose bytes are padded
    if array.dtype.kind in "fc":
        array[np.isnan(array)] = np.nan
    laid = "" if value.flags.c_contiguous else " scattered"
    kind = f"{kind} {value.dtype.str}{array.shape}{laid}"
    shown = " ".join(map(repr, array.ravel()[:3].tolist())) + (" ..." if array.size > 3 else "")
    return Part(path, kind, shown, _digest(array.tobytes()))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def steady(text: str) -> str:
    """Return a text without what depends on where something lies: addresses, and the frames of a traceback."""
    text = re.sub(r'\n?  File "[^\n]*(\n    [^\n]*)*', "", text)
    text = re.sub(r"<class 'fastemd\.[\w.]*?(\w+)'>", r"<class 'fastemd.\1'>", text)
    return re.sub(r"0x[0-9a-fA-F]{4,}", "0x*", text)


def record(call: golden_calls.Call) -> dict[str, Any]:
    """Return what a call answers: its parts, or its error; its warnings; what became of `out` and of the inputs."""
    inputs = {key: value for key, value in call.given.items() if key != "out"}
    before = parts(inputs)
    found: dict[str, Any] = {"function": call.function, "call": steady(call.text()), "arguments": _of_all(before)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answer = call.run()
        except Exception as error:
            kind = type(error)
            found["error"] = f"{kind.__module__}.{kind.__qualname__}", steady(str(error))
            found["cause"] = type(error.__cause__).__name__
        else:
            leaves = parts(answer)
            found["answer"] = _of_all(leaves)
            found["shown"] = _short(leaves)
            outs = call.given.get("out")
            if outs is not None:
                found["same"] = _is_out(answer, outs)
    found["warnings"] = [
        (w.category.__name__, steady(str(w.message)), w.filename == golden_calls.__file__)
        for w in caught
        if "numba" not in w.filename and "Numba" not in w.category.__name__
    ]
    if (out := call.given.get("out")) is not None:
        found["out"] = _of_all(parts(out))
    if parts(inputs) != before:
        found["changed"] = "an input"
    return json.loads(json.dumps(found))


def _is_out(answer: Any, outs: Any) -> bool:
    """Whether what was handed in as `out` is what came back."""
    last = answer[-1] if isinstance(answer, tuple) else answer
    pairs = zip(last, outs, strict=True) if isinstance(last, tuple) else [(last, outs)]
    return all(x is out for x, out in pairs if out is not None)


def _of_all(leaves: list[Part]) -> str:
    return _digest(repr([(part.path, part.kind, part.digest) for part in leaves]).encode())


def _short(leaves: list[Part]) -> str:
    text = "; ".join(f"{p.path} {p.kind} [{p.shown}] {p.digest[:6]}".strip() for p in leaves if p.digest)
    return text if len(text) <= 700 else text[:700] + " ..."


def drawn(i: int) -> dict[str, Any]:
    """Return the record of call i; a call that cannot even be drawn is recorded as its error."""
    try:
        call = golden_calls.draw(np.random.default_rng([20240817, i]))
    except Exception as error:
        return {"function": "draw", "call": "", "error": [type(error).__name__, steady(str(error))], "warnings": []}
    threads = fe.get_num_threads()
    try:
        return record(call)
    finally:
        fe.set_num_threads(threads)


def header(calls: int) -> dict[str, Any]:
    """Return where, with what and how much was recorded."""
    versions = {"python": platform.python_version(), "fastemd": fe.__version__}
    for name in VERSIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {"calls": calls, "versions": versions, "platform": platform.platform(), "cpu": _cpu()}


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def write(file: str, calls: int) -> int:
    """Record calls to a file of gzipped JSON lines, the first of which is the header."""
    counts, texts, errors = collections.Counter(), set(), 0
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        print(json.dumps(header(calls)), file=lines)
        for i in range(calls):
            found = drawn(i)
            print(json.dumps(found), file=lines)
            counts[found["function"]] += 1
            if "error" in found:
                errors += 1
                texts.add(tuple(found["error"]))
    for function, count in sorted(counts.items()):
        print(f"{count:6d}  {function}")
    print(f"{calls} calls, {errors} of them errors of {len(texts)} texts, are recorded in {file}")
    return 0


def compare(file: str, only: str | None) -> int:
    """Run the recorded calls again and print what differs; return 1 if anything does."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        then, *records = map(json.loads, lines)
    now = header(then["calls"])
    for key in ("cpu", "platform", "versions"):
        if then[key] != now[key]:
            print(f"Recorded with another {key}, so that bits may differ: {then[key]}, now {now[key]}")
    totals, differ = collections.Counter(), collections.Counter()
    for i, before in enumerate(records):
        if only is not None and before["function"] != only:
            continue
        after = drawn(i)
        totals[before["function"]] += 1
        if before == after:
            continue
        differ[before["function"]] += 1
        if differ.total() <= SHOWN:
            print(f"--- {i}: {before['call']}")
            for key in sorted(before.keys() | after.keys()):
                if before.get(key) != after.get(key):
                    print(f"  {key} before: {before.get(key)}\n  {key} after:  {after.get(key)}")
    for function, total in sorted(totals.items()):
        if differ[function]:
            print(f"{differ[function]} of {total} calls of {function} differ")
    print(f"{differ.total()} of {totals.total()} calls differ")
    return 1 if differ else 0


def main(arguments: list[str] | None = None) -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Record what fastemd answers, or compare with a record.")
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("file")
    recording.add_argument("--calls", type=int, default=5000)
    comparing = commands.add_parser("compare")
    comparing.add_argument("file")
    comparing.add_argument("--only", metavar="FUNCTION")
    given = parser.parse_args(arguments)
    if Path.cwd() not in Path(fe.__file__).parents:
        parser.error(f"fastemd is imported from {fe.__file__}, not from the current directory")
    if given.command == "record":
        return write(given.file, given.calls)
    return compare(given.file, given.only)


if __name__ == "__main__":
    sys.exit(main())

"""The host time of a small call, and whether a caller can capture it in a CUDA graph, with torch and with cupy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastemd as fe

from ..harness.measure import Bar, at_most
from .clock import Gpu
from .jobs import Sizes

LIBRARIES = ("torch", "cupy")
MICROSECONDS = 60


def unmeasured(sizes: Sizes) -> list[dict[str, Any]]:
    """Return the lines of the results without figures."""
    rows, n = sizes.small
    what = f"value + gradient, ρ = 1, {rows:,} × {n:,}"
    host = [_bar(_host_bar(library, 0.0)) for library in LIBRARIES]
    graph = [_bar(_graph_bar(library, 0)) for library in LIBRARIES]
    return [
        {"job": f"small: host time of a call, {what}", "figures": {}, "note": "", "bars": host},
        {"job": f"small: recorded as a CUDA graph, {what}", "figures": {}, "note": "", "bars": graph},
    ]


def _host_bar(library: str, figure: float) -> Bar:
    return at_most(MICROSECONDS, f"µs of host time a call, arrays of {library}", figure)


def _graph_bar(library: str, figure: int) -> Bar:
    return Bar(f"graph of {library} that replays to the answers of new numbers", 1, lambda _: figure, at_least=True)


def _bar(bar: Bar) -> dict[str, object]:
    return {**bar.checked({}), "figure": None, "met": None}


def lines(gpu: Gpu, sizes: Sizes) -> list[dict[str, Any]]:
    """Measure, and return the lines."""
    host, graph = unmeasured(sizes)
    space = fe.Chain(sizes.small[1])
    for number, library in enumerate(LIBRARIES):
        arrays, why = gpu.arrays_of(library, *sizes.small)
        if arrays is None:
            for line in (host, graph):
                line["figures"][library] = f"not measured: {why}"
            continue
        a, b, out = arrays

        def call(a: Any = a, b: Any = b, out: Any = out) -> Any:
            return fe.emd_value_and_grad(a, b, space, out=out, check=False)

        microseconds = 1e6 * gpu.host_seconds(call, max(sizes.rounds, 3))
        host["figures"][library] = microseconds
        host["bars"][number] = _host_bar(library, microseconds).checked({})
        failure = _replays(gpu, library, call, arrays)
        graph["figures"][library] = failure or "replays to the answers of new numbers"
        graph["bars"][number] = _graph_bar(library, int(not failure)).checked({})
    return [host, graph]


def _replays(gpu: Gpu, library: str, call: Callable[[], Any], arrays: tuple[Any, ...]) -> str:
    """Capture a call, change its arrays, replay it; return the failure, or an empty string."""
    a, b, out = arrays
    kept: list[Any] = []

    def recorded() -> None:
        kept[:] = [call()[0]]

    try:
        replay = gpu.captured(library, recorded)
    except Exception as error:  # of torch, cupy or numba: the result is why it does not work
        return f"cannot be recorded: {type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
    first = a * 1
    a[...] = b
    b[...] = first
    out[...] = 0
    replay()
    gpu.synchronize()
    replayed = [gpu.host(x).copy() for x in (kept[0], out)]
    expected = [gpu.host(x) for x in call()]
    same = all(np.array_equal(x, y) for x, y in zip(replayed, expected, strict=True))
    return "" if same else "replays to other answers"

"""The GPU of the benchmark: its memory, its clock, its name. Only this module uses torch's device.

Times are those between two events on the stream. The device is busy while the host queues the calls of a turn, so a
kernel shorter than its launch is timed without the launch. Each call takes the next of several sets of arrays, which
together are larger than the second-level cache: no call finds its arrays there.
"""

from __future__ import annotations

import math
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..harness.measure import Call, Job, Medians
from ..opponents.formulas import torch

TURN = 0.005  # seconds of a turn's calls
MOST_CALLS = 200  # in a turn
CACHES = 4  # sets of arrays together are as large as so many second-level caches
HOST_CALLS = 200
COMPILED = "torch.compile"

Sets = list[tuple[Any, ...]]


class Gpu:
    """The current CUDA device, through torch."""

    torch_device = "cuda"

    def __init__(self) -> None:
        self._cycles_per_second = 0.0

    def described(self) -> dict[str, object]:
        """Return the head of a file of results."""
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        return {
            "device": properties.name,
            "multiprocessors": properties.multi_processor_count,
            "memory_bytes": properties.total_memory,
            "cache_bytes": self.cache_bytes,
            "compute_capability": f"{properties.major}.{properties.minor}",
            "driver": _driver_version(),
            "cuda_of_torch": torch.version.cuda,
        }

    @property
    def cache_bytes(self) -> int:
        """Size of the second-level cache."""
        return int(torch.cuda.get_device_properties(torch.cuda.current_device()).L2_cache_size)

    def as_input(self, x: Any) -> Any:
        """Return a tensor as an input of fastemd."""
        return x

    def histograms(self, rows: int, n: int, seed: int) -> Any:
        """Return rows of `n` uniform random numbers, each divided by its sum: float32."""
        generator = torch.Generator(self.torch_device).manual_seed(seed)
        x = torch.rand((rows, n), generator=generator, device=self.torch_device)
        return x.div_(x.sum(-1, keepdim=True, dtype=torch.float64).float())

    def normal(self, rows: int, n: int, seed: int) -> Any:
        """Return rows of `n` normal random numbers: float32."""
        generator = torch.Generator(self.torch_device).manual_seed(seed)
        return torch.randn((rows, n), generator=generator, device=self.torch_device)

    def classes(self, rows: int, n: int, seed: int) -> Any:
        """Return a random class for each row: int64."""
        generator = torch.Generator(self.torch_device).manual_seed(seed)
        return torch.randint(n, (rows,), generator=generator, device=self.torch_device)

    def sets(self, make: Callable[[int], tuple[Any, ...]]) -> Sets:
        """Return sets of arrays, ``make(0), make(1), ...``, that together are larger than the cache: two at least."""
        first = make(0)
        size = sum(x.numel() * x.element_size() for x in first)
        return [first, *(make(k) for k in range(1, max(2, math.ceil(CACHES * self.cache_bytes / size))))]

    def copying(self, size: int) -> tuple[Call, dict[str, int]]:
        """Return a copy of so many bytes from device to device, and the bytes it moves: read and written."""
        pairs = [
            tuple(torch.empty(size, dtype=torch.uint8, device=self.torch_device).fill_(k) for k in range(2))
            for _ in "12"
        ]
        return in_turn(lambda source, target: target.copy_(source), pairs), {"copy": 2 * size}

    def host(self, x: Any) -> np.ndarray:
        """Return an array in host memory."""
        if isinstance(x, torch.Tensor):
            return x.cpu().numpy()
        return x.get() if hasattr(x, "get") else np.asarray(x)

    def synchronize(self) -> None:
        """Wait until the device has done all queued work."""
        torch.cuda.synchronize()

    def free(self) -> None:
        """Free unused memory."""
        torch.cuda.empty_cache()

    def arrays_of(self, library: str, rows: int, n: int) -> tuple[tuple[Any, ...] | None, str]:
        """Return two batches of histograms and an array for a gradient, of torch or cupy; or None, and the reason."""
        arrays = tuple(self.histograms(rows, n, seed) for seed in range(3))
        if library == "torch":
            return arrays, ""
        try:
            import cupy
        except ImportError as error:
            return None, str(error)
        return tuple(cupy.asarray(x).copy() for x in arrays), ""

    def captured(self, library: str, call: Call) -> Call:
        """Return the replay of a call that torch or cupy has captured in a CUDA graph."""
        if library == "torch":
            side = torch.cuda.Stream()
            with torch.cuda.stream(side):
                call()  # the first call compiles, and copies the space: that cannot be captured
            side.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                call()
            return graph.replay
        import cupy

        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            call()
            stream.synchronize()
            stream.begin_capture()
            call()
            graph = stream.end_capture()
        return lambda: graph.launch(stream)

    def times(self, contenders: dict[str, Call], seconds: float, most: int) -> tuple[Medians, int]:
        """Return the median seconds of each contender over interleaved rounds, and how many rounds there were.

        Rounds are made until `seconds` have passed: three at least, `most` at most.
        """
        sizes = {name: self._turn_size(call) for name, call in contenders.items()}
        turns: dict[str, list[float]] = {name: [] for name in contenders}
        begin, rounds = time.perf_counter(), 0
        while rounds < min(3, most) or (rounds < most and time.perf_counter() - begin < seconds):
            for name, call in contenders.items():
                turns[name].append(self._turn(call, *sizes[name]))
            rounds += 1
        return {name: statistics.median(each) for name, each in turns.items()}, rounds

    def _turn_size(self, call: Call) -> tuple[int, float]:
        """Return how many calls fill a turn, and how many seconds the host needs to queue them."""
        for _ in range(2):
            call()
        self.synchronize()
        begin = time.perf_counter()
        call()
        on_host = time.perf_counter() - begin
        self.synchronize()
        once = self._turn(call, 1, on_host)
        calls = min(MOST_CALLS, max(1, math.ceil(TURN / once)))
        return calls, calls * on_host

    def _turn(self, call: Call, calls: int, on_host: float) -> float:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self._keep_busy(1.5 * on_host + 1e-4)
        begin.record()
        for _ in range(calls):
            call()
        end.record()
        self.synchronize()
        return begin.elapsed_time(end) / 1e3 / calls

    def _keep_busy(self, seconds: float) -> None:
        """Let the device sleep until the host has queued the calls that follow."""
        if not self._cycles_per_second:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            cycles = 10_000_000
            torch.cuda._sleep(cycles)
            begin.record()
            torch.cuda._sleep(cycles)
            end.record()
            self.synchronize()
            self._cycles_per_second = 1e3 * cycles / begin.elapsed_time(end)
        torch.cuda._sleep(int(min(seconds, 0.1) * self._cycles_per_second))

    def host_seconds(self, call: Call, rounds: int) -> float:
        """Return the median host time of a call: until its work is queued."""
        for _ in range(10):
            call()
        times = []
        for _ in range(rounds):
            self.synchronize()
            begin = time.perf_counter()
            for _ in range(HOST_CALLS):
                call()
            times.append((time.perf_counter() - begin) / HOST_CALLS)
        self.synchronize()
        return statistics.median(times)


def in_turn(call: Callable[..., Any], sets: Sets) -> Call:
    """Return a call that takes the next of several sets of arguments each time."""
    state = {"next": 0}

    def next_call() -> Any:
        state["next"] = (state["next"] + 1) % len(sets)
        return call(*sets[state["next"]])

    return next_call


def _driver_version() -> str | None:
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]


def add_compiled(
    job: Job,
    wanted: bool,
    function: Callable[..., Any],
    sets: Sets,
    around: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda compiled: compiled,
) -> None:
    """Add torch.compile of a function, wrapped by `around`, to a job; or the reason why it fails."""
    if not wanted:
        job.absent[COMPILED] = "left out of a quick run"
        return
    torch.compiler.reset()  # each size is compiled for itself, as if it were the only one
    call = around(torch.compile(function, dynamic=False))
    try:
        call(*sets[0])
    except RuntimeError as error:
        job.absent[COMPILED] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
    else:
        job.opponents[COMPILED] = in_turn(call, sets)

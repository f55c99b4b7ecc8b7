"""Jobs, bars, and the clock: everything that a job is compared with takes turns with it in one process.

In each round every contender has one turn (A B C A B C ...), so that whatever else happens on the machine happens to
all of them; a contender's figure is the median over rounds. A turn begins with a pause, because OpenMP threads of the
one before spin on for a while. A call of less than `SHORT` is made once unmeasured, so that its data lie in the caches
again, and then as often as fills `TURN`, and the mean is taken. Answers are freed within the measured time.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

PAUSE, SHORT, TURN = 0.005, 0.02, 0.005  # seconds

Call = Callable[[], object]
Medians = dict[str, float]


@dataclass(frozen=True)
class Bar:
    """A limit set beforehand: `figure(medians)` has to be at least, or at most, `limit`.

    A figure beyond `plausible` is not checked: it says that something was measured wrongly.
    """

    words: str
    limit: float
    figure: Callable[[Medians], float]
    at_least: bool
    plausible: float = math.inf

    def checked(self, medians: Medians) -> dict[str, object]:
        """Return the bar, its figure, and whether it is met: None if a time is missing or the figure implausible."""
        sign = "≥" if self.at_least else "≤"
        bar: dict[str, object] = {"bar": f"{sign} {self.limit:,g} {self.words}", "figure": None, "met": None}
        try:
            figure = self.figure(medians)
        except KeyError:
            return bar
        if figure > self.plausible:
            return {**bar, "figure": figure, "why": f"above {self.plausible:.3g}, more than memory can do"}
        return {**bar, "figure": figure, "met": bool(figure >= self.limit if self.at_least else figure <= self.limit)}


def faster(limit: float, opponent: str) -> Bar:
    """At least `limit` times as fast as an opponent."""
    return Bar(f"× {opponent}", limit, lambda median: median[opponent] / median["fastemd"], at_least=True)


def within(limit: float, words: str, other: str, scale: float = 1.0) -> Bar:
    """At most `limit` times the time of a contender, the times being divided by their work: `scale` is other / own."""
    return Bar(words, limit, lambda median: scale * median["fastemd"] / median[other], at_least=False)


def at_most(limit: float, unit: str, figure: float) -> Bar:
    """At most `limit`, for a figure that is known already."""
    return Bar(unit, limit, lambda _: figure, at_least=False)


@dataclass
class Job:
    """One line of the table.

    Parameters
    ----------
    name : str
    fastemd : callable
        The call that the bars are about.
    opponents : dict of callables
        What answers the same; held against fastemd's answer before it is timed.
    beside : dict of callables
        What takes turns as well, for a ratio, but answers something else or nothing: "read" and "triad" are the loops
        of `bandwidth`, "copy" a copy from device to device.
    counted : int
        Bytes that any solver has to move: inputs once, answers once. Fills of the cache for a write, scratch and
        temporaries do not count, for nobody; so the figure is useful work per second, not traffic.
    bandwidth : str
        Which loop, "read", "triad" or "copy", the counted bytes per second are held against. Empty: none.
    loops : dict
        Bytes counted of the loops.
    bars : list of Bar
    absent : dict
        Opponents that could not be had, and why.
    """

    name: str
    fastemd: Call
    opponents: dict[str, Call] = field(default_factory=dict)
    beside: dict[str, Call] = field(default_factory=dict)
    counted: int = 0
    bandwidth: str = ""
    loops: dict[str, int] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    def share(self, median: Medians) -> float:
        """Return the counted bytes per second as a fraction of those of the bandwidth loop."""
        loop = self.bandwidth
        return (self.counted / median["fastemd"]) / (self.loops[loop] / median[loop])

    def share_at_least(self, limit: float) -> Bar:
        """At least `limit` of the measured bandwidth, and not more than there can be.

        That is 4/3 of triad's: the loop moves a fourth array, as a cache reads each line before it is written, which
        kernels may avoid. Reading has no such excuse, but noise. Where a share is larger, the loop is no ceiling.
        """
        return Bar(f"of the {self.bandwidth} bandwidth", limit, self.share, at_least=True, plausible=4 / 3)


def row(job: Job, seconds: float, most: int) -> dict[str, object]:
    """Measure a job, and return it as a line of the JSON file."""
    expected = job.fastemd()
    for name, call in job.opponents.items():
        require_equal(call(), expected, f"{job.name}: {name}")
    contenders = {"fastemd": job.fastemd, **job.opponents, **job.beside}
    return line(job, *side_by_side(contenders, seconds, most))


def line(job: Job, medians: Medians, rounds: int) -> dict[str, object]:
    """Return what was measured of a job as a line of the JSON file."""
    found: dict[str, object] = {
        "job": job.name,
        "rounds": rounds,
        "median_ms": {name: 1e3 * median for name, median in medians.items()},
        "ratio": {name: medians[name] / medians["fastemd"] for name in job.opponents},
        "absent": job.absent,
        "bars": [bar.checked(medians) for bar in job.bars],
    }
    if job.bandwidth:
        found |= {
            "counted_bytes": job.counted,
            "gb_per_s": job.counted / medians["fastemd"] / 1e9,
            "bandwidth_gb_per_s": {loop: job.loops[loop] / medians[loop] / 1e9 for loop in job.loops},
            "bandwidth": job.bandwidth,
            "share_of_bandwidth": job.share(medians),
        }
    return found


def side_by_side(contenders: dict[str, Call], seconds: float, most: int) -> tuple[Medians, int]:
    """Return the median time of each contender over interleaved rounds, and how many rounds there were.

    Rounds are made until `seconds` have passed: three at least, `most` at most.
    """
    calls = {}
    for name, call in contenders.items():
        call()
        calls[name] = calls_in_a_turn(timed(call))
    times: dict[str, list[float]] = {name: [] for name in contenders}
    begin = time.perf_counter()
    rounds = 0
    while rounds < min(3, most) or (rounds < most and time.perf_counter() - begin < seconds):
        for name, call in contenders.items():
            times[name].append(turn(call, calls[name]))
        rounds += 1
    return {name: statistics.median(turns) for name, turns in times.items()}, rounds


def calls_in_a_turn(once: float) -> int:
    """Return how many calls fill a turn; 0 for a call that is long enough to be measured cold."""
    return math.ceil(TURN / max(once, 1e-9)) if once < SHORT else 0


def turn(call: Call, calls: int) -> float:
    """Return the mean seconds of a call in a turn."""
    time.sleep(PAUSE)
    if calls:
        call()
    return timed(call, max(calls, 1))


def timed(call: Call, calls: int = 1) -> float:
    """Return the mean seconds of a call; an answer is freed within them."""
    begin = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - begin) / calls


def require_equal(answer: object, expected: object, name: str) -> None:
    """Raise ArithmeticError unless two answers are the same, up to what float32 sums along a row may lose.

    At rho = 1 a slope flips where a flow is 0 up to rounding, and moves a part of a potential; hence a mean error.
    """
    answers, expectations = ([np.asarray(x) for x in (y if isinstance(y, tuple) else (y,))] for y in (answer, expected))
    for x, y in zip(answers, expectations, strict=True):
        error = np.abs(x - y).mean() / np.abs(y).mean()
        if not error < 0.01:
            raise ArithmeticError(f"{name} answers something else: mean relative error {error:.2g}")

"""The kernels of entropic transport as `ptx` compiles them: Sinkhorn's loop in each form, and those around it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from .cases import Case


def form(case: Case) -> str:
    """Return how a loop makes sums: for matrices by method and dtype, else along the space."""
    if case.space != "matrix":
        return case.space
    wide = case.dtype in ("float64", "int32")
    if case.kernel.method == "exponentials":
        return "wide" if wide else "narrow"
    return "float64" if wide else "float32"


def kernels(case: Case) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Yield the kernels of a case as numba has them, and the types of their arguments."""
    from numba import typeof

    for words, kernel, arguments in MAKERS[case.kernel.name](form(case), case):
        yield words, kernel, tuple(map(typeof, arguments))


@functools.cache
def _state() -> tuple[Any, ...]:
    """Return the room, the two sides and the law of rows, as the wing makes them: their types are those of a call."""
    from fastemd.cuda.entropic.state import Law, Room, Side

    return Room(*(1,) * 7), Side(*(1,) * 5), Side(*(1,) * 5), Law(*(1.0,) * 5)


def _ground(room: str) -> Any:
    from fastemd.cuda.entropic import matrix as dense
    from fastemd.cuda.entropic import ring, walks

    if room == "matrix":
        return dense.Matrix(1, 1.0)
    walk = ring.Walk if room == "ring" else walks.Walk
    return walk(*(1,) * len(walk._fields))


def _loop(form: str, case: Case) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    from fastemd.cuda.entropic import solver

    for same, words in ((False, ""), (True, ", equal histograms")):
        yield words, solver.build(form, case.threads, same), (*_state(), _ground(case.space), 1, 1)


def _around(form: str, case: Case) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    from fastemd.cuda.entropic import read_rows, write_rows
    from fastemd.cuda.entropic.state import Price

    room, a, b, law = _state()
    price, matrix = Price(1.0, 1.0, 1), (1, 1, 1, 1)
    answers = write_rows.Answers(*(1,) * 10)
    out = "float64" if case.dtype == "int32" else case.dtype
    concluding = write_rows.concluding(form, case.threads, out)
    yield ", answers", concluding, (room, a, b, law, _ground(case.space), price, answers)
    if case.space == "matrix":
        opening = read_rows.opening((case.dtype, case.dtype, None, None), case.threads)
        warm = read_rows.opening((case.dtype,) * 4, case.threads)
        for words, kernel in ((", rows read", opening), (", rows and potentials read", warm)):
            yield words, kernel, (1, 1, 1, *(matrix,) * 4, room, a, b, 1.0, price)
        yield ", plans", write_rows.planning(out), (room, a, b, law, price, 1, 1, 1, 1)
        combining = write_rows.combining((*("float64",) * 3, out), write_rows.DEBIASED)
        yield ", differences", combining, (1, 1, 1, *(matrix,) * 3, 1)


def _once(form: str, case: Case) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    from fastemd.cuda.entropic import matrix as dense
    from fastemd.cuda.entropic import read_rows

    room, a, b, _ = _state()
    yield ", stage begun", read_rows.begin, (room, a, b, 1.0, 1.0)
    yield ", matrices", dense.gibbs(form), (1, 1, 1, 1.0, 1.0, 1, 1)


MAKERS: dict[str, Callable[[str, Case], Iterator[tuple[str, Any, tuple[Any, ...]]]]] = {
    "sinkhorn": _loop,
    "sinkhorn answers": _around,
    "sinkhorn matrices": _once,
}

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
        return "float64 exponentials" if wide else "float32 exponentials"
    return "float64" if wide else "float32"


def kernels(case: Case) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Yield the kernels of a case as numba has them, and the types of their arguments."""
    from numba import typeof

    for words, kernel, arguments in MAKERS[case.kernel.name](form(case), case):
        yield words, kernel, tuple(map(typeof, arguments))


@functools.cache
def _state() -> tuple[Any, ...]:
    """Return the state, the two sides and the options of a stage: their types are those of a call."""
    from fastemd.cuda.entropic.state import Side, SolverState, StageOptions

    return SolverState(*(1,) * 7), Side(*(1,) * 5), Side(*(1,) * 5), StageOptions(*(1.0,) * 5)


def _cost(room: str) -> Any:
    from fastemd.cuda.entropic import chain, matrix, ring, tree

    if room == "matrix":
        return matrix.Matrix(1, 1.0)
    layout = {"chain": chain.Chain, "ring": ring.Ring, "tree": tree.Tree}[room]
    return layout(*(1,) * len(layout._fields))


def _loop(form: str, case: Case) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    from fastemd.cuda.entropic import solver

    for same, words in ((False, ""), (True, ", equal histograms")):
        yield words, solver.build(form, case.threads, same), (*_state(), _cost(case.space), 1, 1)


def _around(form: str, case: Case) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    from fastemd.cuda.entropic import cost_matrix, read_rows, write_rows
    from fastemd.cuda.entropic.state import AnswerOptions

    state, a, b, stage = _state()
    options, matrix = AnswerOptions(1.0, 1.0, 1), (1, 1, 1, 1)
    addresses = write_rows.SolutionAddresses(*(1,) * 10)
    out = "float64" if case.dtype == "int32" else case.dtype
    answers = write_rows.write_answers_kernel(form, case.threads, out)
    yield ", answers", answers, (state, a, b, stage, _cost(case.space), options, addresses)
    if case.space == "matrix":
        cold = read_rows.read_rows_kernel((case.dtype, case.dtype, None, None), case.threads)
        warm = read_rows.read_rows_kernel((case.dtype,) * 4, case.threads)
        for words, kernel in ((", rows read", cold), (", rows and potentials read", warm)):
            yield words, kernel, (1, 1, 1, *(matrix,) * 4, state, a, b, 1.0, options)
        yield ", plans", write_rows.write_plans_kernel(out), (state, a, b, stage, options, 1, 1, 1, 1)
        yield ", cost read", cost_matrix.inspect_kernel(case.dtype, case.threads), (1,) * 7
        combine = write_rows.combine_kernel((*("float64",) * 3, out), write_rows.DEBIASED)
        yield ", differences", combine, (1, 1, 1, *(matrix,) * 3, 1)


def _once(form: str, case: Case) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    from fastemd.cuda.entropic import cost_matrix, read_rows

    state, a, b, _ = _state()
    yield ", stage begun", read_rows.start_stage, (state, a, b, 1.0, 1.0)
    yield ", symmetry", cost_matrix.asymmetry_kernel(case.threads), (1, 1, 1)
    yield ", matrices", cost_matrix.gibbs_matrices_kernel(form), (1, 1, 1, 1.0, 1.0, 1, 1)


MAKERS: dict[str, Callable[[str, Case], Iterator[tuple[str, Any, tuple[Any, ...]]]]] = {
    "sinkhorn": _loop,
    "sinkhorn answers": _around,
    "sinkhorn matrices": _once,
}

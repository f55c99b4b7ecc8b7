"""Any number of Python threads may call at once, a forked child too, and the number of threads is the user's to set."""

import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import fastemd as fe
from fastemd import threads
from fastemd.spaces import Chain, Ring, Tree

LARGE = """
import numpy as np
import fastemd as fe
rng = np.random.default_rng(0)
a = rng.integers(0, 9, (600, 1000)).astype(np.float32)
b = rng.permuted(a, axis=-1)
expected = np.abs(np.cumsum(a - b, axis=-1, dtype=np.float64)).sum(axis=-1).astype(np.float32)
"""


def run(code, **environment):
    """Run code in a process of its own, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout.split()


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    """Start with no number of threads set, and set none for other tests."""
    monkeypatch.setattr(threads, "_count", None)


@pytest.mark.parametrize("space", [Chain(1000), Ring(1000), Tree(np.arange(-1, 999), np.ones(1000))])
def test_calls_from_many_python_threads_have_the_answers_of_one(space):
    fe.set_num_threads(3)
    rng = np.random.default_rng(12)
    a = rng.integers(0, 9, (300, 1000)).astype(np.float32)
    b = rng.permuted(a, axis=-1)
    expected_value, expected = fe.emd_value_and_grad(a, b, space)
    answers, start = {}, threading.Barrier(6)

    def call(number):
        start.wait()
        for _ in range(3):
            answers[number] = fe.emd_value_and_grad(a, b, space)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(answers) == 6
    for value, grad in answers.values():
        np.testing.assert_array_equal(value, expected_value)
        np.testing.assert_array_equal(grad, expected)


def test_first_calls_of_a_process_may_come_from_many_threads():
    assert run(
        LARGE
        + """
import threading
right = []
callers = [threading.Thread(target=lambda: right.append(np.array_equal(fe.emd(a, b, fe.Chain(1000)), expected)))
           for _ in range(4)]
for caller in callers: caller.start()
for caller in callers: caller.join()
print(len(right), all(right))
""",
        NUMBA_NUM_THREADS="4",
    ) == ["4", "True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_calls_after_its_parent_has():
    assert run(
        LARGE
        + """
import os
space = fe.Chain(1000)
assert np.array_equal(fe.emd(a, b, space), expected)
for _ in range(3):
    child = os.fork()
    if child == 0:
        right = np.array_equal(fe.emd(a, b, space), expected)
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if np.array_equal(fe.emd(a, b, space), expected) else 1)
        right &= os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) == 0
        os._exit(0 if right else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(np.array_equal(fe.emd(a, b, space), expected))
""",
        NUMBA_NUM_THREADS="3",
    ) == ["0", "0", "0", "True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_pool_of_processes_calls_after_its_parent_has():
    assert run(
        LARGE
        + """
import multiprocessing
space = fe.Ring(1000)
value = fe.emd(a, b, space)
def again(_):
    return np.array_equal(fe.emd(a, b, space), value)
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(all(pool.map(again, range(4))))
""",
        NUMBA_NUM_THREADS="2",
    ) == ["True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_while_another_thread_calls_leaves_the_child_free_to_call():
    assert run(
        LARGE
        + """
import os, threading
space, stop = fe.Chain(1000), threading.Event()
fe.emd(a, b, space)
def keep_calling():
    while not stop.is_set():
        fe.emd(a, b, space)
caller = threading.Thread(target=keep_calling)
caller.start()
codes = []
for _ in range(10):
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(fe.emd(a, b, space), expected) else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
caller.join()
print(codes == [0] * 10)
""",
        NUMBA_NUM_THREADS="2",
    ) == ["True"]


def test_environment_says_how_many_threads():
    code = "import fastemd as fe; print(fe.get_num_threads()); fe.set_num_threads(3); print(fe.get_num_threads())"
    assert run(code, NUMBA_NUM_THREADS="5") == ["5", "3"]


@pytest.mark.parametrize("nonsense", ["", "0", "-2", "many"])
def test_environment_that_names_no_number_is_passed_over(nonsense, monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", nonsense)
    assert fe.get_num_threads() >= 1


def test_without_a_word_as_many_threads_as_processors(monkeypatch):
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 5}, raising=False)
    assert fe.get_num_threads() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert fe.get_num_threads() == 1


@pytest.mark.parametrize("count", [1, 7, np.int64(2)])
def test_number_of_threads_is_what_was_set(count):
    fe.set_num_threads(count)
    assert fe.get_num_threads() == count


@pytest.mark.parametrize(
    ("kind", "count", "shown"),
    [
        (ValueError, 0, "count is 0"),
        (ValueError, -3, "count is -3"),
        (TypeError, 2.0, "count is of type float"),
        (TypeError, "2", "count is of type str"),
        (TypeError, None, "count is of type NoneType"),
        (TypeError, True, "count is of type bool"),
    ],
)
def test_what_is_no_number_of_threads_is_refused_and_nothing_changes(kind, count, shown):
    fe.set_num_threads(2)
    with pytest.raises(kind, match=shown) as error:
        fe.set_num_threads(count)
    assert "Needed" in str(error.value)
    assert fe.get_num_threads() == 2


def test_number_of_threads_may_change_while_others_call():
    space = Chain(1000)
    a = np.ones((300, 1000), np.float32)
    failures = []

    def call():
        try:
            for _ in range(10):
                np.testing.assert_array_equal(fe.emd(a, a, space), 0.0)
        except Exception as error:
            failures.append(error)

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for count in (1, 2, 3, 4) * 5:
        fe.set_num_threads(count)
    for caller in callers:
        caller.join()
    assert failures == []


# --- Sharing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 100])
@pytest.mark.parametrize("parts", [1, 2, 3, 50])
def test_ranges_cover_all_rows_once_and_begin_at_whole_grains(rows, parts):
    seen = []
    fe.set_num_threads(parts)
    threads.share(lambda first, last: seen.append((first, last)), rows, 8, threads.PARALLEL)
    seen.sort()
    assert [row for first, last in seen for row in range(first, last)] == list(range(rows))
    assert all(first % 8 == 0 for first, _ in seen)
    assert len(seen) <= max(parts, 1)


@pytest.mark.parametrize("failing", [0, 8, 16])
def test_failure_in_any_range_is_raised_after_all_have_ended(failing):
    fe.set_num_threads(3)
    ended = []

    def work(first, last):
        ended.append(first)
        if first == failing:
            raise MemoryError(f"rows {first}..{last}")

    with pytest.raises(MemoryError, match=f"rows {failing}"):
        threads.share(work, 24, 8, threads.PARALLEL)
    assert sorted(ended) == [0, 8, 16]

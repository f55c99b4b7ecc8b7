"""Calls that are interrupted, and calls after main has ended."""

import os
import signal
import subprocess
import sys
import time

import pytest

# 1,500 rows of 20,000 bins at an exponent that needs powers: seconds on any machine.
LONG = """
import sys, numpy as np, fastemd as fe
space = fe.Chain(20_000)
a, b = np.full((1, 20_000), 1.0), np.random.default_rng(0).permutation(np.arange(20_000.0))[None]
fe.emd(a, b, space, rho=1.5, mass="normalize")
a, b = np.broadcast_to(a, (1_500, 20_000)), np.broadcast_to(b, (1_500, 20_000))
try:
    print("ready", flush=True)
    for _ in range(50):
        fe.emd(a, b, space, rho=1.5, mass="normalize")
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""

LATE = """
import atexit, threading, time, numpy as np, fastemd as fe
a, b = np.random.default_rng(0).random((2, 3_000, 1_000))
fe.set_num_threads(2)
expected = fe.emd(a, b, fe.Chain(1_000), mass="normalize")
def call(name):
    print(name, np.array_equal(fe.emd(a, b, fe.Chain(1_000), mass="normalize"), expected), flush=True)
atexit.register(call, "atexit")
threading.Thread(target=lambda: (time.sleep(0.5), call("thread"))).start()
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_ctrl_c_ends_a_long_call(threads):
    process = subprocess.Popen(
        [sys.executable, "-c", LONG], stdout=subprocess.PIPE, text=True, env=os.environ | {"NUMBA_NUM_THREADS": threads}
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "interrupted\n"


def test_calls_after_main_has_ended_are_answered():
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["thread True", "atexit True"]

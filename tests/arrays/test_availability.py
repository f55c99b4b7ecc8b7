"""Whether CUDA can be used here, and why not: said in words, by the module and by `fastemd info`."""

import importlib.util
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

import fastemd as fe
from fastemd import cli
from fastemd.cuda import is_available
from tests.support.gpu import obstacle


def without_simulator(code):
    """What a fresh process prints that asks for no simulator."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return done.stdout


@pytest.mark.skipif(not obstacle(), reason="a CUDA device is there")
def test_missing_driver_is_named_with_what_is_needed():
    found = without_simulator("import fastemd as fe; x = fe.cuda.is_available(); print(bool(x), x.reason)")
    assert found.startswith("False no CUDA driver (")
    assert found.endswith("Needed: an NVIDIA GPU and its driver.\n")
    assert len(found.splitlines()) == 1


@pytest.mark.skipif(not obstacle(), reason="a CUDA device is there")
def test_simulator_says_that_it_is_one():
    found = fe.cuda.is_available()
    assert found
    assert "simulates" in found.reason


def test_missing_numba_cuda_is_named_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = is_available()
    assert not found
    assert found.reason.startswith("numba-cuda is not installed. Needed: pip install 'fastemd[cuda12]'")


class Card(SimpleNamespace):
    id = 0


def seen(monkeypatch, cards, error=None):
    """What is said where numba sees these cards."""
    target = pytest.importorskip("fastemd.arrays.driver")
    stand_in = SimpleNamespace(is_available=lambda: bool(cards), gpus=cards, cuda_error=lambda: error)
    monkeypatch.setattr(target, "SIMULATED", False)
    monkeypatch.setattr(target, "cuda", stand_in)
    return is_available()


def test_devices_are_named(monkeypatch):
    found = seen(monkeypatch, [Card(name=b"NVIDIA H200", compute_capability=(9, 0))])
    assert repr(found) == "True: device 0: NVIDIA H200, compute capability 9.0"


def test_too_old_a_device_is_refused_with_what_is_needed(monkeypatch):
    found = seen(monkeypatch, [Card(name="Tesla P100", compute_capability=(6, 0))])
    assert not found
    assert found.reason == (
        "device 0: Tesla P100, compute capability 6.0: too old a device. Needed: compute capability 7.5 or later."
    )


def test_missing_compiler_is_told_from_a_missing_driver(monkeypatch):
    assert "compiler was not found" in seen(monkeypatch, []).reason
    assert "no CUDA driver (none\\nhere)" not in seen(monkeypatch, [], "none\nhere").reason
    assert "no CUDA driver (none here)" in seen(monkeypatch, [], "none\nhere").reason


def test_info_tells_whether_cuda_can_be_used_and_the_versions_of_array_libraries(capsys, monkeypatch):
    seen(monkeypatch, [Card(name="NVIDIA H200", compute_capability=(9, 0))])
    assert cli.app(["info"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["cuda"] == "available: device 0: NVIDIA H200, compute capability 9.0"
    assert {"numba-cuda", "cupy", "torch", "jax"} <= lines.keys()
    seen(monkeypatch, [], "no such file")
    cli.app(["info"])
    assert "not available: no CUDA driver (no such file)" in capsys.readouterr().out

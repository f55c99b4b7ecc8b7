"""`fastemd pairwise` and `nearest` on a device write what they write without one. cupy is a stand-in."""

import shlex
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fastemd import cli
from fastemd.cli import device
from tests.support.adapters import simulated
from tests.support.fake_libraries import CupyArray, cupy_device, host
from tests.support.gpu import obstacle
from tests.support.tolerance import tolerance

pytestmark = pytest.mark.skipif(not obstacle(), reason="numba simulates a device only where there is none")


@pytest.fixture
def cupy(monkeypatch, tmp_path):
    runtime = SimpleNamespace(getDeviceCount=lambda: 1)
    stand_in = SimpleNamespace(asarray=CupyArray, cuda=SimpleNamespace(Device=cupy_device, runtime=runtime))
    monkeypatch.setattr(device, "_cupy", lambda: stand_in)
    monkeypatch.setattr(device, "is_available", lambda: SimpleNamespace(reason="", __bool__=lambda: True))
    monkeypatch.setattr(CupyArray, "get", host, raising=False)
    monkeypatch.chdir(tmp_path)
    with simulated():
        yield


def run(command):
    return cli.app(shlex.split(command))


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("more", ["", "--condensed"])
def test_all_pairs_are_those_of_the_processor(more):
    rows = np.random.default_rng(0).dirichlet(np.ones(5), 5)
    np.save("rows.npy", rows)
    for place in ("cpu", "cuda"):
        assert run(f"pairwise rows.npy chain -o {place}.npy --device {place} {more}") == 0
    np.testing.assert_allclose(np.load("cuda.npy"), np.load("cpu.npy"), rtol=0, atol=tolerance(float, 50, 1.0, 5.0))


@pytest.mark.usefixtures("cupy")
def test_neighbours_are_those_of_the_processor():
    rng = np.random.default_rng(0)
    np.save("rows.npy", rng.dirichlet(np.ones(5), 5))
    for place in ("cpu", "cuda"):
        assert run(f"nearest rows.npy chain -o {place}.tsv -k 2 --device {place}") == 0
    cpu, cuda = (Path(f"{place}.tsv").read_text().splitlines() for place in ("cpu", "cuda"))
    assert [line.split("\t")[:3] for line in cpu] == [line.split("\t")[:3] for line in cuda]


@pytest.mark.usefixtures("cupy")
def test_a_device_that_is_not_there_is_named(capsys):
    np.save("rows.npy", np.eye(3))
    assert run("pairwise rows.npy chain -o found.npy --device cuda:3") == 2
    assert "--device cuda:3" in capsys.readouterr().err

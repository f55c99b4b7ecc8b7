"""Distances that are written to files: memory maps and zarr arrays, resumed after an interruption."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastemd as fe
from fastemd import Chain
from fastemd.pairs import store, tiles
from tests.support.errors import rejects

CHAIN = Chain(20)


def rows(count=400, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(20), count).astype(np.float32)


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "LARGEST", tiles.GRAIN)
    monkeypatch.setattr(store, "FLUSHED", 1)


def mapped(path, count=400, mode="w+"):
    return np.memmap(path, np.float32, mode, shape=(count, count))


def test_out_is_written_and_returned(small_tiles):
    out = np.full((400, 400), 7, np.float32)
    assert fe.pairwise(rows(), space=CHAIN, out=out) is out
    np.testing.assert_array_equal(out, fe.pairwise(rows(), space=CHAIN))
    flat = np.full(400 * 399 // 2, 7, np.float32)
    assert fe.pairwise(rows(), space=CHAIN, out=flat, condensed=True) is flat
    np.testing.assert_array_equal(flat, out[np.triu_indices(400, 1)])


def test_a_memory_map_holds_the_distances_and_is_known_as_finished(small_tiles, tmp_path):
    out = mapped(tmp_path / "pairs")
    fe.pairwise(rows(), space=CHAIN, out=out)
    np.testing.assert_array_equal(out, fe.pairwise(rows(), space=CHAIN))
    record = json.loads((tmp_path / "pairs.fastemd.json").read_text())
    assert record["finished"]
    assert len(record["tiles"]) == 15  # of 5 x 5 tiles those on the diagonal and above


CHILD = """
import sys, numpy as np, fastemd as fe
from fastemd.pairs import store, tiles
tiles.LARGEST, store.FLUSHED = tiles.GRAIN, 1
rows = np.random.default_rng(0).dirichlet(np.ones(20), 400).astype(np.float32)
out = np.memmap(sys.argv[1], np.float32, "w+", shape=(400, 400))
add = store.Record.add
def killed(self, number, tile):
    add(self, number, tile)
    if number == 6:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
store.Record.add = killed
fe.pairwise(rows, space=fe.Chain(20), out=out)
"""


def test_a_run_that_is_killed_is_resumed_bit_for_bit(small_tiles, tmp_path, monkeypatch):
    path = tmp_path / "pairs"
    killed = subprocess.run([sys.executable, "-c", CHILD, str(path)], check=False)
    assert killed.returncode == -9
    record = json.loads((tmp_path / "pairs.fastemd.json").read_text())
    assert not record["finished"]
    assert sorted(map(int, record["tiles"])) == list(range(7))
    computed = []
    tile = tiles.DenseTiles.tile
    monkeypatch.setattr(tiles.DenseTiles, "tile", lambda self, i, j: (computed.append((i, j)), tile(self, i, j))[1])
    out = mapped(path, mode="r+")
    fe.pairwise(rows(), space=CHAIN, out=out)
    assert len(computed) == 8
    np.testing.assert_array_equal(out, fe.pairwise(rows(), space=CHAIN))


def test_a_file_that_was_made_anew_is_not_taken_for_finished(small_tiles, tmp_path):
    fe.pairwise(rows(), space=CHAIN, out=mapped(tmp_path / "pairs"))
    again = mapped(tmp_path / "pairs")  # zeros
    fe.pairwise(rows(), space=CHAIN, out=again)
    np.testing.assert_array_equal(again, fe.pairwise(rows(), space=CHAIN))


def test_a_record_of_other_input_is_refused(small_tiles, tmp_path):
    fe.pairwise(rows(), space=CHAIN, out=mapped(tmp_path / "pairs"))
    out = mapped(tmp_path / "pairs", mode="r+")
    before = out.copy()
    other = Chain(positions=np.arange(20) * 1.5)
    for call in (
        lambda: fe.pairwise(rows(seed=1), space=CHAIN, out=out),
        lambda: fe.pairwise(rows(), space=other, out=out),
        lambda: fe.pairwise(rows(), space=CHAIN, rho=2, out=out),
        lambda: fe.pairwise(rows(), rows(), space=CHAIN, out=out),
        lambda: fe.pairwise(rows(), space=CHAIN, mass="normalize", out=out),
    ):
        rejects(ValueError, call, "is the record of other rows, another space or other options", "delete the record")
    np.testing.assert_array_equal(out, before)
    os.remove(tmp_path / "pairs.fastemd.json")
    fe.pairwise(rows(seed=1), space=CHAIN, out=out)
    np.testing.assert_array_equal(out, fe.pairwise(rows(seed=1), space=CHAIN))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"input": 1}'])
def test_a_damaged_record_is_refused(text, tmp_path):
    out = mapped(tmp_path / "pairs")
    Path(tmp_path / "pairs.fastemd.json").write_text(text)
    rejects(ValueError, lambda: fe.pairwise(rows(), space=CHAIN, out=out), "is no record of fastemd", "delete it")


def test_a_disk_that_is_full_raises_before_anything_is_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    out = mapped(tmp_path / "pairs")
    with pytest.raises(OSError, match="No space left"):
        fe.pairwise(rows(), space=CHAIN, out=out)
    assert not out.any()
    assert not (tmp_path / "pairs.fastemd.json").exists()


def test_outs_that_cannot_be_written_are_refused(tmp_path):
    good = np.zeros((400, 400), np.float32)
    rejects(TypeError, lambda: fe.pairwise(rows(), space=CHAIN, out="pairs"), "out is of type str", "numpy.memmap")
    rejects(ValueError, lambda: fe.pairwise(rows(), space=CHAIN, out=good[1:]), "out has shape (399, 400)")
    rejects(
        TypeError, lambda: fe.pairwise(rows(), space=CHAIN, out=good.astype(float)), "dtype float64", "dtype='float64'"
    )
    fe.pairwise(rows(), space=CHAIN, out=np.zeros((400, 400)), dtype="float64")
    mapped(tmp_path / "pairs").flush()
    closed = mapped(tmp_path / "pairs", mode="r")
    rejects(ValueError, lambda: fe.pairwise(rows(), space=CHAIN, out=closed), "out is read-only", "'r+'")


def test_a_zarr_array_is_written_and_resumed(small_tiles, tmp_path):
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    out = zarr.open(str(tmp_path / "pairs.zarr"), mode="w", shape=(400, 400), dtype="float32", chunks=(100, 100))
    fe.pairwise(rows(), space=CHAIN, out=out)
    np.testing.assert_array_equal(out[:], fe.pairwise(rows(), space=CHAIN))
    assert json.loads((tmp_path / "pairs.zarr.fastemd.json").read_text())["finished"]
    fe.pairwise(rows(), space=CHAIN, out=out)
    rejects(ValueError, lambda: fe.pairwise(rows(seed=1), space=CHAIN, out=out), "is the record of other rows")


def test_a_progress_bar_is_shown_when_asked_for(capfd):
    fe.pairwise(rows(), space=CHAIN, progress=True)
    assert "pairs" in capfd.readouterr().err
    fe.pairwise(rows(), space=CHAIN, progress=False)
    fe.pairwise(rows(), space=CHAIN)
    assert capfd.readouterr().err == ""


def test_progress_without_rich_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ImportError, match=r"Needed: pip install 'fastemd\[cli\]', or progress=False"):
        fe.pairwise(rows(), space=CHAIN, progress=True)

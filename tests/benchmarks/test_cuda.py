"""The benchmark of a GPU on a stand-in: its jobs, checks, bars and page, without figures of time."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import fastemd as fe
from benchmarks.cuda import clock, jobs, losses, small_calls, suite
from benchmarks.cuda import page as cuda_page
from benchmarks.harness import measure
from fastemd.arrays.availability import Availability

ROOT = Path(__file__).parents[2]


class StandIn(clock.Gpu):
    """A GPU that is the CPU: torch's tensors lie in host memory, and the clock is the host's."""

    torch_device = "cpu"
    cache_bytes = 1 << 16

    def described(self):
        names = ("multiprocessors", "memory_bytes", "driver", "cuda_of_torch", "compute_capability")
        return dict.fromkeys(names, 0) | {"device": "a stand-in", "cache_bytes": self.cache_bytes}

    def as_input(self, x):
        return x.numpy()

    def synchronize(self):
        pass

    def free(self):
        pass

    def times(self, contenders, seconds, most):
        return measure.side_by_side(contenders, seconds, most)

    def arrays_of(self, library, rows, n):
        if library == "cupy":
            return None, "no cupy here"
        return tuple(self.histograms(rows, n, seed).numpy() for seed in range(3)), ""

    def captured(self, library, call):
        return call


@pytest.fixture(scope="module")
def result():
    return suite.measured(StandIn(), jobs.QUICK)


@pytest.fixture
def device_jobs():
    return list(jobs.all_jobs(jobs.QUICK))


def page_of(result, folder):
    suite.write(folder / suite.FILE, result | {"quick": True})
    return cuda_page.write(folder, folder / "cuda.md").read_text(encoding="utf-8")


def cells(page):
    return [row.strip("| ").split(" | ") for row in page.splitlines() if row.startswith("| ")][2:]


# --- The rows of the table --------------------------------------------------------------------------------------------


def test_jobs_are_the_rows_that_were_asked_for():
    names = [device_job.job.name for device_job in jobs.all_jobs(jobs.FULL)]
    assert names == [
        "chain, value, ρ = 1, 65,536 × 1,000",
        "chain, value + gradient, ρ = 1, 65,536 × 1,000",
        "chain, value + gradient, ρ = 2, 65,536 × 1,000",
        "chain, value, ρ = 1, 1,048,576 × 128",
        "chain, value + gradient, ρ = 1, 1,048,576 × 128",
        "chain, value + gradient, ρ = 2, 1,048,576 × 128",
        *(
            f"ImageNet-{which} tree, {answer}, ρ = 1, {rows} × {size}"
            for which, size in (("1k", "1,000 on 1,808 nodes"), ("21k", "21,841 on 23,460 nodes"))
            for rows in ("16,384", "2,048")
            for answer in ("value", "value + gradient")
        ),
        *(
            f"EMDLoss{what} × 1,000"
            for space in ("chain", "ImageNet tree")
            for what in (f", {space}, forward + backward, ρ = 2, 4,096", f" in a step, {space}, 256")
        ),
        "caterpillar, value + gradient, ρ = 1, 1,024 × 50,000 on 100,000 nodes",
        "logits and classes, chain, value + gradient, ρ = 1, 65,536 × 1,000",
        "Sinkhorn, matrix, reg = 0.05, to 1e-05, 1,024 × 1,000",
    ]


def test_bars_are_those_that_were_set_beforehand():
    bars = {
        device_job.job.name: [bar.checked({})["bar"] for bar in device_job.job.bars]
        for device_job in jobs.all_jobs(jobs.FULL)
    }
    bars |= {line["job"]: [bar["bar"] for bar in line["bars"]] for line in small_calls.unmeasured(jobs.FULL)}
    share = "of the copy bandwidth"
    assert bars["chain, value, ρ = 1, 65,536 × 1,000"] == [
        f"≥ 0.75 {share}",
        "≥ 3 × torch eager",
        "≥ 1.5 × torch.compile",
    ]
    for rho in (1, 2):
        gradient = bars[f"chain, value + gradient, ρ = {rho}, 1,048,576 × 128"]
        assert gradient == [f"≥ 0.7 {share}", "≥ 6 × torch autograd", "≥ 2 × torch.compile"]
    trees = [words for name, words in bars.items() if name.startswith("ImageNet")]
    assert len(trees) == 8
    assert all(
        words[0] == f"≥ 0.4 {share}" and len(words) == 3 and all("10 ×" in w for w in words[1:]) for words in trees
    )
    assert bars["logits and classes, chain, value + gradient, ρ = 1, 65,536 × 1,000"][0] == f"≥ 0.6 {share}"
    (words,) = (words for name, words in bars.items() if name.startswith("caterpillar"))
    assert words == ["≤ 2 × the ImageNet-21k tree, per node"]
    sinkhorn = bars["Sinkhorn, matrix, reg = 0.05, to 1e-05, 1,024 × 1,000"]
    assert sinkhorn == ["≥ 3 × torch log-domain loop", "≥ 3 × POT solve_batch"]
    assert bars["EMDLoss, chain, forward + backward, ρ = 2, 4,096 × 1,000"] == [
        "≥ 4 × torch eager",
        "≥ 4 × torch.compile",
    ]
    assert bars["EMDLoss in a step, ImageNet tree, 256 × 1,000"] == ["≤ 1.5 × cross_entropy's own time"]
    assert any(word.startswith("≤ 60 µs of host time") for words in bars.values() for word in words)


def test_counted_bytes_are_those_of_the_arrays(device_jobs):
    (rows, n), *_ = jobs.QUICK.chains
    assert [device_job.job.counted for device_job in device_jobs[:3]] == [8 * rows * n, 12 * rows * n, 12 * rows * n]
    assert device_jobs[-2].job.counted == 8 * np.prod(jobs.QUICK.logits)


def test_a_share_is_that_of_a_copy_whose_bytes_are_read_and_written(device_jobs):
    job = device_jobs[0].job
    job.loops = {"copy": 2_000}
    assert job.share({"fastemd": 1.0, "copy": 1.0}) == job.counted / 2_000


def test_the_caterpillar_is_compared_by_node(device_jobs):
    (bar,) = device_jobs[-3].job.bars
    rows, nodes = jobs.QUICK.caterpillar
    times = {"fastemd": 3.0 * rows * nodes, "ImageNet-1k tree": 2.0 * jobs.QUICK.tree_rows[-1] * 1_808}
    assert bar.checked(times)["figure"] == pytest.approx(1.5)


# --- A run ------------------------------------------------------------------------------------------------------------


def test_every_row_is_run_and_judged(result, device_jobs):
    timed = [line for line in result["lines"] if "median_ms" in line]
    assert [line["job"] for line in timed] == [device_job.job.name for device_job in device_jobs]
    for line in timed:
        assert {"fastemd", "copy"} <= set(line["median_ms"])
        for bar in line["bars"]:
            assert bar["figure"] is not None or any(name in bar["bar"] for name in line["absent"])


def test_small_calls_are_timed_on_the_host_and_replayed(result):
    host, graph = result["lines"][-2:]
    assert host["figures"]["torch"] > 0.0 and host["bars"][0]["figure"] == host["figures"]["torch"]
    assert graph["bars"][0]["met"] is True
    assert "no cupy here" in host["figures"]["cupy"] and host["bars"][1]["met"] is None


@pytest.mark.parametrize(
    "number", [0, 1, 6, 7, -3, -2], ids=["value", "gradient", "tree value", "tree", "caterpillar", "logits"]
)
def test_a_wrong_answer_is_refused(device_jobs, number, monkeypatch):
    class Wrong(StandIn):
        def host(self, x):
            return super().host(x) * np.float32(1 + 1e-5) if isinstance(x, np.generic | np.ndarray) else super().host(x)

    with pytest.raises(ArithmeticError, match="from the reference"):
        device_jobs[number].prepare(Wrong(), jobs.QUICK)


@pytest.mark.parametrize("number", [10, 11, 12, 13])
def test_a_wrong_gradient_of_the_loss_is_refused(device_jobs, number, monkeypatch):
    right = losses.step

    def wrong(loss):
        def call(z, target):
            value, grad = right(loss)(z, target)
            return value, grad * (1 + 1e-5)

        return call

    assert "EMDLoss" in device_jobs[number].job.name
    monkeypatch.setattr(losses, "step", wrong)
    with pytest.raises(ArithmeticError, match="from the reference"):
        device_jobs[number].prepare(StandIn(), jobs.QUICK)


def test_a_wrong_value_of_sinkhorn_is_refused(device_jobs, monkeypatch):
    right = fe.sinkhorn
    off = SimpleNamespace(value=right([1.0], [1.0], [[1.0]], reg=1.0).value + np.float32(1e-3))
    monkeypatch.setattr(fe, "sinkhorn", lambda *_, **__: off)
    with pytest.raises(ArithmeticError, match="from the reference"):
        device_jobs[-1].prepare(StandIn(), jobs.QUICK)


def test_an_opponent_that_answers_something_else_is_refused(device_jobs):
    job = device_jobs[0].job
    device_jobs[0].prepare(StandIn(), jobs.QUICK)
    jobs.require_agreement(job, StandIn())
    job.opponents["wrong"] = lambda: torch.full((16,), 2.0)
    with pytest.raises(ArithmeticError, match="wrong answers something else"):
        jobs.require_agreement(job, StandIn())


@pytest.mark.parametrize("replay", ["nothing", "refusal"])
def test_a_graph_that_does_not_replay_is_a_missed_bar(replay):
    class Broken(StandIn):
        def captured(self, library, call):
            if replay == "refusal":
                raise RuntimeError("operation not permitted while capturing")
            call()
            return lambda: None

    _, graph = small_calls.lines(Broken(), jobs.QUICK)
    assert graph["bars"][0]["met"] is False
    assert ("not permitted" if replay == "refusal" else "other answers") in graph["figures"]["torch"]


def test_calls_take_the_next_set_each_time():
    taken = []
    call = clock.in_turn(taken.append, [(0,), (1,), (2,)])
    for _ in range(4):
        call()
    assert taken == [1, 2, 0, 1]


def test_sets_are_larger_than_the_cache_together():
    made = StandIn().sets(lambda k: (torch.zeros(1_000), torch.zeros(1_000)))
    assert len(made) * 8_000 >= clock.CACHES * StandIn.cache_bytes
    assert len(StandIn().sets(lambda k: (torch.zeros(1 << 20),))) == 2


# --- The page ---------------------------------------------------------------------------------------------------------


def test_the_page_has_a_row_for_every_line_and_a_verdict_for_every_bar(result, tmp_path):
    page = page_of(result, tmp_path)
    rows = {row[0]: row[-1] for row in cells(page)}
    for line in result["lines"]:
        verdicts = rows[line["job"]].split("; ")
        assert len(verdicts) == len(line["bars"])
        for cell, bar in zip(verdicts, line["bars"], strict=True):
            assert cell.startswith(bar["bar"])
            assert cell.endswith({True: ", met", False: ", **MISSED**", None: ("not measured", ")")}[bar["met"]])
    assert "a stand-in" in page and "figures mean nothing" in page


def test_without_a_gpu_every_row_says_that_it_was_not_measured(device_jobs, tmp_path):
    result = suite.unmeasured("no CUDA driver (it was sought in vain). Needed: one.", jobs.QUICK)
    page = page_of(result, tmp_path)
    rows = cells(page)
    assert "**None of these rows has been measured**" in page and "sought in vain" in page
    names = [device_job.job.name for device_job in device_jobs] + [
        line["job"] for line in small_calls.unmeasured(jobs.QUICK)
    ]
    assert [row[0] for row in rows] == names
    assert all(row[-1] == "not measured: no CUDA driver" for row in rows)
    assert not any(bar["figure"] for line in result["lines"] for bar in line["bars"])


def test_the_page_needs_results(tmp_path):
    with pytest.raises(FileNotFoundError, match="python -m benchmarks cuda"):
        cuda_page.write(tmp_path, tmp_path / "cuda.md")


@pytest.mark.skipif(not suite.obstacle(), reason="a GPU is here, and would be measured")
def test_where_nothing_can_be_measured_the_command_has_a_status_of_its_own(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "cuda", "--quick", "--results", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == suite.UNMEASURED, done.stderr
    result = json.loads((tmp_path / suite.FILE).read_text(encoding="utf-8"))
    assert result["measured"] is False and result["reason"] in done.stderr
    measured = result | {"measured": True}
    suite.write(tmp_path / suite.FILE, measured)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == suite.UNMEASURED and "left alone" in done.stderr
    assert json.loads((tmp_path / suite.FILE).read_text(encoding="utf-8")) == measured


def test_a_simulated_device_is_not_measured(monkeypatch):
    found = Availability(True, "numba simulates a device, as NUMBA_ENABLE_CUDASIM asks for")
    monkeypatch.setattr(fe.cuda, "is_available", lambda: found)
    assert "has no speed" in suite.obstacle()

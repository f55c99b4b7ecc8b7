"""The experiment over ordered classes: data, losses against their formulas, figures, training, the whole once."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fastemd as fe
from benchmarks.paper import __main__ as command
from benchmarks.paper.ordinal import data as ordinal_data
from benchmarks.paper.ordinal import experiment, losses
from benchmarks.paper.ordinal import page as ordinal_page
from tests.support.tolerance import tolerance

MISSING = losses.missing()
needs_coral = pytest.mark.skipif(bool(MISSING), reason="coral-pytorch is not installed: pip install 'fastemd[paper]'")
names = [pytest.param(name, marks=needs_coral if name in ("CORAL", "CORN") else ()) for name in losses.METHODS]


def loaded(name):
    try:
        return ordinal_data.LOADERS[name]()
    except ModuleNotFoundError as error:
        pytest.skip(str(error))


# --- Data -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ordinal_data.LOADERS)
def test_data_have_finite_features_and_all_their_classes(name):
    data = loaded(name)
    assert data.x.shape[0] == len(data.y) > 400
    assert np.isfinite(data.x).all()
    assert np.unique(data.y).tolist() == list(range(data.bins))


@given(st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=60, unique=True), st.integers(2, 10))
def test_quantile_bins_keep_the_order_and_hold_about_equally_many(target, bins):
    number = ordinal_data.quantile_bins(np.array(target), bins)
    assert (np.diff(number[np.argsort(target)]) >= 0).all()
    count = np.bincount(number, minlength=bins)
    assert count.max() - count.min() <= 2


def test_splits_are_apart_scaled_by_the_training_rows_and_drawn_from_their_seed():
    data = loaded("diabetes")
    data = data._replace(x=np.column_stack([data.x, np.arange(len(data.y)), np.ones(len(data.y))]))
    train, validation, test = ordinal_data.splits(data, 4)
    rows = np.concatenate([part.x[:, -2] for part in (train, validation, test)])
    assert len(np.unique(rows)) == len(data.y)
    assert [len(part.y) for part in (train, validation, test)] == [265, 89, 88]
    allowed = tolerance(np.float32, len(train.y), 1, 1)
    np.testing.assert_allclose(train.x[:, :-1].mean(axis=0), 0, atol=allowed)
    np.testing.assert_allclose(train.x[:, :-1].std(axis=0), 1, atol=allowed)
    assert (train.x[:, -1] == 0).all()
    few = ordinal_data.splits(data, 4, 100)
    assert [len(part.y) for part in few] == [100, 89, 88]
    np.testing.assert_array_equal(few[2].y, test.y)
    assert not np.array_equal(ordinal_data.splits(data, 5)[2].y, test.y)


def test_ink_is_not_all_in_what_is_shown():
    data = loaded("ink")
    assert data.x.shape[1] == 16
    assert abs(np.corrcoef(data.x.sum(axis=1), data.y)[0, 1]) < 0.9


# --- Losses -----------------------------------------------------------------------------------------------------------

K = 5


def drawn(outputs, seed=0):
    generator = torch.Generator().manual_seed(seed)
    out = torch.randn(2, 3, 8, outputs, generator=generator, dtype=torch.float64)
    return out, torch.randint(K, (2, 3, 8), generator=generator), torch.rand(2, 3, generator=generator).double()


def formula(name, out, y, weight):
    """The loss of one net, by its definition."""
    p, at = out.softmax(-1), torch.arange(len(y))
    below, truly = p.cumsum(-1), (torch.arange(K) >= y[:, None]).double()
    entropy = -p[at, y].log().mean()
    even = {rho: sum(abs((j + 1) / K - (j >= k)) ** rho for k in range(K) for j in range(K - 1)) / K for rho in (1, 2)}
    distance = {rho: math.log(K) / even[rho] * ((below - truly).abs() ** rho).sum(-1).mean() for rho in (1, 2)}
    return {
        "cross entropy": entropy,
        "EMD rho 1": distance[1],
        "EMD rho 2": distance[2],
        "cross entropy + rho 1": entropy + weight * distance[1],
        "cross entropy + rho 2": entropy + weight * distance[2],
    }[name]


@pytest.mark.parametrize("name", list(losses.METHODS)[:5])
def test_losses_are_their_formulas(name):
    method = losses.METHODS[name](K)
    out, y, weight = drawn(method.outputs)
    expected = sum(formula(name, out[i, j], y[i, j], weight[i, j]) for i in range(2) for j in range(3))
    found = method.loss(out, y, weight)
    assert abs(found - expected) <= tolerance(np.float32, out.numel(), 1, K)  # the scale is found in float32


def test_squared_error_is_that_of_the_bin():
    method = losses.SquaredError(K)
    out, y, weight = drawn(1)
    bin_ = out[..., 0] * K / 4 + 2
    assert method.loss(out, y, weight) == pytest.approx(((bin_ - y) ** 2).mean(-1).sum().item())
    np.testing.assert_allclose(method.error(out, y), ((bin_ - y) ** 2).mean(-1).sqrt())


@needs_coral
def test_corn_and_coral_are_likelihoods_of_the_probabilities_they_mean():
    corn, coral = losses.Corn(K), losses.Coral(K)
    out, y, weight = drawn(K - 1)
    p = corn.probabilities(out)
    # CORN: the conditional steps multiply to the probability of the class; its mean is over steps, not over rows.
    steps = (y.clamp(max=K - 2) + 1).sum()
    expected = -p.gather(-1, y[..., None]).log().sum() / steps * 6
    assert corn.loss(out, y, weight).item() == pytest.approx(expected.item())
    levels = y[..., None] > torch.arange(K - 1)
    binary = torch.nn.functional.binary_cross_entropy_with_logits(out, levels.double(), reduction="none")
    assert coral.loss(out, y, weight).item() == pytest.approx(binary.sum(-1).mean(-1).sum().item())


@pytest.mark.parametrize("name", losses.METHODS)
def test_predictions_are_probabilities(name):
    method = losses.METHODS[name](K)
    out, y, _ = drawn(K - 1 if name == "CORAL" else method.outputs)
    error = method.error(out, y) if name == "squared error" else None
    p = method.probabilities(out, error)
    assert p.shape == (2, 3, 8, K)
    assert p.min() >= 0
    np.testing.assert_allclose(p.sum(-1), 1, atol=tolerance(np.float64, K, 1, K))


# --- Figures ----------------------------------------------------------------------------------------------------------


def test_figures_are_those_of_fastemd_and_of_plain_loops():
    out, y, _ = drawn(K, seed=2)
    p = out.softmax(-1)
    found = losses.figures(p, y)
    truth, allowed = np.eye(K)[y], tolerance(np.float64, K, 1, K)
    for figure, rho in (("emd", 1), ("rps", 2)):
        expected = fe.reference.emd(p.numpy(), truth, fe.Chain(K), rho=rho).mean(-1)
        np.testing.assert_allclose(found[figure], expected, atol=allowed)
    np.testing.assert_allclose(found["brier"], ((p.numpy() - truth) ** 2).sum(-1).mean(-1), atol=allowed)
    np.testing.assert_allclose(found["accuracy"], (p.numpy().argmax(-1) == y.numpy()).mean(-1), atol=allowed)
    for i, j in np.ndindex(2, 3):
        medians = [int(np.searchsorted(np.cumsum(row), 0.5)) for row in p[i, j].numpy()]
        assert found["mae"][i, j] == pytest.approx(np.abs(np.array(medians) - y[i, j].numpy()).mean())
        assert found["ece"][i, j] == pytest.approx(calibration_error(p[i, j].numpy(), y[i, j].numpy()))


def calibration_error(p, y):
    sure, right, total = p.max(-1), p.argmax(-1) == y, 0.0
    for k in range(10):
        inside = (sure >= k / 10) & ((sure < (k + 1) / 10) | (k == 9))
        if inside.any():
            total += inside.mean() * abs(sure[inside].mean() - right[inside].mean())
    return total


# --- Training ---------------------------------------------------------------------------------------------------------


def test_step_is_adam_with_decoupled_weight_decay():
    settings = experiment.Trials(*(torch.full((1, 1), value) for value in (0.01, 0.0, 1.0)))
    nets = experiment.Nets(3, losses.CrossEntropy(K), settings)
    copies = [w.detach().clone().requires_grad_() for w in nets.weights]
    adam = torch.optim.Adam(copies, lr=0.01)
    x, y = torch.randn(1, 8, 3), torch.randint(K, (8,))
    for _ in range(3):
        nets.step(torch.nn.functional.cross_entropy(nets(x)[0, 0], y))
        adam.zero_grad()
        first, first_bias, second, second_bias = copies
        out = (x[:, None] @ first + first_bias).relu() @ second + second_bias
        torch.nn.functional.cross_entropy(out[0, 0], y).backward()
        adam.step()
    for found, expected in zip(nets.weights, copies, strict=True):
        np.testing.assert_allclose(found.detach(), expected.detach(), atol=tolerance(np.float32, 100, 1, 1))


def test_each_net_decays_by_its_own_setting():
    settings = experiment.Trials(torch.full((1, 2), 0.1), torch.tensor([[0.0, 1.0]]), torch.ones(1, 2))
    nets = experiment.Nets(3, losses.CrossEntropy(K), settings)
    before = nets.weights[0].detach().clone()
    nets.step(sum((w * 0).sum() for w in nets.weights))
    np.testing.assert_array_equal(nets.weights[0][:, 0].detach(), before[:, 0])
    np.testing.assert_allclose(nets.weights[0][:, 1].detach(), 0.9 * before[:, 1], rtol=1e-6)


def test_nets_of_a_seed_start_alike_and_settings_do_not_depend_on_the_loss():
    settings = experiment.trials(2, 3)
    one, other = (experiment.Nets(4, losses.METHODS[name](K), settings) for name in ("cross entropy", "EMD rho 2"))
    for a, b in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a.detach(), b.detach())
    assert torch.equal(one.weights[0][:, 0], one.weights[0][:, 2])
    assert not torch.equal(one.weights[0][0], one.weights[0][1])


@pytest.mark.parametrize("name", names)
def test_every_loss_learns(name, monkeypatch):
    fixed = experiment.Trials(*(torch.full((2, 1), value) for value in (0.02, 0.001, 1.0)))
    monkeypatch.setattr(experiment, "trials", lambda seeds, count: fixed)
    x = np.random.default_rng(0).normal(size=(300, 3))
    data = ordinal_data.Data(x, ordinal_data.quantile_bins(x @ [1.0, 2.0, 0.0], K), K, "")
    found = experiment.measured(losses.METHODS[name](K), data, None, 2, 1, 150, 50)
    assert np.mean([one["mae"] for one in found]) < 0.6  # the middle class for all is 1.2 off
    assert np.mean([one["accuracy"] for one in found]) > 0.4


def test_what_is_reported_is_chosen_by_validation_alone():
    def seen(validation, test):
        part = dict.fromkeys(ordinal_page.CHOSEN_BY, torch.tensor([[0.0, 0.0]]))
        return part | {"accuracy": torch.tensor([validation])}, part | {"accuracy": torch.tensor([test])}

    moments = [seen([0.1, 0.5], [0.9, 0.2]), seen([0.3, 0.5], [0.8, 0.7])]
    found = experiment.chosen_figures(moments, 0, experiment.trials(1, 2), every=10)
    assert found["accuracy"] == pytest.approx(0.2)
    assert found["accuracy, chosen"]["steps"] == 10


@needs_coral
def test_experiment_runs_from_end_to_end(tmp_path):
    command.main(["ordinal", "--quick", "--seeds", "2", "--data", "diabetes", "--results", str(tmp_path)])
    result = json.loads((tmp_path / "paper-ordinal.json").read_text())
    assert len(result["records"]) == 2 * len(experiment.SIZES) * len(losses.METHODS)
    page = (tmp_path / "paper-ordinal.md").read_text()
    assert page.count("| squared error |") == 4  # two tallies, two tables
    assert (tmp_path / "paper-ordinal.png").stat().st_size > 10_000


def test_tables_say_what_is_missing():
    record = {"data": "x", "size": "s", "seed": 0, **dict.fromkeys(ordinal_page.CHOSEN_BY, 0.5)}
    records = [
        record | {"method": method, "seed": seed} for method in ("cross entropy", "EMD rho 1") for seed in range(3)
    ]
    about = {"x": {"what": "w", "rows": 9, "features": 2, "bins": 3}}
    result = {"records": records, "data": about, "absent": {"CORN": "gone"}, "seeds": 3, "trials": 1}
    assert "- CORN is not in these tables: gone" in ordinal_page.page(result)

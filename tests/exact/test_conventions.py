"""What peers compute under other names, and with which call fastemd gives the same number."""

import numpy as np
import ot
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

import fastemd as fe
from fastemd import Chain
from fastemd.torch import EMDLoss, emd_loss
from tests.support.tolerance import tolerance


def weighted_points(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 30))
    return np.cumsum(rng.random(n) + 0.01), *rng.dirichlet(np.ones(n), 2)


@given(st.integers(0, 1000))
def test_scipys_wasserstein_distance_is_emd_on_the_positions(seed):
    x, a, b = weighted_points(seed)
    expected = scipy.stats.wasserstein_distance(x, x, a, b)
    assert abs(fe.emd(a, b, Chain(positions=x)) - expected) <= tolerance(np.float64, len(x), 1, x[-1])


@given(st.integers(0, 1000))
def test_scipys_energy_distance_is_the_root_of_twice_emd_at_rho_two(seed):
    x, a, b = weighted_points(seed)
    expected = scipy.stats.energy_distance(x, x, a, b)
    found = np.sqrt(2 * fe.emd(a, b, Chain(positions=x), rho=2))
    assert abs(found**2 - expected**2) <= 2 * tolerance(np.float64, len(x), 1, x[-1])


@given(st.integers(0, 1000))
def test_pots_emd2_1d_is_emd_on_the_positions(seed):
    x, a, b = weighted_points(seed)
    expected = ot.emd2_1d(x, x, a, b, metric="euclidean")
    assert abs(fe.emd(a, b, Chain(positions=x)) - expected) <= tolerance(np.float64, len(x), 1, x[-1])


def dlordinal_loss(logits, classes):
    """`dlordinal.losses.EMDLoss` 2.7 as published: squared differences of cumulative sums, over all J classes."""
    target = torch.nn.functional.one_hot(classes, logits.shape[1])
    return ((logits.softmax(1).cumsum(1) - target.cumsum(1)) ** 2).sum(1).mean()


def test_dlordinals_loss_is_the_loss_on_a_chain_at_rho_two():
    logits = torch.randn(20, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    classes = torch.arange(20) % 6
    own, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss, expected = EMDLoss(Chain(6))(own, classes), dlordinal_loss(theirs, classes)
    loss.backward()
    expected.backward()
    slack = tolerance(np.float64, 6, 1, 5)
    assert abs(loss.item() - expected.item()) <= slack
    assert (own.grad - theirs.grad).abs().max() <= slack


def test_dlordinals_ranked_probability_score_is_the_mean_at_rho_two():
    classes = np.array([0, 0, 3, 2])
    shares = np.array([[0.2, 0.4, 0.2, 0.2], [0.7, 0.1, 0.1, 0.1], [0.5, 0.05, 0.1, 0.35], [0.1, 0.05, 0.65, 0.2]])
    published = 0.506875  # in dlordinal's documentation
    slack = tolerance(np.float64, 4, 1, 3)
    assert abs(fe.emd(shares, np.eye(4)[classes], Chain(4), rho=2).mean() - published) <= slack
    rows = torch.from_numpy(shares), torch.from_numpy(classes)
    assert abs(emd_loss(*rows, Chain(4), from_logits=False).item() - published) <= slack


@pytest.mark.parametrize("steps", [1, 5, 50])
def test_pots_sinkhorn_without_a_threshold_is_sinkhorn_with_tol_zero(steps):
    x, a, b = weighted_points(3)
    cost, reg = abs(x[:, None] - x), 3.0
    plan = ot.sinkhorn(a, b, cost, reg, stopThr=0, numItermax=steps, warn=False)
    result = fe.sinkhorn(a, b, cost, reg=reg, tol=0, max_iter=steps, plan=True, method="log")
    assert result.n_iter == steps
    assert not result.converged
    if steps == 50:  # POT updates b first, so plans agree where both have converged
        np.testing.assert_allclose(result.plan, plan, atol=1e3 * tolerance(np.float64, len(x), 1, x[-1]))

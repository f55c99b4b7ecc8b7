"""Derivatives of the torch adapter: first ones of everything, second ones where they exist, and an error elsewhere."""

import pytest
import torch

import fastemd as fe
from fastemd.torch import EMDLoss, emd_loss
from tests.support.torch_problems import FIVE

Y = torch.tensor([0, 3, -100, 2])
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 3.0, 0.25], dtype=torch.float64)
RHOS = [1, 1.5, 2, 2.5, 3]
TWICE = [2, 2.5, 3]
pytestmark = pytest.mark.parametrize("space", FIVE, ids=lambda space: space.kind)


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7)).requires_grad_()


def lengths_of(space):
    """Lengths of edges to learn, that of the root, which has none, held at 0."""
    return numbers(space.m).detach().exp().requires_grad_(), torch.from_numpy(space.lengths > 0).double()


def of_everything(space, rho):
    """The loss as a function of logits, of a soft target's logits and of lengths."""
    _, mask = lengths_of(space)

    def loss(z, t, lengths):
        return emd_loss(z, t.softmax(-1), space, rho=rho, lengths=lengths * mask, label_smoothing=0.1)

    return loss, (numbers(2, 5), numbers(5, 2).T.detach().contiguous().requires_grad_(), lengths_of(space)[0])


def of_probabilities(space, rho):
    def loss(z, t):
        return emd_loss(z.softmax(-1), t.softmax(-1), space, rho=rho, from_logits=False, weight=WEIGHT)

    return loss, (numbers(2, 5), numbers(5, 2).T.detach().contiguous().requires_grad_())


def of_logits(space, rho):
    def loss(z):
        return emd_loss(z.reshape(2, 2, 5).movedim(-1, 1), Y.reshape(2, 2), space, rho=rho)

    return loss, (numbers(4, 5),)


@pytest.mark.parametrize("rho", RHOS)
@pytest.mark.parametrize("made", [of_logits, of_probabilities, of_everything])
def test_gradients_are_those_of_finite_differences(space, rho, made):
    function, arguments = made(space, rho)
    assert torch.autograd.gradcheck(function, arguments, check_batched_grad=True)


@pytest.mark.parametrize("rho", TWICE)
@pytest.mark.parametrize("made", [of_logits, of_probabilities, of_everything])
def test_second_derivatives_are_those_of_finite_differences(space, rho, made):
    function, arguments = made(space, rho)
    torch.manual_seed(7)
    # Entry by entry at one exponent; at the others along random directions, which costs a tenth.
    assert torch.autograd.gradgradcheck(function, arguments, fast_mode=rho != 2.5)


@pytest.mark.parametrize("rho", TWICE)
def test_second_derivatives_exist_where_no_edge_has_flow(space, rho):
    def loss(p, q):
        return emd_loss(p - p.mean() + 0.2, q - q.mean() + 0.2, space, rho=rho, from_logits=False, reduction="sum")

    p = torch.full((5,), 0.2, dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(lambda p: loss(p, torch.full_like(p, 0.2)), p)
    assert hessian.isfinite().all()
    if rho > 2:
        assert (hessian == 0).all()
    else:  # the loss is a quadratic form
        d = torch.tensor([0.01, -0.02, 0.03, 0.01, -0.03], dtype=torch.float64)
        torch.testing.assert_close(d @ hessian @ d / 2, loss(p + d, p))


@pytest.mark.parametrize("rho", [1, 1.5])
def test_second_derivatives_below_rho_two_are_refused(space, rho):
    z = numbers(4, 5)
    (grad,) = torch.autograd.grad(emd_loss(z, Y, space, rho=rho), z, create_graph=True)
    with pytest.raises(RuntimeError, match=rf"rho={rho} has no second derivative.* Needed: rho of at least 2"):
        grad.sum().backward()
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.func.jacrev(torch.func.jacrev(lambda z: emd_loss(z, Y, space, rho=rho)))(z)


def test_retained_graph_gives_the_same_gradient_each_time(space):
    z = numbers(4, 5)
    loss = emd_loss(z, Y, space)
    loss.backward(retain_graph=True)
    first = z.grad.clone()
    z.grad.zero_()  # in place: nothing that the graph holds may change with it
    loss.backward(retain_graph=True)
    assert torch.equal(z.grad, first)
    loss.backward()
    torch.testing.assert_close(z.grad, 2 * first)


def test_gradient_for_each_of_several_upstream_ones_at_once(space):
    z = numbers(4, 5)
    rows = emd_loss(z, Y, space, reduction="none")
    (batched,) = torch.autograd.grad(rows, z, torch.eye(4).double(), is_grads_batched=True, retain_graph=True)
    for i in range(4):
        (alone,) = torch.autograd.grad(rows[i], z, retain_graph=True)
        torch.testing.assert_close(batched[i], alone)


def test_gradient_with_respect_to_lengths_is_the_cost_of_the_flows(space):
    z, target = numbers(4, 5).detach(), numbers(4, 5).softmax(-1).detach()
    lengths = torch.from_numpy(space.lengths.copy()).requires_grad_()
    emd_loss(z, target, space, rho=3, reduction="sum", lengths=lengths).backward()
    _, each = fe.emd_value_and_grad(z.softmax(-1).numpy(), target.numpy(), space, rho=3, wrt="length")
    torch.testing.assert_close(lengths.grad, torch.from_numpy(each).sum(0))


def test_learned_lengths_stay_above_zero_and_keep_their_total(space):
    loss = EMDLoss(space, learn_lengths=True)
    total, before = loss.lengths().sum(), loss.lengths().detach().clone()
    torch.testing.assert_close(before.double(), torch.from_numpy(space.lengths.copy()))
    step = torch.optim.SGD(loss.parameters(), lr=10.0)
    values = []
    for _ in range(5):
        step.zero_grad()
        value = loss(numbers(4, 5).float(), Y)
        value.backward()
        step.step()
        values.append(value.item())
    after = loss.lengths().detach()
    assert values[-1] < values[0] and not torch.equal(after, before)
    assert ((after > 0) == (before > 0)).all()
    torch.testing.assert_close(after.sum(), total.detach())

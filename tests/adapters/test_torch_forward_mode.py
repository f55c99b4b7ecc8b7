"""Forward mode of the torch adapter, and every nesting of the two modes."""

import itertools

import pytest
import torch
from torch.autograd import forward_ad

import fastemd as fe
from fastemd import Chain, Ring, Tree
from fastemd.torch import emd_loss

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch warns of its own parts


def _forward_case(space, rho, made):
    """Return a function of tensors, and the tensors."""
    torch.manual_seed(3)
    z = torch.randn(3, space.n, dtype=torch.float64)
    if made == "classes":
        return (lambda z: emd_loss(z, torch.tensor([0, 1, space.n - 1]), space, rho=rho)), (z,)
    if made == "histograms":
        target = torch.randn(3, space.n, dtype=torch.float64).softmax(-1)
        return (lambda z, t: emd_loss(z, t, space, rho=rho, label_smoothing=0.1)), (z, target)
    lengths = torch.rand(space.m, dtype=torch.float64) + 0.5
    return (lambda z, w: emd_loss(z, torch.tensor([0, 1, 2]), space, rho=rho, lengths=w)), (z, lengths)


FORWARD = [Chain(4), Ring(4), Tree([-1, 0, 0, 1], [0.0, 1.0, 2.0, 3.0])]


@pytest.mark.parametrize("space", FORWARD, ids=lambda space: space.kind)
@pytest.mark.parametrize("rho", [1, 2, 3])
@pytest.mark.parametrize("made", ["classes", "histograms", "lengths"])
def test_forward_mode_is_the_gradient_along_a_direction(space, rho, made):
    function, tensors = _forward_case(space, rho, made)
    every = tuple(range(len(tensors)))
    tangents = tuple(torch.randn_like(x) for x in tensors)
    gradients = torch.func.grad(function, every)(*tensors)
    expected = sum((g * t).sum() for g, t in zip(gradients, tangents, strict=True))
    value, tangent = torch.func.jvp(function, tensors, tangents)
    torch.testing.assert_close(value, function(*tensors))
    torch.testing.assert_close(tangent, expected)
    for one, other in zip(torch.func.jacfwd(function, every)(*tensors), gradients, strict=True):
        torch.testing.assert_close(one, other)
    with forward_ad.dual_level():
        answer = function(*(forward_ad.make_dual(x, t) for x, t in zip(tensors, tangents, strict=True)))
        torch.testing.assert_close(forward_ad.unpack_dual(answer).tangent, expected)


@pytest.mark.parametrize("space", FORWARD, ids=lambda space: space.kind)
@pytest.mark.parametrize("rho", [2, 3])
@pytest.mark.parametrize("made", ["classes", "histograms", "lengths"])
def test_every_nesting_of_modes_gives_the_same_second_derivatives(space, rho, made):
    function, tensors = _forward_case(space, rho, made)
    every = tuple(range(len(tensors)))
    expected = torch.autograd.functional.hessian(function, tensors)
    jacobians = torch.func.jacfwd, torch.func.jacrev
    for outer in jacobians:
        for inner in jacobians:
            found = outer(inner(function, every), every)(*tensors)
            for i, j in itertools.product(every, every):
                torch.testing.assert_close(found[i][j], expected[i][j])


def test_second_derivatives_by_forward_mode_are_refused_below_two():
    z, y = torch.randn(2, 4), torch.tensor([0, 1])

    def loss(z):
        return emd_loss(z, y, Chain(4), rho=1.5)

    jacobians = torch.func.jacfwd, torch.func.jacrev
    for outer in jacobians:
        for inner in jacobians:
            with pytest.raises(RuntimeError, match="has no second derivative"):
                outer(inner(loss))(z)


def test_rho_that_requires_grad_is_refused_and_a_tensor_without_is_a_number():
    z, y = torch.randn(2, 4), torch.tensor([0, 1])
    rho = torch.tensor(2.5, requires_grad=True)
    with pytest.raises(TypeError, match=r"rho is a tensor that requires grad.*try rho.item\(\)"):
        emd_loss(z, y, Chain(4), rho=rho)
    with pytest.raises(TypeError, match="rho is a tensor that requires grad"):
        fe.emd(z.softmax(-1), z.softmax(-1), Chain(4), rho=rho)
    torch.testing.assert_close(emd_loss(z, y, Chain(4), rho=rho.item()), emd_loss(z, y, Chain(4), rho=rho.detach()))

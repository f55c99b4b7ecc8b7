"""fastemd.torch under the compiler and the transforms of torch.func."""

import pytest
import torch
from hypothesis import given, settings

import fastemd as fe
from fastemd.torch import EMDLoss, autograd, emd_loss
from tests.support.torch_problems import FIVE, TREE, batches, quietly

Z = torch.tensor([[0.3, -1.0, 2.0, 0.0, 0.5], [1.0, 1.0, -0.5, 0.2, 0.1], [0.0, 3.0, 0.0, -2.0, 1.0]])
Y = torch.tensor([4, -100, 2])
# Inductor adds a C++ compiler's work, and nothing to what is shown: the operator is opaque to it.
compiled = torch.compile(fullgraph=True, backend="aot_eager")
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()


def value_and_gradients(loss, module, z, target):
    z = z.clone().requires_grad_()
    module.zero_grad()
    value = loss(z, target)
    value.backward()
    return [value.detach(), z.grad, *(p.grad.clone() for p in module.parameters())]


@pytest.mark.parametrize("space", FIVE, ids=lambda space: space.kind)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rho": 1, "weight": torch.rand(5)},
        {"learn_lengths": True, "reduction": "sum"},
        {"label_smoothing": 0.1},
    ],
)
@pytest.mark.parametrize("soft", [False, True])
def test_the_compiler_takes_the_loss_as_one_graph_and_answers_the_same(space, options, soft):
    module = EMDLoss(space, **options)
    target = Z.flip(0).softmax(-1) if soft else Y
    expected = value_and_gradients(module, module, Z, target)
    got = value_and_gradients(compiled(module), module, Z, target)
    for x, y in zip(got, expected, strict=True):
        torch.testing.assert_close(x, y)


def test_compiled_code_follows_its_space():
    loss = compiled(lambda z, y, space: emd_loss(z, y, space))
    spaces = (fe.Chain(5), fe.Chain(positions=[0, 1, 4, 9, 16]), fe.Ring(5), TREE, fe.Chain(5))
    for space in spaces:
        torch.testing.assert_close(loss(Z, Y, space), emd_loss(Z, Y, space))
    module = EMDLoss(spaces[0])
    again = compiled(module)
    for space in spaces:
        module.space = space
        torch.testing.assert_close(again(Z, Y), emd_loss(Z, Y, space))


def test_compiled_code_takes_batches_of_any_size():
    loss = torch.compile(lambda z, y: emd_loss(z, y, TREE), fullgraph=True, backend="aot_eager", dynamic=True)
    for rows in (2, 3, 7):
        z, y = torch.randn(rows, 5), torch.randint(0, 5, (rows,))
        torch.testing.assert_close(loss(z, y), emd_loss(z, y, TREE))


def test_class_out_of_bounds_is_an_index_error_in_compiled_code():
    with pytest.raises(IndexError, match="Target 5 is out of bounds"):
        compiled(lambda z, y: emd_loss(z, y, TREE))(Z, Y.clamp(0) + 1)


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_operator_keeps_torchs_rules(lengths, soft, from_logits, dtype):
    input = (Z.clone() if from_logits else Z.softmax(-1)).to(dtype).detach().requires_grad_()
    target = Z.flip(0).softmax(-1).to(dtype).detach().requires_grad_(not from_logits) if soft else Y.clamp(0)
    metric = torch.rand(7).requires_grad_() if lengths and not from_logits else None
    arguments = (input, target, metric, autograd.name_of(TREE), 2.0, from_logits, 0.25, True)
    assert set(torch.library.opcheck(torch.ops.fastemd.emd, arguments).values()) == {"SUCCESS"}


def test_operator_refuses_what_it_has_no_gradient_for():
    name, soft = autograd.name_of(TREE), Z.softmax(-1).requires_grad_()
    values, _, _ = torch.ops.fastemd.emd(Z, soft, None, name, 2.0, True, 0.0, True)
    with pytest.raises(RuntimeError, match="no gradient for a target of logits"):
        values.sum().backward()
    with pytest.raises(ValueError, match="from_logits is True, and there are lengths"):
        torch.ops.fastemd.emd(Z, soft.detach(), torch.ones(7), name, 2.0, True, 0.0, True)


def test_name_of_a_space_is_its_content():
    assert autograd.name_of(fe.Chain(5)) == autograd.name_of(fe.Chain(5))
    names = {autograd.name_of(space) for space in (*FIVE, fe.Chain(6), fe.Chain(positions=[0, 1, 2, 3, 5]))}
    assert len(names) == 5


# --- torch.func -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", FIVE, ids=lambda space: space.kind)
@pytest.mark.parametrize("dims", [(0, 0), (1, 0), (None, 0), (0, None)])
def test_vmap_is_a_loop(space, dims):
    z, y = torch.randn(4, 3, 5), torch.randint(0, 5, (4, 3))
    y[1, 1] = -100
    z_in = z[0] if dims[0] is None else z.movedim(0, dims[0])
    y_in = y[0] if dims[1] is None else y
    mapped = torch.func.vmap(lambda z, y: emd_loss(z, y, space), dims)(z_in, y_in)
    for i in range(4):
        row = z[0] if dims[0] is None else z[i], y[0] if dims[1] is None else y[i]
        torch.testing.assert_close(mapped[i], emd_loss(*row, space))


def test_gradients_of_single_samples_are_those_of_a_loop():
    soft = Z.flip(0).softmax(-1)
    both = torch.func.grad(lambda z, t: emd_loss(z, t, TREE), argnums=(0, 1))
    for x, y in zip(torch.func.vmap(both)(Z, soft), zip(*map(both, Z, soft), strict=True), strict=True):
        torch.testing.assert_close(x, torch.stack(y))


def test_vmap_within_plain_autograd_has_the_gradient_of_a_loop():
    z, t = Z.clone().requires_grad_(), Z.flip(0).softmax(-1)
    torch.func.vmap(lambda t: emd_loss(z, t.expand(3, 5), TREE))(t).sum().backward()
    again = Z.clone().requires_grad_()
    sum(emd_loss(again, row.expand(3, 5), TREE) for row in t).backward()
    torch.testing.assert_close(z.grad, again.grad)


def test_functional_call_maps_over_several_metrics():
    module, y = EMDLoss(TREE, learn_lengths=True), Y
    metrics = torch.randn(4, 6)

    def loss(metric):
        return torch.func.functional_call(module, {"log_lengths": metric}, (Z, y))

    values, gradients = torch.func.vmap(loss)(metrics), torch.func.vmap(torch.func.grad(loss))(metrics)
    for i in range(4):
        torch.testing.assert_close(values[i], loss(metrics[i]))
        torch.testing.assert_close(gradients[i], torch.func.grad(loss)(metrics[i]))


@pytest.mark.parametrize("space", FIVE, ids=lambda space: space.kind)
@pytest.mark.parametrize("rho", [2, 3])
def test_hessians_by_torch_func_are_those_by_autograd(space, rho):
    def loss(z):
        return emd_loss(z, Y, space, rho=rho)

    z = Z.double()
    by_func = torch.func.jacrev(torch.func.jacrev(loss))(z)
    torch.testing.assert_close(by_func, torch.autograd.functional.hessian(loss, z))
    torch.testing.assert_close(by_func, quietly(lambda: torch.autograd.functional.hessian(loss, z, vectorize=True)))


@settings(max_examples=50)
@given(batch=batches(torch.float64))
def test_gradients_of_first_and_second_order_by_torch_func_are_those_by_autograd(batch):
    space, logits, classes, _ = batch
    last = logits.movedim(1, -1) if logits.dim() > 1 else logits

    def loss(z):
        return emd_loss(z.movedim(-1, 1) if z.dim() > 1 else z, classes, space, reduction="sum")

    eager = last.clone().requires_grad_()
    (grad,) = torch.autograd.grad(loss(eager), eager, create_graph=True)
    (second,) = torch.autograd.grad((grad * last).sum(), eager)
    mapped, product = torch.func.vjp(torch.func.grad(loss), last)
    assert torch.equal(mapped, grad)
    torch.testing.assert_close(product(last)[0], second)


@pytest.mark.parametrize("name", ["rho", "space"])
def test_one_graph_serves_any_number_of_exponents_and_spaces(name):
    def loss(z, space, rho):
        return emd_loss(z, Y.clamp(0), space, rho=rho)

    torch.compiler.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for k in range(12):
        space = fe.Chain(positions=[0, 1, 2, 3, 4 + k]) if name == "space" else TREE
        rho = 2.0 + k / 8 if name == "rho" else 2.0
        z, again = Z.clone().requires_grad_(), Z.clone().requires_grad_()
        answer, expected = compiled(z, space, rho), loss(again, space, rho)
        torch.testing.assert_close(answer, expected)
        answer.backward()
        expected.backward()
        torch.testing.assert_close(z.grad, again.grad)

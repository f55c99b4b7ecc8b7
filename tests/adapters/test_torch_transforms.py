"""The loss under vmap, tracers, fake and meta tensors, subclasses, default devices, export, and in 16 bits."""

import io
import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch._functorch.aot_autograd import aot_function, make_boxed_func
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import grad, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing._internal.two_tensor import TwoTensor

import fastemd as fe
from fastemd.spaces import Chain, Ring, Tree
from fastemd.torch import EMDLoss, emd_loss
from tests.support.tolerance import tolerance
from tests.support.torch_problems import FIVE, TREE

CHAIN = Chain(5)
NARROW = [torch.bfloat16, torch.float16]


def rows(z, y, lengths=None, space=CHAIN):
    return emd_loss(z, y, space, lengths=lengths, reduction="none")


def drawn(*axes, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((*axes, 5))).float()


def classes(*axes, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 5, axes))


def lengths_of(*axes, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(0.5, 2.0, (*axes, 4)))


def near(x, y, dtype=np.float32, length=10.0):
    np.testing.assert_allclose(x.double(), y.double(), rtol=0, atol=tolerance(dtype, 5, 1.0, length))


# --- vmap -------------------------------------------------------------------------------------------------------------


# Whether input, target and lengths (None: there are none) are mapped.
ONCE = [m for m in itertools.product([False, True], [False, True], [None, False, True]) if any(m)]


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("mapped", ONCE)
def test_mapped_once_is_the_loop(soft, mapped):
    axes = [[3] if m else [] for m in mapped]
    x = [
        drawn(*axes[0], 4),
        drawn(*axes[1], 4, seed=1).softmax(-1) if soft else classes(*axes[1], 4),
        None if mapped[2] is None else lengths_of(*axes[2]),
    ]
    found = vmap(rows, tuple(0 if m else None for m in mapped))(*x)
    each = [[part[k] if m else part for part, m in zip(x, mapped, strict=True)] for k in range(3)]
    near(found, torch.stack([rows(*one) for one in each]))


# Whether the outer and the inner map go over the input, and over the target; each goes over one of them at least.
BOTH = [(z, y) for z in itertools.product([0, 1], repeat=2) for y in itertools.product([0, 1], repeat=2)]
NESTED = [(z, y) for z, y in BOTH if all(a or b for a, b in zip(z, y, strict=True))]
COMPILED = [((1, 1), (1, 0)), ((1, 0), (1, 1))]


@pytest.mark.parametrize(
    ("of_input", "of_target", "compiled"), [(*n, False) for n in NESTED] + [(*n, True) for n in COMPILED]
)
def test_mapped_twice_is_the_loop(of_input, of_target, compiled):
    sizes = (2, 3)
    z = drawn(*(s for s, m in zip(sizes, of_input, strict=True) if m), 4)
    y = classes(*(s for s, m in zip(sizes, of_target, strict=True) if m), 4)
    dims = [tuple(0 if m else None for m in maps) for maps in zip(of_input, of_target, strict=True)]
    call = vmap(vmap(rows, dims[1]), dims[0])
    found = (torch.compile(call, backend="aot_eager", fullgraph=True) if compiled else call)(z, y)

    def at(x, maps, i, j):
        for m, k in zip(maps, (i, j), strict=True):
            x = x[k] if m else x
        return x

    loop = [[rows(at(z, of_input, i, j), at(y, of_target, i, j)) for j in range(3)] for i in range(2)]
    near(found, torch.stack([torch.stack(part) for part in loop]))


def test_gradient_reaches_a_soft_target_through_vmap():
    z, t = drawn(3, 4), drawn(3, 4, seed=1).softmax(-1)
    found = grad(lambda t: vmap(lambda z, t: emd_loss(z, t, CHAIN))(z, t).sum())(t)
    leaf = t.clone().requires_grad_()
    sum(emd_loss(z[k], leaf[k], CHAIN) for k in range(3)).backward()
    near(found, leaf.grad)


# --- 16 bits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("options", [{"label_smoothing": 0.1}, {"lengths": lengths_of()}, {}], ids=repr)
@pytest.mark.parametrize("soft", [False, True])
def test_loss_in_16_bits_is_that_of_the_same_numbers_in_64(dtype, options, soft):
    z, y = drawn(8).to(dtype), drawn(8, seed=1).softmax(-1).to(dtype) if soft else classes(8)
    wide = emd_loss(z.double(), (y.double() / y.double().sum(-1, keepdim=True)) if soft else y, CHAIN, **options)
    found = emd_loss(z, y, CHAIN, **options)
    assert found.dtype == dtype
    eps = torch.finfo(dtype).eps
    np.testing.assert_allclose(found.double(), wide, rtol=0, atol=tolerance(np.float64, 5, 1.0, 8.0) / 2.0**-52 * eps)


@pytest.mark.parametrize("dtype", NARROW)
def test_smoothing_in_16_bits_is_off_by_rounding_alone(dtype):
    found = emd_loss(torch.zeros(1, 5, dtype=dtype), torch.tensor([0]), CHAIN, label_smoothing=0.1)
    assert found == torch.tensor(0.972).to(dtype)


@pytest.mark.parametrize("dtype", NARROW)
def test_probabilities_in_16_bits_are_judged_by_their_rounding(dtype):
    p, y = drawn(8).softmax(-1).to(dtype), classes(8)
    wide = p.double() / p.double().sum(-1, keepdim=True)
    eps = torch.finfo(dtype).eps
    found, expected = emd_loss(p, y, CHAIN, from_logits=False), emd_loss(wide, y, CHAIN, from_logits=False)
    np.testing.assert_allclose(
        found.double(), expected, rtol=0, atol=tolerance(np.float64, 5, 1.0, 8.0) / 2.0**-52 * eps
    )
    with pytest.raises(ValueError, match="mass"):
        emd_loss(p * 1.5, y, CHAIN, from_logits=False)


@pytest.mark.parametrize("dtype", NARROW)
def test_lengths_are_learned_in_16_bits(dtype):
    loss = EMDLoss(CHAIN, learn_lengths=True)
    loss(drawn(8).to(dtype), classes(8)).backward()
    assert loss.log_lengths.grad.isfinite().all()


def test_step_under_autocast_of_bfloat16():
    net = torch.nn.Linear(5, 5)
    with torch.autocast("cpu", torch.bfloat16):
        loss = emd_loss(net(drawn(8)), classes(8), CHAIN, label_smoothing=0.1)
    loss.backward()
    assert loss.dtype == torch.float32
    assert net.weight.grad.isfinite().all()


# --- Tracers, fake tensors, subclasses --------------------------------------------------------------------------------


def test_traced_loss_is_a_function_of_its_input():
    z, y = drawn(3), classes(3)
    traced = make_fx(lambda z: emd_loss(z, y, CHAIN))(z)
    near(traced(3 * z), emd_loss(3 * z, y, CHAIN))


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_fake_and_meta_tensors_get_shape_and_dtype(reduction):
    expected = emd_loss(drawn(4), classes(4), CHAIN, reduction=reduction)
    with FakeTensorMode():
        fake = emd_loss(torch.empty(4, 5), torch.zeros(4, dtype=torch.long), CHAIN, reduction=reduction)
    meta = emd_loss(drawn(4).to("meta"), classes(4).to("meta"), CHAIN, reduction=reduction)
    for found in (fake, meta):
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert meta.is_meta


def test_aot_autograd_has_loss_and_gradient():
    z, y = drawn(3).requires_grad_(), classes(3)

    def compiler(graph, _):
        return make_boxed_func(graph.forward)

    made = aot_function(lambda z, y: emd_loss(z, y, CHAIN), fw_compiler=compiler, bw_compiler=compiler)
    (found,) = torch.autograd.grad(made(z, y), z)
    (expected,) = torch.autograd.grad(emd_loss(z, y, CHAIN), z)
    near(found, expected)


class Named(torch.Tensor):
    """A subclass that changes nothing."""


def test_subclasses_get_the_loss():
    z, y = drawn(3), classes(3)
    expected = emd_loss(z, y, CHAIN)
    found = emd_loss(z.as_subclass(Named), y, CHAIN)
    assert type(found) is Named
    near(found.as_subclass(torch.Tensor), expected)
    both = emd_loss(TwoTensor(z, 2 * z), TwoTensor(y, y), CHAIN)
    near(both.a, expected)
    near(both.b, emd_loss(2 * z, y, CHAIN))


@pytest.mark.parametrize(
    "options", [{}, {"label_smoothing": 0.1}, {"weight": torch.ones(5)}, {"reduction": "none"}], ids=str
)
def test_default_device_is_not_that_of_the_loss(options):
    with torch.device("meta"):
        found = emd_loss(drawn(3), classes(3), CHAIN, **options)
    assert found.device.type == "cpu"
    near(found, emd_loss(drawn(3), classes(3), CHAIN, **options))


def test_gradient_has_the_layout_of_the_logits():
    z = drawn(2, 3, 4).movedim(-1, 1).contiguous().requires_grad_()
    (found,) = torch.autograd.grad(emd_loss(z, classes(2, 3, 4), CHAIN), z)
    assert found.stride() == z.stride()


# --- Spaces in other processes ----------------------------------------------------------------------------------------


def test_exported_programs_run_in_another_process(tmp_path):
    spaces = [*FIVE, Tree.from_paths(["a/b", "a/c", "d", "e", "f/g"])]

    class Net(torch.nn.Module):
        def forward(self, z, y):
            return torch.stack([emd_loss(z, y, space) for space in spaces])

    z, y = drawn(3), classes(3)
    torch.export.save(torch.export.export(Net(), (z, y)), tmp_path / "net.pt2")
    torch.save((z, y), tmp_path / "rows.pt")
    code = (
        "import sys, torch, fastemd.torch; net = torch.export.load(sys.argv[1]).module();"
        "print(*net(*torch.load(sys.argv[2])).tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, tmp_path / "net.pt2", tmp_path / "rows.pt"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    near(torch.tensor([float(word) for word in done.stdout.split()]), Net()(z, y))


def test_graph_of_another_process_says_what_is_missing():
    with pytest.raises(RuntimeError, match=r"finds no space 'nobody'.*call fastemd.torch.emd_loss on it once"):
        torch.ops.fastemd.emd(drawn(3), classes(3), None, "nobody", 1.0, True, 0.0, True)


@pytest.mark.parametrize("space", [Chain(4), Chain(positions=[0, 0.1, 3]), Ring(lengths=[1, 2, 0.5]), TREE], ids=repr)
def test_space_is_loaded_where_its_class_is_allowed(space):
    file = io.BytesIO()
    torch.save({"space": space}, file)
    file.seek(0)
    with torch.serialization.safe_globals([fe.Chain, fe.Ring, fe.Tree]):
        assert torch.load(file, weights_only=True)["space"] == space


# --- Mass -------------------------------------------------------------------------------------------------------------


def test_labels_rounded_to_three_digits_are_normalized_as_the_error_advises():
    z, t = drawn(8).requires_grad_(), (1e3 * drawn(8, seed=1).softmax(-1)).round() / 1e3
    with pytest.raises(ValueError, match="mass='normalize' divides each target by its mass"):
        emd_loss(z, t, CHAIN)
    found = emd_loss(z, t, CHAIN, mass="normalize")
    expected = emd_loss(z, t / t.sum(-1, keepdim=True), CHAIN)
    near(found.detach(), expected.detach())
    near(*(torch.autograd.grad(loss, z)[0] for loss in (found, expected)))
    near(EMDLoss(CHAIN, mass="normalize")(z, t).detach(), expected.detach())


def test_probabilities_of_another_mass_are_normalized_as_the_error_advises():
    p, y = 3.0 * drawn(8).softmax(-1), classes(8)
    with pytest.raises(ValueError, match="mass='normalize' divides each row by its mass; check=False"):
        emd_loss(p, y, CHAIN, from_logits=False)
    near(emd_loss(p, y, CHAIN, from_logits=False, mass="normalize"), emd_loss(p / 3.0, y, CHAIN, from_logits=False))


@pytest.mark.parametrize(("mass", "error"), [("root", ValueError), (None, TypeError)])
def test_other_policies_of_mass_are_refused(mass, error):
    with pytest.raises(error, match=r"mass is .*Needed:.*'equal', 'normalize'"):
        emd_loss(drawn(8), classes(8), CHAIN, mass=mass)

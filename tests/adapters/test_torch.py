"""fastemd.torch: the values of fastemd's own functions, with the arguments and reductions of torch's cross entropy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import fastemd as fe
from fastemd import reference
from fastemd.torch import EMDLoss, autograd, emd_loss
from tests.support.kernel_problems import exponents, near, value_slack
from tests.support.tolerance import tolerance
from tests.support.torch_problems import TREE, batches, classes_last

Z = torch.tensor([[0.3, -1.0, 2.0, 0.0, 0.5], [1.0, 1.0, -0.5, 0.2, 0.1], [0.0, 3.0, 0.0, -2.0, 1.0]])
Y = torch.tensor([4, 0, 2])
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 3.0, 0.25])


@given(batches(), exponents)
def test_rows_are_those_of_emd_with_logits(batch, rho):
    space, logits, classes, soft = batch
    for target, plain in ((classes, classes.numpy()), (soft, classes_last(soft))):
        expected, _ = fe.emd_with_logits(classes_last(logits), plain, space, rho=rho)
        np.testing.assert_array_equal(emd_loss(logits, target, space, rho=rho, reduction="none"), expected)


@given(batches(), exponents)
def test_gradients_are_those_of_emd_with_logits(batch, rho):
    space, logits, classes, soft = batch
    logits.requires_grad_()
    for target, plain in ((classes, classes.numpy()), (soft, classes_last(soft))):
        _, expected = fe.emd_with_logits(classes_last(logits), plain, space, rho=rho)
        (grad,) = torch.autograd.grad(emd_loss(logits, target, space, rho=rho, reduction="sum"), logits)
        np.testing.assert_array_equal(classes_last(grad), expected)


@given(batches(torch.float64), exponents, st.sampled_from([0.0, 0.1, 1.0]))
def test_probabilities_and_smoothing_give_the_values_of_the_reference(batch, rho, smoothing):
    space, logits, classes, soft = batch
    p = logits.softmax(1 if logits.dim() > 1 else 0)
    for target, plain in ((classes, np.eye(space.n)[classes.numpy()]), (soft, classes_last(soft))):
        smooth = plain * (1 - smoothing) + smoothing / space.n
        expected = reference.emd(classes_last(p), smooth, space, rho=rho)
        options = {"rho": rho, "reduction": "none", "label_smoothing": smoothing}
        near(emd_loss(p, target, space, from_logits=False, **options).numpy(), expected, value_slack(space, 1.0, rho))
        near(emd_loss(logits, target, space, **options).numpy(), expected, value_slack(space, 1.0, rho))


@given(batches(), exponents)
def test_lengths_in_place_of_the_spaces_own_give_the_same_values(batch, rho):
    space, logits, classes, _ = batch
    lengths = torch.from_numpy(space.lengths.copy())
    expected = emd_loss(logits.double(), classes, space, rho=rho, reduction="none")
    values = emd_loss(logits.double(), classes, space, rho=rho, reduction="none", lengths=lengths)
    near(values.numpy(), expected.numpy(), value_slack(space, 1.0, rho))


@given(batches(), exponents)
def test_module_is_the_function(batch, rho):
    space, logits, classes, _ = batch
    loss = EMDLoss(space, rho=rho, reduction="sum", label_smoothing=0.25, ignore_index=0, check=False)
    expected = emd_loss(logits, classes, space, rho=rho, reduction="sum", label_smoothing=0.25, ignore_index=0)
    torch.testing.assert_close(loss(logits, classes), expected, rtol=0, atol=0, equal_nan=True)


# --- As in cross entropy ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("soft", [False, True])
def test_reductions_are_those_of_cross_entropy(weight, soft):
    # On a ring of equal lengths, against uniform logits, each class costs the same, in cross entropy as here.
    space, z = fe.Ring(5), torch.zeros(4, 5)
    y = torch.tensor([0, 3, 3, 1])
    target = F.one_hot(y, 5).float() if soft else y
    one, entropy = emd_loss(z[0], y[0], space), F.cross_entropy(z[0], y[0])
    for reduction in ("none", "sum", "mean"):
        options = {"weight": weight, "reduction": reduction}
        torch.testing.assert_close(
            emd_loss(z, target, space, **options) / one, F.cross_entropy(z, target, **options) / entropy
        )


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("ignored", [-100, 3])
def test_ignored_rows_do_not_count_and_get_no_gradient(weight, ignored):
    space, y = fe.Ring(5), torch.tensor([0, ignored, 2, 1])
    z = torch.zeros(4, 5, requires_grad=True)
    one, entropy = emd_loss(z[0], y[0], space), F.cross_entropy(z[0], y[0])
    for reduction in ("none", "sum", "mean"):
        options = {"weight": weight, "reduction": reduction, "ignore_index": ignored}
        loss = emd_loss(z, y, space, **options)
        torch.testing.assert_close(loss / one, F.cross_entropy(z, y, **options) / entropy)
        (grad,) = torch.autograd.grad(loss.sum(), z)
        assert (grad[1] == 0).all() and (grad[[0, 2, 3]] != 0).any(dim=-1).all()


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_all_ignored_is_nan_without_gradient_as_in_cross_entropy(weight):
    for function in (
        lambda z: emd_loss(z, 0 * Y - 100, TREE, weight=weight),
        lambda z: F.cross_entropy(z, 0 * Y - 100),
    ):
        z = Z.clone().requires_grad_()
        loss = function(z)
        loss.backward()
        assert loss.isnan() and (z.grad == 0).all()


def test_no_rows_have_the_mean_nan_and_the_sum_zero():
    none = torch.empty(0, 5), torch.empty(0, dtype=torch.int64)
    assert emd_loss(*none, TREE).isnan() and F.cross_entropy(*none).isnan()
    assert emd_loss(*none, TREE, reduction="sum") == 0
    assert emd_loss(none[0], none[0], TREE).isnan()
    assert emd_loss(*none, TREE, reduction="none").shape == (0,)


def test_axes_after_the_classes_are_rows():
    z, y = torch.randn(2, 5, 3, 4), torch.randint(0, 5, (2, 3, 4))
    rows = emd_loss(z, y, TREE, reduction="none")
    assert rows.shape == y.shape
    one_by_one = [emd_loss(z[i, :, j, k], y[i, j, k], TREE) for i in range(2) for j in range(3) for k in range(4)]
    np.testing.assert_array_equal(rows.flatten(), torch.stack(one_by_one))


def test_weighted_mean_divides_by_the_weights():
    rows = emd_loss(Z, Y, TREE, reduction="none")
    torch.testing.assert_close(emd_loss(Z, Y, TREE, weight=WEIGHT), rows @ WEIGHT[Y] / WEIGHT[Y].sum())


def test_bytes_are_classes():
    assert emd_loss(Z, Y.to(torch.uint8), TREE) == emd_loss(Z, Y, TREE)


def test_class_156_in_bytes_is_not_the_ignored_one():
    z, y = torch.zeros(1, 200), torch.tensor([156], dtype=torch.uint8)
    assert emd_loss(z, y, fe.Chain(200)) == emd_loss(z, y.long(), fe.Chain(200)) > 0


def test_mixed_dtypes_of_floats_are_promoted_as_in_cross_entropy():
    soft = Z.double().softmax(-1).flip(-1)
    assert emd_loss(Z, soft, TREE).dtype == F.cross_entropy(Z, soft).dtype == torch.float64
    assert emd_loss(Z, soft, TREE) == emd_loss(Z.double(), soft, TREE)


# --- Narrow floats ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@given(data=st.data(), rho=st.sampled_from([1, 2, 3]))
def test_narrow_floats_are_summed_in_float64_and_rounded_once(dtype, data, rho):
    space, logits, classes, _ = data.draw(batches(dtype))
    logits.requires_grad_()
    wide = logits.detach().double().requires_grad_()
    for z in (logits, wide):
        emd_loss(z, classes, space, rho=rho, reduction="sum").backward()
    epsilon, least = torch.finfo(dtype).eps, torch.finfo(dtype).smallest_normal
    slack = torch.finfo(torch.float32).eps * space.n * rho * float(space.lengths.sum())
    assert logits.grad.dtype == dtype
    assert ((logits.grad.double() - wide.grad).abs() <= epsilon * wide.grad.abs() + least + slack).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_the_loss_is_float32_and_scales_without_overflow(dtype):
    with torch.autocast("cpu", dtype=dtype):
        z = F.linear(torch.eye(5), 4 * torch.eye(5)).detach().requires_grad_()
        loss = emd_loss(z, torch.tensor([4, 0, 1, 2, 3]), TREE)
    assert (z.dtype, loss.dtype) == (dtype, torch.float32)
    (65536.0 * loss).backward()
    assert z.grad.dtype == dtype and z.grad.isfinite().all()
    assert emd_loss(z, Y.new_zeros(5), TREE).dtype == dtype


def test_a_cpu_tensor_is_read_where_it_lies():
    x = torch.randn(4, 5, 3).movedim(1, -1)
    view = autograd._array(x.requires_grad_())
    assert view.ctypes.data == x.data_ptr() and view.shape == x.shape


def test_inputs_are_not_modified():
    z, y, soft, lengths = Z.clone(), Y.clone(), Z.softmax(-1), torch.ones(7)
    y[0] = -100
    before = [x.clone() for x in (z, y, soft, lengths)]
    emd_loss(z.requires_grad_(), y, TREE).backward()
    emd_loss(z, soft, TREE, lengths=lengths, label_smoothing=0.5).backward()
    assert all(torch.equal(x, x_before) for x, x_before in zip((z, y, soft, lengths), before, strict=True))


@given(batches(), exponents, st.booleans(), st.sampled_from([0.0, 0.2]))
def test_without_grad_the_value_is_the_same_and_no_gradient_is_computed(batch, rho, soft, label_smoothing):
    space, logits, classes, histograms = batch
    target = histograms if soft else classes
    options = {"rho": rho, "label_smoothing": label_smoothing, "reduction": "none"}
    expected = emd_loss(logits.clone().requires_grad_(), target, space, **options).detach()
    with pytest.MonkeyPatch.context() as patch:
        kernels = []
        solve = autograd.solve
        patch.setattr(autograd, "solve", lambda *x, **y: (kernels.append(x[1]), solve(*x, **y))[1])
        plain = emd_loss(logits, target, space, **options)
        with torch.no_grad():
            silent = emd_loss(logits.clone().requires_grad_(), target, space, **options)
    assert set(kernels) <= {"value", "logits_value"}
    slack = tolerance(np.float32, max(space.n, space.m), 1, float(space.lengths.sum()))
    for found in (plain, silent):
        assert not found.requires_grad
        torch.testing.assert_close(found, expected, rtol=0, atol=slack)

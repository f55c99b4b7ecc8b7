"""fastemd.jax: the values of fastemd's own functions under jit, vmap and grad."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

import fastemd as fe
from fastemd import reference
from fastemd.arrays import dlpack
from fastemd.jax import emd_loss
from fastemd.jax import loss as adapter
from fastemd.spaces import Chain, Ring, Tree
from fastemd.torch import emd_loss as torch_loss
from tests.support.fake_libraries import InterfaceArray, installed
from tests.support.gpu import obstacle
from tests.support.kernel_problems import exponents, near, spaces, value_slack
from tests.support.simulator import install

TREE = Tree([-1, 0, 0, 1, 1, 2, 2], [0, 1, 2, 1, 0.5, 1, 3], bins=[3, 4, 5, 6, 1])
FIVE = (Chain(5), Ring(lengths=[1, 2, 0.5, 3, 1]), TREE)
Z = jnp.array([[0.3, -1.0, 2.0, 0.0, 0.5], [1.0, 1.0, -0.5, 0.2, 0.1], [0.0, 3.0, 0.0, -2.0, 1.0]])
Y = jnp.array([4, 0, 2])
few = settings(max_examples=20)  # XLA compiles for each shape and exponent
WEIGHT = jnp.array([1.0, 2.0, 0.5, 3.0, 0.25])


@st.composite
def batches(draw):
    space = draw(spaces(most=12))
    axes = draw(st.sampled_from([(), (7,), (2, 3)]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    logits = rng.standard_normal((*axes, space.n)).astype(np.float32)
    return space, logits, rng.integers(0, space.n, axes), rng.dirichlet(np.ones(space.n), axes).astype(np.float32)


@few
@given(batches(), exponents)
def test_rows_and_gradients_are_those_of_emd_with_logits(batch, rho):
    space, logits, classes, _ = batch
    values, grads = fe.emd_with_logits(logits, classes, space, rho=rho)
    np.testing.assert_array_equal(emd_loss(logits, classes, space, rho=rho, reduction="none"), values)
    grad = jax.grad(lambda z: emd_loss(z, classes, space, rho=rho, reduction="sum"))(jnp.asarray(logits))
    np.testing.assert_array_equal(grad, grads)


@few
@given(batches(), exponents, st.sampled_from([0.0, 0.125]))
def test_soft_targets_and_smoothing_give_the_values_of_the_reference(batch, rho, smoothing):
    space, logits, classes, soft = batch
    p = np.asarray(jax.nn.softmax(logits))
    for target, plain in ((soft, soft), (classes, np.eye(space.n)[classes])):
        plain = plain * (1 - smoothing) + smoothing / space.n
        expected = reference.emd(p.astype(np.float64), plain.astype(np.float64), space, rho=rho, mass="normalize")
        options = {"rho": rho, "reduction": "none", "label_smoothing": smoothing}
        within = value_slack(space, 1.0, rho) * np.finfo(np.float32).eps / np.finfo(np.float64).eps
        near(emd_loss(logits, target, space, **options), expected, within)
        near(emd_loss(p, target, space, from_logits=False, **options), expected, within)


@pytest.mark.parametrize("space", FIVE, ids=lambda space: space.kind)
@pytest.mark.parametrize("rho", [1, 2, 3])
def test_gradients_are_those_of_finite_differences(space, rho):
    with jax.enable_x64(True):
        z, t = jnp.asarray(Z, jnp.float64), jnp.asarray(Z[::-1], jnp.float64)
        check_grads(lambda z: emd_loss(z, Y, space, rho=rho, weight=WEIGHT), (z,), order=1, modes=["rev"])
        check_grads(
            lambda z, t, w: emd_loss(z, jax.nn.softmax(t), space, rho=rho, label_smoothing=0.1, weight=w),
            (z, t, jnp.asarray(WEIGHT, jnp.float64)),
            order=1,
            modes=["rev"],
        )


@pytest.mark.parametrize("space", FIVE, ids=lambda space: space.kind)
def test_jit_and_vmap_answer_the_same(space):
    both = jax.value_and_grad(lambda z, y: emd_loss(z, y, space))
    value, grad = both(Z, Y)
    for x, y in zip(jax.jit(both)(Z, Y), (value, grad), strict=True):
        np.testing.assert_allclose(x, y, rtol=8 * np.finfo(np.float32).eps)
    rows, grads = jax.jit(jax.vmap(both))(Z, Y)
    for i in range(3):
        alone, grad_alone = both(Z[i], Y[i])
        np.testing.assert_array_equal(rows[i], alone)
        np.testing.assert_array_equal(grads[i], grad_alone)
    mapped = jax.vmap(lambda y: emd_loss(Z, y, space, reduction="none"))(jnp.stack([Y, Y[::-1]]))
    np.testing.assert_array_equal(mapped[1], emd_loss(Z, Y[::-1], space, reduction="none"))


def test_ignored_rows_do_not_count_and_get_no_gradient():
    y = Y.at[1].set(-100)
    value, grad = jax.value_and_grad(lambda z: emd_loss(z, y, TREE, weight=WEIGHT))(Z)
    kept = jnp.array([0, 2])
    np.testing.assert_allclose(
        value, emd_loss(Z[kept], Y[kept], TREE, weight=WEIGHT), rtol=8 * np.finfo(np.float32).eps
    )
    assert (grad[1] == 0).all() and (grad[kept] != 0).any(axis=1).all()


def test_all_ignored_is_nan_without_gradient():
    value, grad = jax.value_and_grad(lambda z: emd_loss(z, 0 * Y - 100, TREE))(Z)
    assert jnp.isnan(value) and (grad == 0).all()


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_narrow_floats_come_back_as_they_came(dtype):
    value, grad = jax.value_and_grad(lambda z: emd_loss(z, Y, TREE))(Z.astype(dtype))
    assert value.dtype == grad.dtype == dtype
    np.testing.assert_allclose(value.astype(jnp.float32), emd_loss(Z, Y, TREE), rtol=4 * float(jnp.finfo(dtype).eps))


@pytest.mark.parametrize("space", FIVE, ids=lambda space: space.kind)
@pytest.mark.parametrize("rho", [1, 1.5, 2, 3])
def test_forward_mode_is_the_gradient_along_a_direction(space, rho):
    soft = jax.nn.softmax(Z[::-1])
    loss = functools.partial(emd_loss, space=space, rho=rho, label_smoothing=0.1)
    along = jnp.sin(Z), jnp.cos(Z)
    gradients = jax.grad(loss, (0, 1))(Z, soft)
    slope = sum((g * t).sum() for g, t in zip(gradients, along, strict=True))
    value, tangent = jax.jit(lambda *x: jax.jvp(loss, x, along))(Z, soft)
    scale = value_slack(space, 1.0, rho) * np.finfo(np.float32).eps / np.finfo(np.float64).eps
    near(value, loss(Z, soft), scale)
    near(tangent, slope, 100 * scale)
    for one, other in zip(jax.jacfwd(loss, (0, 1))(Z, soft), gradients, strict=True):
        near(one, other, 100 * scale)


@pytest.mark.parametrize("space", FIVE, ids=lambda space: space.kind)
@pytest.mark.parametrize("rho", [2, 2.5, 3])
@pytest.mark.parametrize("soft", [False, True])
def test_second_derivatives_are_those_of_torch_in_every_nesting_of_modes(space, rho, soft):
    target = np.array(jax.nn.softmax(Z[::-1])) if soft else np.array(Y, np.int64)
    loss = functools.partial(emd_loss, space=space, rho=rho)
    expected = torch.autograd.functional.hessian(
        lambda z: torch_loss(z, torch.from_numpy(target), space, rho=rho), torch.from_numpy(np.array(Z))
    )
    scale = value_slack(space, 1.0, rho) * np.finfo(np.float32).eps / np.finfo(np.float64).eps
    for outer in (jax.jacfwd, jax.jacrev):
        for inner in (jax.jacfwd, jax.jacrev):
            near(jax.jit(outer(inner(loss)))(Z, jnp.asarray(target)), expected.numpy(), 100 * scale)


def test_second_derivatives_below_two_are_refused():
    for rho in (1, 1.5):
        with pytest.raises(ValueError, match=r"has no second derivative.*rho of at least 2"):
            jax.hessian(lambda z, rho=rho: emd_loss(z, Y, TREE, rho=rho))(Z)


def test_bad_rows_are_nan_and_raise_under_check():
    rows = emd_loss(Z, Y + 2, TREE, reduction="none")
    assert jnp.isnan(rows).tolist() == [True, False, False]
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"target\[0\] \(row 0\) is class 6"):
        jax.block_until_ready(emd_loss(Z, Y + 2, TREE, check=True))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: emd_loss(Z, Y, 5), TypeError, "space is of type int"),
        (lambda: emd_loss(Z, Y, Chain(4)), ValueError, r"input has shape \(3, 5\). Needed: \(..., 4\)"),
        (lambda: emd_loss(Z, Y[:2], TREE), ValueError, r"target has shape \(2,\). Needed: \(3,\) for classes"),
        (lambda: emd_loss(Z, Z[:2], TREE), ValueError, r"target has shape \(2, 5\). Needed: \(3, 5\) for histograms"),
        (lambda: emd_loss(Y, Y, TREE), TypeError, "input has dtype int32. Needed: floats"),
        (lambda: emd_loss(Z, Y == 0, TREE), TypeError, "target has dtype bool. Needed: integers"),
        (lambda: emd_loss(Z, Y, TREE, weight=WEIGHT[:4]), ValueError, r"weight has shape \(4,\). Needed: \(5,\)"),
        (lambda: emd_loss(Z, Y, TREE, reduction="average"), ValueError, "reduction is 'average'"),
        (lambda: emd_loss(Z, Y, TREE, label_smoothing=2.0), ValueError, "label_smoothing is 2.0"),
        (lambda: emd_loss(Z, Y, TREE, rho=0.5), ValueError, "rho is 0.5"),
    ],
)
def test_bad_input_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


class GpuBuffer(InterfaceArray):
    """jax.experimental.buffer_callback.Buffer on a GPU, whose interface names no stream."""

    dtype = property(lambda self: self.memory.dtype)

    def __dlpack_device__(self):
        return dlpack.CUDA, 0


@pytest.mark.skipif(not obstacle(), reason="numba simulates a device only where there is none")
@pytest.mark.parametrize("soft", [False, True])
def test_buffers_on_a_gpu_are_read_and_written_on_the_stream_of_xla(soft, monkeypatch):
    seen = []
    solve = adapter.solve

    def observed(problem, kernel, out, *flags, values):
        seen.append([x.stream for x in (problem.a, problem.b, out.array, values)])
        return solve(problem, kernel, out, *flags, values=values)

    monkeypatch.setattr(adapter, "solve", observed)
    space = Tree(TREE.parent, TREE.lengths, bins=TREE.bins)  # its arrays lie on a device of this test only
    p = np.array(jax.nn.softmax(Z))
    x, target = (p, p[::-1].copy()) if soft else (np.array(Z), np.array(Y))
    values, grad = np.full(3, 77, np.float32), np.full((3, 5), 77, np.float32)
    with installed(monkeypatch):
        install(monkeypatch)
        buffers = [GpuBuffer(memory) for memory in (values, grad, x, target)]
        context = type("Context", (), {"stream": 5})
        adapter._answer(adapter._RowCost(space, 2.0, False, 0.0), context, tuple(buffers[:2]), *buffers[2:])
    assert seen == [[5, 5, 5, 5]]
    expected, gradient = (fe.emd_value_and_grad if soft else fe.emd_with_logits)(x, target, TREE, rho=2)
    eps = np.finfo(np.float32).eps / np.finfo(np.float64).eps
    near(values, expected, value_slack(TREE, 1.0, 2) * eps)
    near(grad, gradient, value_slack(TREE, 1.0, 2) * eps)


@pytest.mark.gpu
def test_loss_on_a_gpu_is_that_on_the_cpu():
    if obstacle() or "cuda" not in jax.default_backend():
        pytest.skip(f"needs a GPU that jax knows: {obstacle() or 'jax has no CUDA backend here'}")
    both = jax.jit(jax.value_and_grad(lambda z: emd_loss(z, Y, TREE)))
    value, grad = both(Z)
    expected, rows = fe.emd_with_logits(np.asarray(Z), np.asarray(Y), TREE, rho=2)
    eps = np.finfo(np.float32).eps / np.finfo(np.float64).eps
    near(np.asarray(value), expected.mean(), value_slack(TREE, 1.0, 2) * eps)
    near(np.asarray(grad), rows / len(rows), value_slack(TREE, 1.0, 2) * eps)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("options", [{"label_smoothing": 0.1}, {"from_logits": False}, {}], ids=str)
@pytest.mark.parametrize("soft", [False, True])
def test_loss_in_16_bits_is_that_of_the_same_numbers_in_32(dtype, options, soft):
    p = jax.nn.softmax(jnp.asarray(Z), axis=-1)
    input = (jnp.asarray(Z) if options.get("from_logits", True) else p).astype(dtype)
    target = p[::-1].astype(dtype) if soft else jnp.asarray(Y)

    def whole(x):
        x = x.astype(jnp.float32)
        return x / x.sum(-1, keepdims=True)

    wide = input.astype(jnp.float32) if options.get("from_logits", True) else whole(input)
    expected = emd_loss(wide, whole(target) if soft else target, TREE, **options)
    found, gradient = jax.value_and_grad(lambda z: emd_loss(z, target, TREE, **options))(input)
    assert found.dtype == dtype
    assert np.isfinite(np.asarray(gradient, np.float32)).all()
    eps = float(jnp.finfo(dtype).eps) / np.finfo(np.float64).eps
    near(np.float64(found), np.float64(expected), value_slack(TREE, 1.0, 2) * eps)

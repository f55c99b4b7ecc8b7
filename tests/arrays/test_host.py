"""Arrays of other libraries in host memory: they are read where they lie, and answers are of their kind."""

import subprocess
import sys

import array_api_strict
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fastemd as fe
from fastemd import Chain, Ring, Tree
from fastemd.arrays import host, inputs
from tests.support.errors import rejects
from tests.support.tolerance import tolerance

SPACES = [Chain(5), Ring(5), Tree([-1, 0, 0, 1, 1], np.ones(5))]
LIBRARIES = {
    "torch": (torch.from_numpy, torch.Tensor),
    "jax": (jnp.asarray, jax.Array),
    "array api": (array_api_strict.from_dlpack, type(array_api_strict.zeros(1))),
}
FLOATS = [np.float16, np.float32, np.float64]


def pairs(seed, rows=(3,), dtype=np.float32):
    rng = np.random.default_rng(seed)
    return (rng.dirichlet(np.ones(5), rows).astype(dtype) for _ in range(2))


def close(x, y, dtype=np.float32):
    np.testing.assert_allclose(np.asarray(x, np.float64), y, atol=tolerance(dtype, 5, 1, 10), rtol=0)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("space", SPACES, ids=repr)
@pytest.mark.parametrize("rows", [(), (3,), (2, 3)], ids=str)
def test_every_function_answers_in_the_callers_library(library, space, rows):
    make, kind = LIBRARIES[library]
    a, b = pairs(0, rows)
    x, y = make(np.asarray(a)), make(np.asarray(b))

    def same(found, expected):
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            assert isinstance(one, kind)
            assert tuple(one.shape) == other.shape
            assert str(one.dtype).rpartition(".")[2] == other.dtype.name
            np.testing.assert_array_equal(np.asarray(one), other)

    same(fe.emd(x, y, space), fe.emd(a, b, space))
    for wrt in ("a", "b", "both", "length"):
        same(
            fe.emd_value_and_grad(x, y, space, rho=2, wrt=wrt, mass="normalize"),
            fe.emd_value_and_grad(a, b, space, rho=2, wrt=wrt, mass="normalize"),
        )
    same(fe.flow(x, y, space), fe.flow(a, b, space))
    same(fe.potential(x, y, space), fe.potential(a, b, space))
    same(fe.emd_with_logits(x, y, space), fe.emd_with_logits(a, b, space))
    assert fe.check(x, y, space) is None
    assert type(fe.plan(x, y, space)) is type(fe.plan(a, b, space))


@pytest.mark.parametrize("library", LIBRARIES)
def test_sinkhorn_answers_in_the_callers_library(library):
    make, kind = LIBRARIES[library]
    a, b = pairs(1)
    cost = Chain(5).cost_matrix().astype(np.float32)
    for costs in (Chain(5), make(cost)):
        found = fe.sinkhorn(make(a), make(b), costs, reg=1.0, plan=True)
        expected = fe.sinkhorn(a, b, Chain(5) if costs is SPACES[0] else cost, reg=1.0, plan=True)
        for one in (*found.potentials, found.value, found.regularised_value, found.grad_a, found.grad_b, found.plan):
            assert isinstance(one, kind)
        assert isinstance(found.n_iter, kind)
        assert isinstance(found.converged, kind)
        close(found.value, expected.value)
        fe.sinkhorn(make(a), make(b), costs, reg=1.0, potentials=found.potentials)
    assert isinstance(fe.sinkhorn_divergence(make(a), make(b), Chain(5), reg=1.0).grad_a, kind)


@pytest.mark.parametrize("library", LIBRARIES)
def test_memory_is_shared(library):
    make, _ = LIBRARIES[library]
    a, _ = pairs(2)
    x = make(a)
    first, second = inputs.as_array(x, "a"), inputs.as_array(x, "a")
    assert np.shares_memory(first, second)


def test_the_first_library_decides_and_a_list_or_numpy_array_does_not():
    a, b = pairs(3)
    tensor, array = torch.from_numpy(a), jnp.asarray(b)
    assert isinstance(fe.emd(tensor, array, Chain(5)), torch.Tensor)
    assert isinstance(fe.emd(array, tensor, Chain(5)), jax.Array)
    assert isinstance(fe.emd(a.tolist(), tensor.double(), Chain(5)), torch.Tensor)
    assert isinstance(fe.emd(b, tensor, Chain(5)), torch.Tensor)
    assert type(fe.emd(a.tolist(), b.astype(np.float64), Chain(5), mass="normalize")) is np.ndarray


def test_out_may_be_a_tensor_and_is_returned():
    a, b = map(torch.from_numpy, pairs(4))
    out = torch.full((3, 5), 7.0)
    grad = fe.emd_value_and_grad(a, b, Chain(5), out=out)[1]
    assert grad is out
    np.testing.assert_array_equal(out, fe.potential(a.numpy(), b.numpy(), Chain(5)))
    pair = torch.full((3, 5), 7.0), np.full((3, 5), 7.0, np.float32)
    grads = fe.emd_value_and_grad(a, b, Chain(5), wrt="both", out=pair)[1]
    assert grads[0] is pair[0]
    assert grads[1] is pair[1]
    np.testing.assert_array_equal(-pair[0].numpy(), pair[1])
    assert fe.flow(a, b, Chain(5), out=(flow := torch.empty(3, 4))) is flow


def test_what_out_cannot_be():
    a, b = pairs(5)
    rejects(TypeError, lambda: fe.flow(a, b, Ring(5), out=jnp.zeros((3, 5))), "out is a jax array", "take the answer")
    rejects(TypeError, lambda: fe.flow(a, b, Ring(5), out=[[0.0] * 5] * 3), "out is of type list", "numpy array")
    rejects(TypeError, lambda: fe.flow(a, b, Ring(5), out=torch.zeros(3, 5, dtype=torch.float64)), "dtype float64")
    x = torch.from_numpy(a)
    rejects(ValueError, lambda: fe.flow(x, b, Ring(5), out=x), "out overlaps a")


def test_tensors_that_cannot_be_read_are_refused_with_a_mend_that_works():
    a, b = map(torch.from_numpy, pairs(6))
    grad = a.clone().requires_grad_()
    rejects(TypeError, lambda: fe.emd(grad, b, Chain(5)), "requires grad", "a.detach()", "fastemd.torch.emd_loss")
    assert fe.emd(grad.detach(), b, Chain(5)).shape == (3,)
    rejects(TypeError, lambda: fe.emd(a.to_sparse(), b, Chain(5)), "layout torch.sparse_coo", "a.to_dense()")
    rejects(TypeError, lambda: fe.emd(a.to("meta"), b, Chain(5)), "meta device", "torch.rand(a.shape)")
    rejects(ValueError, lambda: fe.emd([*grad], b, Chain(5)), "requires grad", "torch.stack(a).detach()")
    assert fe.emd(torch.stack([*grad]).detach(), b, Chain(5)).shape == (3,)
    rejects(TypeError, lambda: fe.emd(a.to(torch.complex64), b, Chain(5)), "complex64", "a.real")
    rejects(TypeError, lambda: torch.func.vmap(lambda x: fe.emd(x, b[0], Chain(5)))(a), "fastemd.torch.emd_loss")
    assert torch.equal(fe.emd(torch._neg_view(-a), b, Chain(5)), fe.emd(a, b, Chain(5)))


def test_traced_arrays_of_jax_are_refused():
    a, b = map(jnp.asarray, pairs(7))
    rejects(TypeError, lambda: jax.jit(lambda x: fe.emd(x, b, Chain(5)))(a), "traced by jax", "fastemd.jax.emd_loss")
    rejects(TypeError, lambda: jax.grad(lambda x: fe.emd(x, b, Chain(5)).sum())(a), "traced by jax")


@pytest.mark.parametrize("bad", [None, {"bins": 1}, {1.0, 2.0}, object()], ids=["none", "dict", "set", "object"])
def test_what_is_no_array_is_refused(bad):
    rejects(TypeError, lambda: fe.emd(bad, [1.0, 0.0], Chain(2)), "a is of type " + type(bad).__name__, "list")


# --- dtypes ---------------------------------------------------------------------------------------------------------


@given(
    st.sampled_from([np.bool_, np.int8, np.int64, np.uint16, *FLOATS]),
    st.sampled_from([np.bool_, np.int8, np.int64, np.uint16, *FLOATS]),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_dtypes_that_differ_are_promoted_as_numpy_does(one, other, i, j):
    a, b = np.eye(5, dtype=one)[i], np.eye(5, dtype=other)[j]
    found = fe.emd(a, b, Chain(5))
    common = np.result_type(one, other)
    assert found.dtype == (common if common.kind == "f" else np.float64)
    assert found == abs(i - j)
    grad = fe.emd_value_and_grad(np.stack([a, a]), b, Ring(5), rho=2)[1]
    assert grad.dtype == found.dtype
    np.testing.assert_array_equal(grad[0], fe.potential(a.astype(found.dtype), b.astype(found.dtype), Ring(5), rho=2))


def test_lists_of_integers_floats_and_bools_go_together():
    assert fe.emd([1, 0, 0], [0.0, 0.5, 0.5], Chain(3)) == 1.5
    assert fe.emd([True, False], [0, 1], Chain(2)) == 1.0
    assert fe.emd(np.float32([0, 1]), [True, False], Chain(2)).dtype == np.float32


def test_masses_are_judged_by_the_coarser_dtype():
    a = np.array([1 / 3, 1 / 3, 1 / 3]).astype(np.float16)
    b = np.array([0.0, 0.0, 1.0])
    assert abs(float(a.sum(dtype=np.float64)) - 1) > inputs.tolerance(b.dtype, b.dtype, 3)
    assert np.isfinite(fe.emd(a, b, Chain(3)))
    assert np.isfinite(fe.emd_with_logits(np.zeros(3), a, Chain(3))[0])


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize("n", [2, 8, 100, 5000])
def test_rows_that_were_rounded_to_16_bits_have_equal_masses_and_others_have_not(dtype, n):
    rng = np.random.default_rng(n)
    for alpha in (0.05, 1.0, 50.0):
        a, b = (rng.dirichlet(np.full(n, alpha), 50).astype(dtype) for _ in range(2))
        assert np.isfinite(fe.emd(a, b, Chain(n)).astype(np.float64)).all()
    made = np.asarray(rng.random((50, n)), dtype)
    made = (made / made.astype(np.float32).sum(-1, keepdims=True).astype(dtype)).astype(dtype)
    assert np.isfinite(fe.emd(made, made[::-1], Chain(n)).astype(np.float64)).all()


def test_float16_masses_that_differ_by_three_percent_are_refused_both_ways():
    a, b = np.zeros(8, np.float16), np.zeros(8, np.float16)
    a[0], b[7] = 1, 0.97
    for x, y in ((a, b), (b, a), (a[::-1], b[::-1]), (b[::-1], a[::-1])):
        rejects(ValueError, lambda x=x, y=y: fe.emd(x, y, Chain(8)), "Needed: equal masses")


def test_bfloat16_of_ml_dtypes_and_torch():
    a, b = pairs(8)
    x, y = a.astype(ml_dtypes.bfloat16), b.astype(ml_dtypes.bfloat16)
    exact = fe.emd(x.astype(np.float32), y.astype(np.float32), Chain(5), mass="normalize")
    found = fe.emd(x, y, Chain(5), mass="normalize")
    assert found.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(found, exact.astype(ml_dtypes.bfloat16))
    tensors = torch.from_numpy(a).bfloat16(), torch.from_numpy(b).bfloat16()
    answer = fe.emd(*tensors, Chain(5), mass="normalize")
    assert answer.dtype == torch.bfloat16
    np.testing.assert_array_equal(answer.float(), found.astype(np.float32))
    assert fe.emd(jnp.asarray(x), jnp.asarray(y), Chain(5)).dtype == jnp.bfloat16
    assert fe.emd(x, b, Chain(5)).dtype == np.float32
    assert fe.emd(x, b.astype(np.float16), Chain(5)).dtype == np.float32
    assert fe.sinkhorn(x, y, Chain(5), reg=1.0).grad_a.dtype == ml_dtypes.bfloat16
    x[1, 2] = np.nan
    rejects(ValueError, lambda: fe.emd(x, y, Chain(5)), "a[1, 2] is nan")


def test_without_ml_dtypes_bfloat16_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    x = torch.ones(2, dtype=torch.bfloat16)
    rejects(TypeError, lambda: fe.emd(x, x, Chain(2)), "ml_dtypes", "a.float()")


def test_the_narrower_of_two_dtypes_is_never_copied_whole():
    code = """
import resource, numpy as np, fastemd as fe
fe.set_num_threads(1)
a, b = np.ones((2000, 5000), np.float16), np.ones((1, 5000))
fe.emd(a[:8], b, fe.Chain(5000))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fe.emd(a, b, fe.Chain(5000))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    grown = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert grown * 1024 < 2000 * 5000 * 2  # kibibytes; a float64 copy of `a` would take four times that


# --- numpy's subclasses, libraries by their bases ----------------------------------------------------------


class Plain(np.ndarray):
    pass


class Units(np.ndarray):
    def __array_ufunc__(self, *_, **__):
        raise AssertionError("arithmetic has a meaning of its own here")


def test_subclasses_come_back_unless_their_arithmetic_is_their_own(tmp_path):
    a, b = pairs(9)
    expected = fe.emd(a, b, Chain(5))
    found = fe.emd(a.view(Plain), b, Chain(5))
    assert type(found) is Plain
    np.testing.assert_array_equal(found, expected)
    assert type(fe.potential(a.view(Plain), b, Chain(5))) is Plain
    assert np.ndim(fe.emd(a[0].view(Plain), b[0], Chain(5))) == 0
    assert type(fe.emd(a.view(Units), b.view(Units), Chain(5))) is np.ndarray
    stored = np.memmap(tmp_path / "rows", a.dtype, "w+", shape=a.shape)
    stored[:] = a
    assert type(fe.emd(stored, b, Chain(5))) is np.ndarray
    assert np.shares_memory(inputs.as_array(stored, "a"), stored)
    rejects(TypeError, lambda: fe.emd(np.ma.masked_less(a, 0.5), b, Chain(5)), "masked array", "filled(0)")


def test_a_library_is_known_by_the_bases_of_a_class():
    class Mine(torch.Tensor):
        pass

    a, b = pairs(10)
    assert host.package_of(torch.from_numpy(a).as_subclass(Mine)) == "torch"
    assert isinstance(fe.emd(torch.from_numpy(a).as_subclass(Mine), b, Chain(5)), torch.Tensor)


def test_torch_and_jax_load_on_first_use():
    code = """
import sys, fastemd as fe
assert "torch" not in sys.modules and "jax" not in sys.modules
fe.torch.EMDLoss(fe.Chain(3)); fe.jax.emd_loss
assert "torch" in dir(fe) and "jax" in dir(fe)
"""
    subprocess.run([sys.executable, "-c", code], check=True)

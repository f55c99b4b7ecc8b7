"""What only a CUDA device can show of Sinkhorn: large sizes, streams, graphs, real libraries, the same bits again."""

import numpy as np
import pytest

import fastemd as fe
from tests.support.devices import caterpillar
from tests.support.gpu import obstacle
from tests.support.sinkhorn_problems import AGREED

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(bool(obstacle()), reason=f"needs a CUDA device: {obstacle()}"),
]


def rows_of(rows, n, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random((2, rows, n)) + 0.01
    return (x / x.sum(axis=-1, keepdims=True)).astype(dtype)


def squared(n, seed=1):
    points = np.random.default_rng(seed).random((n, 2))
    return ((points[:, None] - points) ** 2).sum(axis=-1) / 2


def on(torch, *arrays):
    return tuple(torch.from_numpy(x).cuda() for x in arrays)


@pytest.mark.parametrize(("dtype", "atol"), [("float32", 2e-5), ("float64", AGREED)])
@pytest.mark.parametrize("method", ["scaling", "log"])
def test_batch_on_a_matrix_is_answered_as_on_the_cpu(torch, dtype, atol, method):
    a, b = rows_of(1024, 1000, dtype)
    options = {"reg": 0.05, "method": method, "mass": "normalize"}
    found = fe.sinkhorn(*on(torch, a, b), squared(1000), **options)
    expected = fe.sinkhorn(a[:8], b[:8], squared(1000), **options)
    assert found.converged.all().item()
    for name in ("value", "regularised_value", "grad_a", "grad_b"):
        np.testing.assert_allclose(getattr(found, name)[:8].cpu().numpy(), getattr(expected, name), rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exponentials_of_a_cost_far_above_reg_are_answered_as_on_the_cpu(torch, dtype):
    a, b = rows_of(40, 300, dtype)
    options = {"reg": 1e-3, "epsilon_scaling": True, "tol": 1e-4, "mass": "normalize"}
    found = fe.sinkhorn(*on(torch, a, b), squared(300), **options)
    expected = fe.sinkhorn(a, b, squared(300), **options)
    assert found.method == expected.method == "log"
    np.testing.assert_allclose(found.value.cpu().numpy(), expected.value, rtol=0, atol=2e-4)


SPACES = {
    "a chain of a million bins": (lambda: fe.Chain(1_000_000), 2, 50_000.0),
    "a ring of a hundred thousand bins": (lambda: fe.Ring(100_000), 3, 5_000.0),
    "ImageNet-21k": (lambda: fe.Tree.imagenet("21k"), 16, 2.0),
    "a caterpillar": (lambda: caterpillar(20_000), 4, 2_000.0),
    "a star": (lambda: fe.Tree([-1] + [0] * 50_000, [0.0] + [1.0] * 50_000), 4, 1.0),
    "many rows": (lambda: fe.Chain(4), 3_000_000, 1.0),
}


@pytest.mark.filterwarnings("ignore::fastemd.SinkhornWarning")
@pytest.mark.parametrize("case", SPACES)
def test_large_spaces_and_batches_are_answered_as_on_the_cpu(torch, case):
    make, rows, reg = SPACES[case]
    space = make()
    a, b = rows_of(rows, space.n)
    some = np.unique([0, rows // 2, rows - 1])
    options = {"reg": reg, "max_iter": 2, "mass": "normalize"}
    found = fe.sinkhorn(*on(torch, a, b), space, **options)
    expected = fe.sinkhorn(a[some], b[some], space, **options)
    scale = abs(expected.value).max()
    np.testing.assert_allclose(found.value.cpu().numpy()[some], expected.value, rtol=0, atol=1e-8 * scale)
    scale = abs(expected.grad_a).max()
    np.testing.assert_allclose(found.grad_a.cpu().numpy()[some], expected.grad_a, rtol=0, atol=1e-8 * scale)


@pytest.mark.parametrize(
    "make", [lambda: squared(100), lambda: fe.Chain(100), lambda: fe.Ring(100), lambda: fe.Tree.imagenet("1k")]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_run_and_batch_gives_the_same_bits(torch, make, dtype):
    cost = make()
    n = cost.n if isinstance(cost, fe.Chain | fe.Ring | fe.Tree) else 100
    x, y = on(torch, *rows_of(77, n, dtype))
    options = {"reg": 0.1 if n == 100 and not isinstance(cost, fe.Chain | fe.Ring) else 5.0, "mass": "normalize"}
    options |= {"tol": 1e-3, "check": False, "max_iter": 60}
    whole = fe.sinkhorn(x, y, cost, **options)
    for again in (fe.sinkhorn(x, y, cost, **options), fe.sinkhorn(x[7:30], y[7:30], cost, **options)):
        part = slice(None) if len(again.value) == 77 else slice(7, 30)
        for name in ("value", "regularised_value", "grad_a", "grad_b", "n_iter", "marginal_error"):
            assert torch.equal(getattr(again, name), getattr(whole, name)[part])


def test_nothing_waits_for_the_device_without_check(torch):
    space, side = fe.Chain(200), torch.cuda.Stream()
    a, b = rows_of(64, 200, np.float32)
    x, y = on(torch, a, b)
    fe.sinkhorn(x, y, space, reg=20.0, check=False, mass="normalize")
    torch.cuda.synchronize()
    with torch.cuda.stream(side):
        torch.cuda._sleep(500_000_000)
        found = fe.sinkhorn(x, y, space, reg=20.0, check=False, mass="normalize", max_iter=500)
        assert not side.query()
    side.synchronize()
    np.testing.assert_allclose(
        found.value.cpu().numpy(), fe.sinkhorn(a, b, space, reg=20.0, mass="normalize").value, rtol=1e-4
    )


def test_torch_captures_a_graph_on_a_space_after_one_call(torch):
    space = fe.Tree.imagenet("1k")
    a, b = rows_of(16, space.n, np.float32)
    x, y = on(torch, a, b)
    options = {"reg": 2.0, "check": False, "mass": "normalize", "max_iter": 100, "tol": 1e-5}
    fe.sinkhorn(x, y, space, **options)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = fe.sinkhorn(x, y, space, **options)
    x.copy_(torch.from_numpy(np.roll(a, 1, axis=1)))
    graph.replay()
    expected = fe.sinkhorn(np.roll(a, 1, axis=1), b, space, **options)
    np.testing.assert_allclose(found.value.cpu().numpy(), expected.value, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_answers_of_torch_tensors_are_tensors_beside_them(torch, dtype):
    kind = getattr(torch, dtype)
    a, b = (x.to(kind) for x in on(torch, *rows_of(5, 20)))
    found = fe.sinkhorn(a, b, torch.from_numpy(squared(20)).cuda(), reg=0.2, mass="normalize", plan=True)
    for x in (found.value, *found.potentials, found.plan, found.grad_a):
        assert isinstance(x, torch.Tensor) and x.dtype == kind and x.device == a.device
    assert found.n_iter.dtype == torch.int64 and found.converged.dtype == torch.bool
    apart = fe.sinkhorn_divergence(a, a, squared(20), reg=0.2, mass="normalize")
    assert apart.value.abs().max().item() < 1e-5 and apart.converged.all().item()


def test_answers_of_cupy_arrays_are_cupy_arrays(cupy):
    a, b = rows_of(5, 20)
    found = fe.sinkhorn(cupy.asarray(a), cupy.asarray(b), cupy.asarray(squared(20)), reg=0.2, plan=True)
    assert all(isinstance(x, cupy.ndarray) for x in (found.value, found.plan, found.converged))
    np.testing.assert_allclose(found.value.get(), fe.sinkhorn(a, b, squared(20), reg=0.2).value, rtol=0, atol=AGREED)


def test_plans_of_many_rows_have_their_marginals(torch):
    a, b = rows_of(500, 200)
    found = fe.sinkhorn(*on(torch, a, b), squared(200), reg=0.1, plan=True)
    off = (found.plan.sum(2).cpu().numpy() - a, found.plan.sum(1).cpu().numpy() - b)
    error = sum(abs(x).sum(axis=1) for x in off)
    np.testing.assert_allclose(error, found.marginal_error.cpu().numpy(), rtol=0, atol=1e-11)

"""What only a CUDA device can show: large sizes, streams, graphs, memory that runs out, and real libraries."""

import numpy as np
import pytest

import fastemd as fe
from fastemd import reference
from fastemd.spaces import Chain, Ring, Tree
from tests.support.devices import caterpillar
from tests.support.gpu import obstacle
from tests.support.kernel_problems import near, potential_slack, total_mass, value_slack

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(bool(obstacle()), reason=f"needs a CUDA device: {obstacle()}"),
]


@pytest.fixture(scope="module")
def cuda():
    """The CUDA target of numba."""
    from fastemd.cuda.primitives.intrinsics import cuda

    return cuda


def rows_of(rows, n, dtype=np.float32, seed=0):
    a = np.random.default_rng(seed).integers(0, 9, (rows, n)).astype(dtype)
    return a, np.ascontiguousarray(a[:, ::-1])


def ternary(nodes):
    v = np.arange(nodes)
    return Tree(np.where(v, (v - 1) // 3, -1), np.ones(nodes))


LARGE = {
    "one row of ten million bins": (lambda: Chain(10_000_000), 1),
    "ten million rows": (lambda: Chain(4), 10_000_000),
    "a ring beyond shared memory": (lambda: Ring(100_000), 3),
    "ImageNet-21k": (lambda: Tree.imagenet("21k"), 64),
    "a caterpillar of a hundred thousand nodes": (lambda: caterpillar(100_000), 16),
    "a tree of a million nodes": (lambda: ternary(1_000_000), 2),
}


@pytest.mark.parametrize("case", LARGE)
@pytest.mark.parametrize("rho", [1, 2])
def test_large_spaces_and_batches_are_answered_as_on_the_cpu(cuda, case, rho):
    make, rows = LARGE[case]
    space = make()
    a, b = rows_of(rows, space.n)
    value, grad = fe.emd_value_and_grad(cuda.to_device(a), cuda.to_device(b), space, rho=rho)
    expected_value, expected = fe.emd_value_and_grad(a, b, space, rho=rho)
    near(value.copy_to_host(), expected_value.astype(float), 2 * value_slack(space, total_mass(a, b), rho))
    some = np.unique([0, rows // 2, rows - 1])
    slack = potential_slack(space, a[some], b[some], rho)
    near(grad.copy_to_host()[some], expected[some].astype(float), 2 * slack)


def test_more_than_two_to_the_31_entries_are_reached(torch):
    rows, n = 2**21 + 3, 1025
    if torch.cuda.mem_get_info()[0] < 24 * 2**30:
        pytest.skip("needs 24 GiB of free device memory")
    a = torch.zeros(rows, n, dtype=torch.float16, device="cuda")
    b = torch.zeros_like(a)
    a[:, 0] = 1
    b[:, 0] = 1
    a[-1, 0], a[-1, -1] = 0, 1
    value, grad = fe.emd_value_and_grad(a, b, Chain(n), rho=2)
    assert value[-1].item() == n - 1
    assert value[:-1].abs().max().item() == 0
    assert grad[-1, -1].item() > 0 > grad[-1, 0].item()


def test_answers_are_of_the_callers_library(torch):
    a, b = (torch.rand(7, 100, device="cuda") for _ in "ab")
    a, b = a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True)
    value, grad = fe.emd_value_and_grad(a, b, Chain(100))
    assert isinstance(value, torch.Tensor)
    assert grad.device == a.device
    expected = reference.emd_value_and_grad(a.cpu().numpy(), b.cpu().numpy(), Chain(100))[0]
    near(value.cpu().numpy(), expected, value_slack(Chain(100), 1.0, 1))


def test_answers_of_cupy_arrays_are_cupy_arrays(cupy):
    a, b = rows_of(7, 100)
    value, grad = fe.emd_value_and_grad(cupy.asarray(a), cupy.asarray(b), Ring(100))
    assert isinstance(value, cupy.ndarray)
    near(grad.get(), reference.emd_value_and_grad(a, b, Ring(100))[1], potential_slack(Ring(100), a, b, 1))


def test_work_is_queued_on_the_callers_stream_in_order(torch):
    side = torch.cuda.Stream()
    a, b = rows_of(4096, 1000)
    with torch.cuda.stream(side):
        x = torch.zeros(a.shape, device="cuda")
        torch.cuda._sleep(100_000_000)
        x.copy_(torch.from_numpy(a))
        value = fe.emd(x, torch.from_numpy(b).cuda(), Chain(1000), check=False)
        assert not side.query()  # nobody has waited
    side.synchronize()
    near(value.cpu().numpy(), reference.emd(a, b, Chain(1000)), value_slack(Chain(1000), total_mass(a, b), 1))


@pytest.mark.parametrize(
    "make", [lambda: Chain(1000), lambda: Ring(100), lambda: Tree.imagenet("1k"), lambda: Chain(200_000)]
)
def test_torch_captures_a_graph_after_one_call(torch, make):
    space = make()
    a, b = rows_of(64, space.n)
    x, y = torch.from_numpy(a).cuda(), torch.from_numpy(b).cuda()
    out = torch.empty_like(x)
    fe.emd_value_and_grad(x, y, space, out=out, check=False)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        value, _ = fe.emd_value_and_grad(x, y, space, out=out, check=False)
    x.copy_(torch.from_numpy(np.roll(a, 1, axis=1)))
    graph.replay()
    expected_value, expected = reference.emd_value_and_grad(np.roll(a, 1, axis=1), b, space)
    near(value.cpu().numpy(), expected_value, value_slack(space, total_mass(a, b), 1))
    near(out.cpu().numpy(), expected, potential_slack(space, np.roll(a, 1, axis=1), b, 1))


def test_memory_that_runs_out_is_named_and_the_next_call_works(torch):
    n = 1000
    rows = int(torch.cuda.mem_get_info()[0] * 0.9) // (4 * n) // 2
    x = torch.full((rows, n), 1.0 / n, device="cuda")
    with pytest.raises(MemoryError, match=rf"bytes \(.* GiB\) left for an array of shape \({rows}, {n}\), float32"):
        fe.emd_value_and_grad(x, x.expand(3, rows, n), Chain(n), check=False)
    few = x[:10]
    assert fe.emd(few, few, Chain(n)).abs().max().item() == 0


def test_every_run_gives_the_same_bits(torch):
    x, y = (torch.softmax(torch.randn(513, 21841, device="cuda"), dim=1) for _ in "xy")
    space = Tree.imagenet("21k")
    value, grad = fe.emd_value_and_grad(x, y, space, mass="normalize")
    for _ in range(5):
        again, grad_again = fe.emd_value_and_grad(x, y, space, mass="normalize")
        assert torch.equal(value, again)
        assert torch.equal(grad, grad_again)
    one, grad_one = fe.emd_value_and_grad(x[7], y[7], space, mass="normalize")
    assert torch.equal(one, value[7])
    assert torch.equal(grad_one, grad[7])


@pytest.mark.parametrize("make", [lambda: Chain(200_000), lambda: caterpillar(200_000)])
def test_long_row_has_the_same_bits_alone_and_among_many(torch, make):
    space = make()
    many = torch.cuda.get_device_properties(0).multi_processor_count + 1
    x, y = (torch.softmax(torch.randn(many, space.n, device="cuda"), dim=1) for _ in "xy")
    value, grad = fe.emd_value_and_grad(x, y, space, mass="normalize")
    one, grad_one = fe.emd_value_and_grad(x[3], y[3], space, mass="normalize")
    assert torch.equal(one, value[3])
    assert torch.equal(grad_one, grad[3])


def test_bfloat16_of_torch_is_read_and_answered(torch):
    x, y = (torch.softmax(torch.randn(33, 1000, device="cuda"), dim=1).bfloat16() for _ in "xy")
    value, grad = fe.emd_value_and_grad(x, y, Chain(1000), mass="normalize", rho=2)
    assert value.dtype == grad.dtype == torch.bfloat16
    a, b = x.double().cpu().numpy(), y.double().cpu().numpy()
    exact = reference.emd(a, b, Chain(1000), mass="normalize", rho=2)
    np.testing.assert_allclose(value.double().cpu().numpy(), exact, rtol=2.0**-8)

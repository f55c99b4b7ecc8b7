"""Multi-block kernels: the bits of a single block, the answers of the reference, the launches."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numba.cuda.simulator.kernel import FakeCUDAKernel

import fastemd as fe
from fastemd import reference
from fastemd.cuda.exact import launch
from fastemd.reference.values import softmax
from fastemd.spaces import Chain, Ring, Tree
from tests.support.fake_libraries import CupyArray, host, installed
from tests.support.gpu import obstacle
from tests.support.kernel_problems import (
    POLICIES,
    calls,
    exponents,
    gradient_scale,
    logit_calls,
    near,
    potential_slack,
    total_mass,
    value_slack,
)
from tests.support.simulator import COLUMNS, WARP, install

pytestmark = pytest.mark.skipif(not obstacle(), reason="numba simulates a device only where there is none")

BLOCK = 2 * WARP
TILE = COLUMNS * BLOCK


@pytest.fixture(scope="module")
def monkeypatch():
    """A patch for the module, since the simulated device stays while Hypothesis draws."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module", autouse=True)
def device(monkeypatch):
    """A device in the simulator, where a row of two tiles is long."""
    with installed(monkeypatch):
        install(monkeypatch)
        monkeypatch.setattr(launch, "BLOCK", BLOCK)
        monkeypatch.setattr(launch, "MULTIBLOCK_TILES", 2)
        yield


@pytest.fixture
def launches(monkeypatch):
    """The blocks of each launch."""
    blocks = []

    def configured(kernel, configuration, original=FakeCUDAKernel.__getitem__):
        blocks.append(configuration[0])
        return original(kernel, configuration)

    with monkeypatch.context() as patch:
        patch.setattr(FakeCUDAKernel, "__getitem__", configured)
        yield blocks


@pytest.fixture(autouse=True)
def multiblock(monkeypatch):
    """Several blocks to a row, for any number of rows."""
    with monkeypatch.context() as patch:
        patch.setattr(launch, "MULTIBLOCK_ROWS", 1000)
        yield


def on_device(x):
    return CupyArray(x) if isinstance(x, np.ndarray) else x


def call(name, *arguments, **options):
    """Return the answer of a public function on the device, as a flat tuple of numpy arrays."""
    answer = getattr(fe, name)(*map(on_device, arguments), **options)
    flat = []
    for part in answer if isinstance(answer, tuple) else (answer,):
        flat += [host(x) for x in (part if isinstance(part, tuple) else (part,))]
    return tuple(flat)


def single_block(monkeypatch, *arguments, **options):
    """Return the same, with one block to a row."""
    with monkeypatch.context() as patch:
        patch.setattr(launch, "MULTIBLOCK_ROWS", 0)
        return call(*arguments, **options)


def same_bits(answer, expected):
    assert len(answer) == len(expected)
    for x, y in zip(answer, expected, strict=True):
        assert x.tobytes() == y.tobytes()


def masses(rows, n, seed=0):
    x = np.random.default_rng(seed).random((rows, n)) * np.random.default_rng(seed + 1).integers(0, 2, (rows, n))
    x[:, 0] += 0.5
    return x / x.sum(axis=-1, keepdims=True)


def ternary(n):
    v = np.arange(n)
    return Tree(np.where(v, (v - 1) // 3, -1), np.random.default_rng(n).random(n))


def leafy(n):
    """A path of inner nodes, each with a leaf; bins are the leaves, in any order."""
    v = np.arange(2 * n)
    bins = np.random.default_rng(n).permutation(v[1::2])
    return Tree(np.maximum(np.where(v % 2, v - 1, v - 2), -1), np.random.default_rng(n).random(2 * n), bins=bins)


SPACES = {
    "chain": lambda: Chain(positions=np.cumsum(np.random.default_rng(0).random(2 * TILE + 9))),
    "ternary tree": lambda: ternary(TILE + 15),
    "tree of leaves on a path": lambda: leafy(TILE + 3),
}
JOBS = {
    "value": ("emd", {}),
    "value, normalized": ("emd", {"mass": "normalize"}),
    "gradient for a": ("emd_value_and_grad", {}),
    "gradient for both, to the root, not centred": (
        "emd_value_and_grad",
        {"wrt": "both", "mass": "root", "centred": False},
    ),
    "gradient for a, normalized": ("emd_value_and_grad", {"mass": "normalize"}),
    "gradient for a, normalized, not centred": ("emd_value_and_grad", {"mass": "normalize", "centred": False}),
    "gradient for b, normalized, not centred": (
        "emd_value_and_grad",
        {"mass": "normalize", "centred": False, "wrt": "b"},
    ),
    "gradient for the lengths": ("emd_value_and_grad", {"wrt": "length"}),
    "potential": ("potential", {}),
    "flow": ("flow", {}),
    "logits, classes": ("emd_with_logits", {}),
    "logits, histograms normalized": ("emd_with_logits", {"mass": "normalize"}),
}


def problem(job, n, rows=1):
    """The arrays of a job."""
    a, b = masses(rows, n), masses(rows, n, 5)
    if job.startswith("logits"):
        return 9 * a, np.arange(rows) * 7 % n if "classes" in job else 3 * b
    return (3 * a, 7 * b) if "normalized" in job else (a, b)


@pytest.mark.parametrize(
    ("job", "rho"), [(job, rho) for job in JOBS for rho in (1, 2, 1.5) if rho == 1 or job != "flow"]
)
@pytest.mark.parametrize("make", SPACES)
def test_row_has_the_bits_of_a_single_block(make, job, rho, monkeypatch):
    space, (name, options) = SPACES[make](), JOBS[job]
    options = options if job == "flow" else {**options, "rho": rho}
    arrays = problem(job, space.n)
    same_bits(call(name, *arrays, space, **options), single_block(monkeypatch, name, *arrays, space, **options))


@pytest.mark.parametrize("dtype", ["float16", "float32", "int32"])
def test_row_of_any_dtype_has_the_bits_of_a_single_block(dtype, monkeypatch):
    rng = np.random.default_rng(3)
    a = rng.integers(0, 9, (2, SPACES["chain"]().n)).astype(dtype)
    arguments = ("emd_value_and_grad", a, rng.permuted(a, axis=-1), SPACES["chain"]())
    same_bits(call(*arguments, rho=1.5), single_block(monkeypatch, *arguments, rho=1.5))


@pytest.mark.parametrize(
    "shapes", [((2, 3), (3,)), ((2, 1, 2), (2, 1)), ((), (3,)), ((2, 1), (1, 2))], ids=lambda shapes: str(shapes)
)
def test_rows_that_broadcast_have_the_bits_of_a_single_block(shapes, monkeypatch):
    space = Chain(TILE + 5)
    a, b = (np.resize(masses(6, space.n, k), (*shape, space.n)) for k, shape in enumerate(shapes))
    arguments = ("emd_value_and_grad", a, b, space)
    same_bits(call(*arguments, rho=2), single_block(monkeypatch, *arguments, rho=2))


@pytest.mark.parametrize("make", SPACES)
def test_rows_with_strides_are_loaded_and_stored_in_place(make):
    space = SPACES[make]()
    a, b = masses(2, space.n), masses(2, space.n, 5)
    apart, across, out = np.zeros((4, 3 * space.n)), np.zeros((space.n, 2)), np.zeros((2, 2 * space.n))
    apart[::2, ::3], across[:] = a, b.T
    call("emd_value_and_grad", apart[::2, ::3], across.T, space, out=CupyArray(out[:, ::-2]))
    same_bits((out[:, ::-2].copy(),), call("emd_value_and_grad", a, b, space)[1:])
    assert not out[:, ::2].any()


@pytest.mark.parametrize("make", SPACES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, 5.0])
def test_bad_row_is_not_a_number_and_leaves_the_others_alone(make, bad):
    space = SPACES[make]()
    a, b = masses(3, space.n), masses(3, space.n, 5)
    expected = call("emd_value_and_grad", a, b, space)
    a[1, space.n - 2] = bad
    value, grad = call("emd_value_and_grad", a, b, space, check=False)
    assert np.isnan(value[1])
    assert np.isnan(grad[1]).all()
    same_bits((value[::2].copy(), grad[::2].copy()), [x[::2].copy() for x in expected])


@pytest.mark.parametrize("make", SPACES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_logits_are_not_a_number(make, bad):
    space = SPACES[make]()
    z, classes = problem("logits, classes", space.n, 3)
    z[1, 3] = bad
    classes[2] = space.n
    value, grad = call("emd_with_logits", z, classes, space, check=False)
    np.testing.assert_array_equal(np.isnan(value), [False, True, True])
    np.testing.assert_array_equal(np.isnan(grad).all(axis=-1), [False, True, True])
    assert not np.isnan(grad[0]).any()


few = settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
BATCHES = (((), ()), ((2,), (2,)), ((), (2,)))


@pytest.mark.parametrize("kind", [Chain, Tree])
@few
@given(data=st.data(), rho=exponents, wrt=st.sampled_from(["a", "b"]), centred=st.booleans())
def test_gradient_equals_the_reference(kind, data, rho, wrt, centred):
    space, a, b, mass = data.draw(calls(kind, batches=BATCHES, most=3 * TILE, policies=POLICIES))
    options = {"rho": rho, "wrt": wrt, "centred": centred, "mass": mass}
    value, grad = call("emd_value_and_grad", a, b, space, **options)
    expected_value, expected = reference.emd_value_and_grad(a, b, space, **options)
    near(value, expected_value, value_slack(space, total_mass(a, b, mass), rho))
    near(grad, expected, potential_slack(space, a, b, rho, mass) * gradient_scale(a, b, mass))


@few
@given(problem=logit_calls(True))
def test_logits_equal_the_reference(problem):
    space, logits, target = problem
    value, grad = call("emd_with_logits", logits, target, space, rho=2)
    expected_value, expected = reference.emd_with_logits(logits, target, space, rho=2)
    near(value, expected_value, value_slack(space, 1.0, 2))
    p = softmax(logits.astype(np.float64))
    near(grad, expected, 2 * p * potential_slack(space, p, target, 2, off=1e-12))


def test_row_of_forty_tiles_equals_the_reference_and_has_the_bits_of_a_single_block(launches, monkeypatch):
    space = Chain(40 * TILE - 3)
    a, b = masses(1, space.n), masses(1, space.n, 5)
    answer = call("emd_value_and_grad", a, b, space, rho=2)
    assert 40 in launches
    same_bits(answer, single_block(monkeypatch, "emd_value_and_grad", a, b, space, rho=2))
    near(answer[0], reference.emd(a, b, space, rho=2), value_slack(space, 1.0, 2))


LAUNCHES = {
    "value": (5, 6),
    "gradient for a": (5, 7),
    "gradient for a, normalized": (7, 9),
    "gradient for a, normalized, not centred": (9, 11),
    "flow": (5, 6),
    "logits, classes": (11, 13),
}


@pytest.mark.parametrize("job", LAUNCHES)
@pytest.mark.parametrize("kind", [0, 1], ids=["chain", "tree"])
def test_call_is_so_many_launches(job, kind, launches):
    space, (name, options) = SPACES["ternary tree" if kind else "chain"](), JOBS[job]
    call(name, *problem(job, space.n), space, **options)
    assert len(launches) == LAUNCHES[job][kind]


@pytest.mark.parametrize(
    ("space", "rows", "blocks"),
    [
        (Chain(TILE), 1, [1]),  # one tile
        (Ring(3 * TILE), 1, [1]),
        (Chain(3 * TILE), 3, [3]),  # enough rows
        (Chain(3 * TILE), 2, [6, 6, 6, 2, 2]),
    ],
    ids=["one tile", "ring", "enough rows", "few long rows"],
)
def test_only_a_few_long_rows_of_chains_and_trees_have_several_blocks(space, rows, blocks, launches, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(launch, "MULTIBLOCK_ROWS", 3)
        call("emd", masses(rows, space.n), masses(rows, space.n, 5), space)
    assert sorted(launches, reverse=True) == blocks


def test_row_of_31_tiles_has_one_block_on_a_real_device(launches, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(launch, "MULTIBLOCK_TILES", 32)
        call("emd", masses(1, 31 * TILE), masses(1, 31 * TILE, 5), Chain(31 * TILE))
    assert launches == [1]

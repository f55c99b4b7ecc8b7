"""What the proofs of the kernels share: calls with batches in every dtype, and how near the reference they come."""

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from fastemd.reference.flows import optimal_flow
from fastemd.spaces import Chain, Ring, Tree
from tests.support.strategies import chains, histogram_pair, rings, trees
from tests.support.tolerance import tolerance

POLICIES = ("equal", "normalize", "root")
FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int8", "uint8", "int32", "uint16", "int64", "uint64")

dtypes = st.sampled_from(FLOATS + FLOATS + INTEGERS)
exponents = st.one_of(st.sampled_from([1, 2]), st.sampled_from([1.0, 2.0, 1.5, 3]), st.floats(1.0, 4.0))

# Leading axes of a and of b: none, one row against many, either way round, and axes that cannot be merged into one.
BATCHES = (
    ((), ()),
    ((1,), ()),
    ((5,), ()),
    ((), (9,)),
    ((17,), (17,)),
    ((1,), (8,)),
    ((3, 1), (1, 4)),
    ((3, 1), (4,)),
    ((2, 3), (2, 3)),
    ((2, 1, 3), (4, 1)),
    ((2, 3), ()),
)
# The same of logits and of their target.
LOGIT_BATCHES = (
    ((), ()),
    ((1,), ()),
    ((11,), (11,)),
    ((), (9,)),
    ((3, 1), (1, 4)),
    ((2, 3), (3,)),
    ((2, 1, 3), (4, 1)),
)


def exact(space):
    """The space, a ring's lengths rounded to multiples of 2**-10.

    Which of two medians is the lower one hangs on whether a sum of lengths is half of their total; so that is to be
    known without rounding.
    """
    return Ring(lengths=np.round(space.lengths * 1024.0) / 1024.0) if isinstance(space, Ring) else space


def spaces(kind=None, most=40):
    """Spaces, or those of one kind, of up to `most` bins or nodes."""
    families = {Chain: chains(most), Ring: rings(most).map(exact), Tree: trees(most)}
    return st.one_of(*families.values()) if kind is None else families[kind]


@st.composite
def calls(draw, kind=None, dtype=None, batches=BATCHES, most=40, policies=("equal",)):
    """A space, arrays a and b whose leading axes broadcast, and a mass policy that their rows keep.

    Rows of one array are permutations of one histogram, so that any row of a may meet any row of b.
    """
    space = draw(spaces(kind, most))
    dtype = draw(dtypes) if dtype is None else dtype
    shapes = draw(st.sampled_from(batches))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    row_a, row_b = draw(histogram_pair(space.n, dtype))
    a, b = (
        rng.permuted(np.broadcast_to(row, (*shape, space.n)), axis=-1)
        for row, shape in zip((row_a, row_b), shapes, strict=True)
    )
    mass = draw(st.sampled_from([p for p in policies if p != "root" or not isinstance(space, Ring)]))
    if mass == "normalize":
        a, b = a * np.array(2, dtype), b * np.array(1, dtype)
    elif mass == "root":
        a = a * rng.integers(0, 3, a.shape).astype(dtype)
    return space, a, b, mass


@st.composite
def logit_calls(draw, soft):
    """A space, logits of a few sizes with some at -inf, and classes or histograms of mass 1."""
    space = draw(spaces())
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    shape, target_shape = draw(st.sampled_from(LOGIT_BATCHES))
    # Not a target that may be read as classes and as histograms: such are refused.
    assume(space.n == 1 or ((*target_shape, space.n) != shape if soft else target_shape[len(shape) :] != (space.n,)))
    dtype = draw(st.sampled_from(FLOATS))
    logits = draw(st.sampled_from([0.0, 1.0, 30.0, 4000.0])) * rng.standard_normal((*shape, space.n))
    if draw(st.booleans()):
        logits[..., 1:] = np.where(rng.random(logits[..., 1:].shape) < 0.3, -np.inf, logits[..., 1:])
    target = rng.integers(0, space.n, target_shape)
    if soft:
        smoothing = draw(st.sampled_from([0.0, 0.125, 1.0]))
        target = (1 - smoothing) * np.eye(space.n)[target] + smoothing * rng.dirichlet(np.ones(space.n), target_shape)
        target = target.astype(dtype)
    return space, logits.astype(dtype), target


def total_mass(a, b, mass="equal"):
    """The largest mass of a row, as it is compared."""
    if mass == "normalize":
        return 1.0
    return max((float(x.sum(axis=-1, dtype=np.float64).max()) for x in (a, b) if x.size), default=0.0)


def answer_dtype(a):
    """The dtype that an answer to `a` has."""
    return a.dtype if a.dtype.kind == "f" else np.dtype(np.float64)


def moved(space, mass, length=1.0):
    """The `tolerance` of a sum over the bins or edges of `space` in float64, which every kernel computes in."""
    return tolerance(np.float64, max(space.n, space.m), mass, length)


def value_slack(space, mass, rho):
    """How far two values may lie apart: the rounding of the flows, which the exponent magnifies `rho` times."""
    return rho * moved(space, mass**rho, float(space.lengths.sum()))


def compared(a, b, mass):
    """Rows as they are compared, in float64."""
    a, b = np.broadcast_arrays(a.astype(np.float64), b.astype(np.float64))
    if mass == "normalize":
        a, b = (x / x.sum(axis=-1, keepdims=True) for x in (a, b))
    return a, b


def potential_slack(space, a, b, rho, mass="equal", off=None):
    """How far two potentials may lie apart, (..., 1).

    Slopes grow with the flow; so between flows that differ by what rounding may do (`off`) they differ by at most the
    step between both ends of that interval. Where the flows are known without rounding, as those of whole numbers are,
    this is 0, and only sums round.
    """
    p, q = compared(a, b, mass)
    largest = total_mass(a, b, mass)
    phi = np.abs(optimal_flow(p - q, space, rho))
    if off is None:
        known = whole(a, b) and mass != "normalize" and (rho == 1 or not isinstance(space, Ring))
        off = 0.0 if known else moved(space, largest)

    def slope(x):
        return rho * space.lengths * np.abs(x) ** (rho - 1.0) * np.sign(x)

    steps = np.sum(slope(phi + off) - slope(phi - off), axis=-1, keepdims=True)
    return 2 * steps + rho * moved(space, largest ** (rho - 1.0), float(space.lengths.sum()))


def whole(*arrays):
    """Whether the numbers of all arrays are whole multiples of one power of two, and so few that sums are exact."""
    top = max(float(x.max()) for x in arrays)
    if top == 0.0:
        return True
    unit = 2.0 ** (np.floor(np.log2(top)) - 20)
    return all(np.array_equal(np.rint(x.astype(np.float64) / unit) * unit, x) for x in arrays)


def near(got, expected, within):
    """Assert that `got` is `expected`, off by no more than `within`, rounded once to the dtype that `got` has."""
    got, expected = np.asarray(got), np.asarray(expected)
    with np.errstate(over="ignore"):
        rounded = expected.astype(got.dtype)
    assert got.shape == rounded.shape
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    exact, answer = np.where(finite, expected, 0.0), np.where(finite, got, 0.0)
    once = tolerance(got.dtype, 1, np.abs(exact), 1.0, c=1) + float(np.finfo(got.dtype).smallest_subnormal)
    miss = np.abs(answer - exact) - once - within
    worst = np.argmax(miss) if miss.size else None
    assert worst is None or miss.flat[worst] <= 0.0, (
        f"{got.flat[worst]!r} instead of {expected.flat[worst]!r}, {miss.flat[worst]:.3g} more than is allowed"
    )


def sentinels(shape, dtype):
    """An array for `out=` that shows which cells nobody has written."""
    return np.full(shape, -77, dtype)


def gradient_scale(a, b, mass):
    """What the chain rule multiplies a potential by under "normalize": at most 1 / the smaller mass."""
    if mass != "normalize":
        return 1.0
    return 2.0 / min(x.sum(axis=-1, dtype=np.float64).min() for x in (a, b))

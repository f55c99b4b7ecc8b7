"""What a bad call of Sinkhorn's functions is told, and what is warned of."""

import warnings

import numpy as np
import pytest

import fastemd as fe
from tests.support.sinkhorn_problems import AGREED, rounding

A, B = np.array([0.5, 0.5, 0.0]), np.array([0.0, 0.5, 0.5])
COST = fe.Chain(3).cost_matrix()
BOTH = pytest.mark.parametrize("function", [fe.sinkhorn, fe.sinkhorn_divergence])


def raises(match, error=ValueError, a=A, b=B, cost=COST, function=fe.sinkhorn, **options):
    with pytest.raises(error, match=match):
        function(a, b, cost, **{"reg": 0.1, **options})


@BOTH
@pytest.mark.parametrize("reg", [0.0, -1.0, np.nan, np.inf])
def test_reg_must_be_positive_and_finite(function, reg):
    raises(r"reg is .*Needed: a finite number above 0.*try 0\.01 to 0\.1", function=function, reg=reg)


@pytest.mark.parametrize("reg", ["0.1", None, True, [0.1, 0.2]])
def test_reg_must_be_a_number(reg):
    raises("reg is .*Needed: a number", TypeError, reg=reg)


def test_reg_must_be_visible_beside_the_costs():
    raises("reg is 1e-14 and costs differ by up to 2.*fastemd.emd", reg=1e-14)


@BOTH
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_costs_must_be_finite(function, bad):
    cost = COST.copy()
    cost[1, 2] = bad
    raises(
        rf"cost_or_space\[1, 2\] is {bad}. Needed: finite costs, which may be negative", cost=cost, function=function
    )


def test_costs_below_zero_are_allowed():
    shifted = fe.sinkhorn(A, B, COST - 5.0, reg=0.1)
    assert shifted.converged
    assert abs(shifted.value + 5.0 - fe.sinkhorn(A, B, COST, reg=0.1).value) < 1e-8


@pytest.mark.parametrize("cost", [np.zeros(3), np.zeros((2, 3, 3)), np.zeros((0, 3)), 1.0])
def test_cost_must_be_a_matrix(cost):
    raises("cost_or_space has shape .*Needed: a matrix of shape", cost=cost)


def test_cost_must_hold_real_numbers():
    raises("cost_or_space has dtype complex128", TypeError, cost=COST.astype(complex))
    raises("cost_or_space has dtype", TypeError, cost=np.array([["x"] * 3] * 3))


def test_histograms_must_fit_the_cost():
    raises(r"a has shape \(3,\). Needed: 2 bins in its last axis, as many as cost_or_space has rows", cost=COST[:2])
    raises(
        r"b has shape \(3,\). Needed: 2 bins in its last axis, as many as cost_or_space has columns", cost=COST[:, :2]
    )
    raises(r"a has shape \(3,\). Needed: 4 bins", cost=fe.Ring(4))
    raises(r"a has shape \(\)", a=1.0)


def test_divergence_needs_a_square_and_symmetric_cost():
    rectangle = np.zeros((3, 2))
    raises("square", b=[0.5, 0.5], cost=rectangle, function=fe.sinkhorn_divergence)
    raises(r"cost_or_space\[0, 1\] is 1 and .*Needed for a divergence: a symmetric cost; try", cost=np.triu(COST),
         function=fe.sinkhorn_divergence)  # fmt: skip


@BOTH
def test_unequal_masses_are_refused_by_row(function):
    a = np.array([A, 2 * A])
    raises(r"masses 2 and 1\[1\] \(row 1\).*mass='normalize'.*unbalanced", a=a, function=function)


@BOTH
@pytest.mark.parametrize("options", [{}, {"mass": "normalize"}])
def test_empty_rows_are_refused(function, options):
    b = np.array([B, 0 * B])
    raises(r"b\[1\] \(row 1\) has mass 0. Needed: a positive and finite mass", b=b, function=function, **options)


def test_empty_rows_are_refused_though_masses_may_differ():
    raises("a has mass 0", a=0 * A, unbalanced=1.0)


@BOTH
@pytest.mark.parametrize(("bad", "match"), [(np.nan, "nan"), (-0.5, "-0.5"), (np.inf, "inf")])
def test_masses_must_be_finite_and_not_negative(function, bad, match):
    a = A.copy()
    a[2] = bad
    raises(rf"a\[2\] is {match} \(bin 2\)", a=a, function=function)


@BOTH
def test_bad_rows_are_nan_without_check_and_leave_others_alone(function):
    a = np.array([A, [np.nan, 1, 0], 3 * A, [0, 0, 0], A])
    result = function(a, B, COST, reg=0.1, check=False)
    good = function(A, B, COST, reg=0.1)
    np.testing.assert_array_equal(np.isnan(result.value), [False, True, True, True, False])
    np.testing.assert_array_equal(result.converged, [True, False, False, False, True])
    assert np.isnan(result.grad_a[1:4]).all() and np.isnan(result.grad_b[1:4]).all()
    np.testing.assert_allclose(result.value[[0, 4]], good.value, rtol=0, atol=AGREED)
    np.testing.assert_allclose(result.grad_a[[0, 4]], [good.grad_a] * 2, rtol=0, atol=AGREED)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"max_iter": -1}, ValueError, "max_iter is -1"),
        ({"max_iter": 1.5}, TypeError, "max_iter is 1.5"),
        ({"tol": -1e-9}, ValueError, "tol is -1e-09"),
        ({"tol": "x"}, TypeError, "tol is 'x'"),
        ({"unbalanced": 0.0}, ValueError, "unbalanced is 0.0"),
        ({"unbalanced": np.inf}, ValueError, "unbalanced is inf"),
        ({"method": "fast"}, ValueError, "method is 'fast'"),
        ({"mass": "root"}, ValueError, "mass is 'root'"),
        ({"epsilon_scaling": 1.0}, ValueError, "epsilon_scaling is 1.*below 1"),
        ({"epsilon_scaling": -0.5}, ValueError, "epsilon_scaling is -0.5"),
        ({"potentials": A}, TypeError, "potentials is of type ndarray. Needed: a pair"),
        ({"potentials": (A, np.zeros(4))}, ValueError, r"potentials\[1\] has shape \(4,\)"),
        ({"potentials": (A, [0.0, np.nan, 0.0])}, ValueError, r"potentials\[1\] is not finite"),
        ({"potentials": (["x"] * 3, A)}, TypeError, r"potentials\[0\] has dtype"),
        ({"a": np.array([A] * 2), "b": np.array([B] * 3)}, ValueError, "no common batch shape"),
    ],
)
def test_other_bad_arguments_are_told(options, error, match):
    raises(match, error, **options)


# --- Shapes and dtypes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
@pytest.mark.parametrize("space", [COST, fe.Ring(3)], ids=["matrix", "ring"])
def test_answers_have_the_dtype_of_the_histograms(dtype, space):
    a, b = np.array([[2, 1, 1], [1, 3, 0]], dtype), np.array([1, 2, 1], dtype)
    result = fe.sinkhorn(a, b, space, reg=0.5, plan=True)
    wanted = np.dtype("float64" if dtype == "int32" else dtype)
    for x in (result.value, result.regularised_value, *result.potentials, result.plan, result.grad_a, result.grad_b):
        assert x.dtype == wanted
    exact = fe.sinkhorn(a.astype(float), b.astype(float), space, reg=0.5)
    np.testing.assert_allclose(result.value, exact.value, rtol=8 * np.finfo(wanted).eps, atol=1e-5)


def test_batch_axes_broadcast_and_one_pair_gives_scalars():
    rng = np.random.default_rng(0)
    a, b = rng.dirichlet(np.ones(3), (4, 1)), rng.dirichlet(np.ones(3), 5)
    result = fe.sinkhorn(a, b, COST, reg=0.3, plan=True)
    assert result.value.shape == result.n_iter.shape == result.converged.shape == (4, 5)
    assert result.plan.shape == (4, 5, 3, 3) and result.grad_a.shape == result.potentials[1].shape == (4, 5, 3)
    one = fe.sinkhorn(a[2, 0], b[3], COST, reg=0.3)
    for x in (one.value, one.regularised_value, one.n_iter, one.marginal_error, one.converged):
        assert np.ndim(x) == 0 and isinstance(x, np.generic)
    np.testing.assert_allclose(one.value, result.value[2, 3], rtol=0, atol=1e-8)
    assert one.plan is None


def test_batch_without_rows_has_an_empty_answer():
    for function in (fe.sinkhorn, fe.sinkhorn_divergence):
        result = function(np.empty((0, 3)), B, COST, reg=0.1)
        assert result.value.shape == (0,) and result.grad_a.shape == (0, 3)


def test_inputs_are_not_modified():
    a, b, cost = A.copy(), B.copy(), COST.copy()
    f, g = np.zeros(3), np.zeros(3)
    for method in ("scaling", "log"):
        fe.sinkhorn(a, b, cost, reg=0.1, method=method, potentials=(f, g))
    for x, y in ((a, A), (b, B), (cost, COST), (f, 0 * A), (g, 0 * A)):
        np.testing.assert_array_equal(x, y)


def test_rows_are_solved_in_parts_where_they_are_many(monkeypatch):
    from fastemd.cpu.entropic import launch

    rng = np.random.default_rng(1)
    a = rng.dirichlet(np.ones(3), 200)
    whole = fe.sinkhorn(a, B, fe.Chain(3), reg=0.3)
    monkeypatch.setattr(launch, "CHUNK", 1)
    parts = fe.sinkhorn(a, B, fe.Chain(3), reg=0.3)
    np.testing.assert_array_equal(parts.value, whole.value)
    np.testing.assert_array_equal(parts.grad_a, whole.grad_a)


# --- Warnings ---------------------------------------------------------------------------------------------------------


@BOTH
def test_rows_that_do_not_converge_are_told_once_and_flagged(function):
    a = np.array([[0.5, 0.3, 0.2], B, [0.1, 0.1, 0.8]], np.float32)
    with pytest.warns(fe.SinkhornWarning) as caught:
        result = function(a, B.astype(np.float32), COST, reg=0.05, max_iter=1)
    assert len(caught) == 1
    text = str(caught[0].message)
    assert f"{np.count_nonzero(~result.converged)} of" in text or function is fe.sinkhorn_divergence
    for word in ("did not converge", "raise reg", "max_iter (it was 1)", "epsilon_scaling", "float64", "tol=1e-06"):
        assert word in text
    assert not result.converged.all()
    np.testing.assert_array_equal(result.converged, result.marginal_error <= 1e-6)
    assert np.isfinite(result.value).all()
    assert caught[0].filename == __file__


def test_count_of_failed_rows_is_that_of_the_flags():
    rng = np.random.default_rng(2)
    a = rng.dirichlet(np.ones(12), 30)
    b = rng.dirichlet(np.ones(12), 30)
    easy = np.arange(30) % 3 == 0
    b[easy] = np.eye(12)[3]  # one plan has these marginals, and the first iteration finds it
    with pytest.warns(fe.SinkhornWarning) as caught:
        result = fe.sinkhorn(a, b, fe.Chain(12), reg=1.0, max_iter=20, tol=rounding(12))
    np.testing.assert_array_equal(result.converged, easy)
    assert str(caught[0].message).startswith("20 of 30 rows did not converge")
    assert np.all(result.n_iter[~easy] == 20) and np.all(result.n_iter[easy] <= 20)


@pytest.mark.parametrize(("dtype", "spread"), [("float32", 40.0), ("float64", 290.0)])
@pytest.mark.parametrize("cost", [COST, np.sqrt(COST)])
def test_scaling_that_cannot_be_safe_becomes_log_and_says_so(dtype, spread, cost):
    a, b = np.array([0.7, 0.2, 0.1], dtype), np.array([0.2, 0.3, 0.5], dtype)
    reg = cost.max() / spread
    mend = "Raise reg, pass float64, or leave" if dtype == "float32" else "Raise reg, or leave"
    with pytest.warns(
        fe.SinkhornWarning, match=f"method='scaling' became 'log': .* {dtype} cannot hold safely. {mend}"
    ):
        forced = fe.sinkhorn(a, b, cost, reg=reg, method="scaling", tol=1e-4)
    assert forced.method == "log"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        free = fe.sinkhorn(a, b, cost, reg=reg, tol=1e-4)
    assert free.method == "log" and free.value == forced.value
    assert fe.sinkhorn(a, b, cost, reg=reg * 1.5, tol=1e-4).method == "scaling"


def test_scaling_with_a_price_of_marginals_becomes_log_and_says_so():
    with pytest.warns(fe.SinkhornWarning, match="unbalanced"):
        assert fe.sinkhorn(A, 2 * B, COST, reg=0.5, unbalanced=1.0, method="scaling").method == "log"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ratio", [30.0, 100.0, 250.0, 290.0, 310.0, 2_000.0])
def test_nothing_over_or_underflows_at_any_reg(dtype, ratio):
    rng = np.random.default_rng(3)
    cost = rng.random((20, 20))
    a, b = (rng.dirichlet(np.ones(20)).astype(dtype) for _ in "ab")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fe.SinkhornWarning)
        result = fe.sinkhorn(a, b, cost, reg=cost.max() / ratio, max_iter=300, plan=True)
    for x in (result.value, result.regularised_value, *result.potentials, result.plan, result.marginal_error):
        assert np.isfinite(x).all()
    assert abs(result.plan.sum() - 1.0) <= result.marginal_error + 1e-5


@pytest.mark.parametrize("cost", [COST, fe.Chain(3), fe.Ring(3)], ids=["matrix", "chain", "ring"])
@pytest.mark.parametrize("method", ["scaling", "log"])
@pytest.mark.parametrize("max_iter", [0, 1, 40])
def test_a_tolerance_of_zero_asks_for_all_iterations_and_warns_of_nothing(cost, method, max_iter):
    rng = np.random.default_rng(0)
    a, b = rng.dirichlet(np.ones(3), (2, 5))
    result = fe.sinkhorn(a, b, cost, reg=1.0, tol=0, max_iter=max_iter, method=method)
    np.testing.assert_array_equal(result.n_iter, max_iter)
    assert not result.converged.any()
    assert not fe.sinkhorn_divergence(a, b, cost, reg=1.0, tol=0.0, max_iter=max_iter, method=method).converged.any()

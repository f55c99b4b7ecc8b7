"""Every row of the table of solvers is held to the reference, and a row that is wrong would be found out."""

import dataclasses
import sys
import warnings

import numpy as np
import pytest

from benchmarks.compare import entropic, formulas
from benchmarks.compare import solver as solver_module
from benchmarks.compare.formulas import membership, subtrees
from benchmarks.compare.solver import STOP, Answer, Ready, off, stacked
from benchmarks.compare.solvers import SOLVERS
from fastemd import reference
from tests.support.compare_problems import SPACES, small_case
from tests.support.tolerance import tolerance

ROWS = [
    pytest.param(solver, name, id=f"{solver.name}-{name}".replace(", ", " "))
    for solver in SOLVERS
    for name, space in SPACES.items()
    if solver.unfit(space) is None
]
# ott-jax looks at one side of the marginals only, and with momentum the other one is off as well; geomloss makes a
# number of iterations, cooling down all the way, without a look. The table says on how many pairs.
UNSURE = ("ott-jax, log, momentum", "geomloss, log")
EXACT = [row for row in ROWS if row.values[0].exact]
ENTROPIC = [row for row in ROWS if not row.values[0].exact]


@pytest.fixture(autouse=True)
def settings_of_the_frameworks(monkeypatch):
    """Solvers set threads and precision of a whole process; other tests shall not notice.

    One thread here: where the processors are busy, two of torch wait for each other at every step.
    """
    for module in (formulas, entropic):
        monkeypatch.setattr(module, "THREADS", 1)
    torch, jax = (sys.modules.get(name) for name in ("torch", "jax"))
    threads = torch and torch.get_num_threads()
    yield
    if threads:
        torch.set_num_threads(threads)
    if jax := jax or sys.modules.get("jax"):
        jax.config.update("jax_enable_x64", False)


def installed(solver):
    if lack := solver.missing():
        pytest.skip(lack)
    return solver


def answer_of(solver, case, share=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other libraries' words about their own future, and POT's about large numbers
        return installed(solver).ready(case.space, share).solve(case.a, case.b)


def rounding(case):
    return tolerance(np.float64, max(case.space.n, case.space.m), 1.0, float(case.space.lengths.sum()))


def require_exact(answer, case):
    exact = reference.emd(case.a, case.b, case.space)
    assert answer.values.shape == exact.shape
    np.testing.assert_allclose(answer.values, exact, rtol=0, atol=rounding(case))
    assert answer.marginal_error is None


def require_entropic(answer, case, share, stops=True):
    """Bounds that follow from regularisation and marginals alone; `stops`: at the marginals that it was asked for.

    A plan that is off its marginals by e costs at least the exact value less e times the diameter. At the minimum, cost
    plus regularisation times relative entropy is at most that of the exact plan, whose entropy relative to the product
    of its marginals is at most log(n). Exponents, of up to 1 / share, are rounded before they are raised.
    """
    exact = reference.emd(case.a, case.b, case.space)
    if stops:
        assert np.all(answer.marginal_error <= 1.01 * STOP * share)
    slack = answer.marginal_error * case.space.diameter + rounding(case) / share
    assert np.all(answer.values >= exact - slack)
    assert np.all(answer.values <= exact + share * case.space.diameter * np.log(case.space.n) + slack)


@pytest.mark.parametrize(("solver", "name"), EXACT)
def test_every_exact_solver_agrees_with_the_reference(solver, name):
    case = small_case(name)
    require_exact(answer_of(solver, case), case)


@pytest.mark.parametrize(("solver", "name"), ENTROPIC)
def test_every_entropic_solver_meets_its_marginals_and_the_bounds_of_its_regularisation(solver, name):
    case = small_case(name)
    for share in (solver.settings[0], solver.settings[-1]):
        require_entropic(answer_of(solver, case, share), case, share, solver.name not in UNSURE)


@pytest.mark.parametrize(("solver", "name"), ENTROPIC)
def test_entropic_solvers_agree_with_each_other_and_near_the_exact_value(solver, name):
    """The same problem, solved by the reference on a matrix: values differ by what the marginals are off by."""
    case, share = small_case(name), 0.1
    cost, reg = case.space.cost_matrix(), share * case.space.diameter
    theirs = answer_of(solver, case, share)
    ours = reference.sinkhorn(case.a, case.b, cost, reg=reg, tol=1e-9)
    # The cost of a plan is no smoother in its marginals than the diameter, and 1 / reg amplifies what is left.
    allowed = 2 * case.space.diameter * (np.max(theirs.marginal_error) + STOP * share)
    np.testing.assert_allclose(theirs.values, ours.value, rtol=0, atol=allowed)


@pytest.mark.parametrize("name", SPACES)
def test_geomloss_comes_nearer_with_every_iteration(name, monkeypatch):
    case = small_case(name)
    (solver,) = [solver for solver in SOLVERS if solver.name == "geomloss, log"]
    ours = reference.sinkhorn(case.a, case.b, case.space.cost_matrix(), reg=0.1 * case.space.diameter, tol=1e-9)
    errors = []
    for iterations in (20, 100):
        monkeypatch.setattr(entropic, "ITERATIONS", iterations)
        errors.append(np.abs(answer_of(solver, case, 0.1).values - ours.value).max())
    assert errors[1] < errors[0] / 3


def spoiled(solver, factor):
    """The same solver with values that are off by a factor."""

    def prepare(space, *share):
        ready = solver.prepare(space, *share)

        def read(*found):
            answer = ready.read(*found)
            return Answer(answer.values * factor, answer.marginal_error)

        return Ready(ready.transfer, ready.run, read)

    return dataclasses.replace(solver, prepare=prepare)


@pytest.mark.parametrize(("solver", "name"), EXACT)
def test_an_exact_solver_that_is_off_by_1_percent_is_found_out(solver, name):
    case = small_case(name)
    with pytest.raises(AssertionError):
        require_exact(answer_of(spoiled(solver, 1.01), case), case)


@pytest.mark.parametrize(("solver", "name"), [row for row in ENTROPIC if "fastemd" in row.values[0].name])
def test_an_entropic_solver_that_is_off_by_1_percent_at_its_most_exact_is_found_out(solver, name):
    case, share = small_case(name), solver.settings[-1]
    with pytest.raises(AssertionError):
        require_entropic(answer_of(spoiled(solver, 0.99), case, share), case, share)
    with pytest.raises(AssertionError):
        require_entropic(answer_of(spoiled(solver, 1.01), case, share), case, share)


def test_a_plan_whose_marginals_are_off_is_found_out():
    case, share = small_case("chain"), 0.01
    answer = Answer(reference.emd(case.a, case.b, case.space), np.full(len(case.a), 2 * STOP * share))
    with pytest.raises(AssertionError):
        require_entropic(answer, case, share)


def test_a_smaller_regularisation_is_closer_to_the_exact_value():
    case = small_case("chain")
    exact = reference.emd(case.a, case.b, case.space)
    (solver,) = [solver for solver in SOLVERS if solver.name == "fastemd.sinkhorn, space"]
    errors = [np.abs(answer_of(solver, case, share).values - exact).max() for share in solver.settings]
    assert errors == sorted(errors, reverse=True) and errors[-1] < errors[0] / 10


def test_proportions_are_handed_to_scikit_bio_as_counts():
    """Its driver rounds proportions down to 0 without a word, and then finds no distances at all."""
    diversity = pytest.importorskip("skbio.diversity")
    case = small_case("tree")
    exact = reference.emd(case.a, case.b, case.space)
    from benchmarks.compare.exact import phylogeny

    tree, taxa = phylogeny(case.space)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong = diversity.beta_diversity("weighted_unifrac", np.vstack([case.a, case.b]), taxa=taxa, tree=tree)
    (row,) = [solver for solver in SOLVERS if solver.name == "scikit-bio"]
    assert not np.allclose([wrong[i, i + len(exact)] for i in range(len(exact))], exact)
    require_exact(answer_of(row, case), case)


def test_stacked_pairs_hold_the_same_masses_and_costs_and_none_that_is_zero():
    case = small_case("chain")
    cost = case.space.cost_matrix()
    a, b, costs = stacked(case.a, case.b, cost)
    assert costs.shape == (*a.shape, b.shape[1]) and a.min() > 0 and b.min() > 0
    for row in range(len(a)):
        assert a[row] @ costs[row] @ b[row] == pytest.approx(case.a[row] @ cost @ case.b[row], rel=1e-12)
        assert a[row].sum() == pytest.approx(1, rel=1e-12)


def test_marginal_errors_add_up_both_sides():
    plan = np.array([[[0.5, 0.0], [0.1, 0.4]]])
    half = np.array([[0.5, 0.5]])
    assert off(plan, half, half) == pytest.approx([0.2])
    assert off(plan, np.array([[0.4, 0.6]]), half) == pytest.approx([0.4])


def test_flows_by_subtrees_and_by_membership_are_those_of_the_reference():
    case = small_case("tree")
    flow = reference.flow(case.a, case.b, case.space)
    np.testing.assert_allclose(membership(case.space) @ (case.a - case.b).T, flow.T, atol=1e-15)
    order, first, beyond, length = subtrees(case.space)
    sums = np.cumsum(np.pad((case.a - case.b)[:, order], ((0, 0), (1, 0))), axis=1)
    assert (np.abs(sums[:, beyond] - sums[:, first]) @ length) == pytest.approx(np.abs(flow) @ case.space.lengths)


def test_the_costs_of_a_space_are_shared():
    space = SPACES["tree"]
    assert solver_module.cost_matrix(space) is solver_module.cost_matrix(space)


def test_names_are_unique_and_settings_go_from_the_cheapest_to_the_most_exact():
    assert len({solver.name for solver in SOLVERS}) == len(SOLVERS)
    for solver in SOLVERS:
        assert list(solver.settings) == sorted(solver.settings, reverse=True)

"""Spaces at the borders of what is allowed: each test began as a mutant of the sources that no other test noticed."""

import re

import numpy as np
import pytest

from fastemd.spaces import Chain, Ring, Tree
from fastemd.threads import thread_count

LARGEST = np.finfo(np.float64).max


def refused(build, *parts):
    """Check that a call raises ValueError with all these words in its text."""
    with pytest.raises(ValueError, match=re.escape(parts[0])) as caught:
        build()
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("reach", [0.45, 0.5])
def test_chain_may_span_as_much_as_float64_holds(reach):
    chain = Chain(positions=[-reach * LARGEST, 0.0, reach * LARGEST])
    assert chain.diameter == 2 * reach * LARGEST


def test_chain_that_spans_more_is_refused_with_both_ends():
    x = 0.55 * LARGEST
    refused(lambda: Chain(positions=[-x, 0.0, 1.0, x]), f"from {-x} to {x}")


def test_chain_takes_n_beside_positions_only_where_they_agree():
    assert Chain(300, positions=np.arange(300.0)) == Chain(300)
    for n in (299, 301):
        refused(lambda n=n: Chain(n, positions=np.arange(300.0)), f"n is {n}", "holds 300")


def test_first_of_several_offenders_is_named():
    refused(lambda: Chain(positions=[0.0, np.nan, np.inf]), "positions[1] is nan")
    refused(lambda: Tree([-1, 9, 8, 7], np.ones(4)), "parent[1] is 9")
    refused(lambda: Tree([-1, 0, 0, 0], np.ones(4), bins=[1, 9, 8]), "bins[1] is 9", "from 0 to 3")


def test_bin_far_beyond_the_last_node_is_refused():
    refused(lambda: Tree([-1, 0, 0], np.ones(3), bins=[7]), "bins[0] is 7")


def test_two_roots_are_refused_and_counted():
    refused(lambda: Tree([-1, -1, 0], np.ones(3)), "2 roots, nodes 0 and 1")


def test_cycle_is_written_out_from_node_0_where_it_starts_there():
    refused(lambda: Tree([1, 2, 0, 4, 5, 3], np.ones(6)), "0 -> 1 -> 2 -> 0")


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (7, "0 -> 1 -> 2 -> 3 -> 4 -> 5 -> 6 -> 0"),
        (8, "0 -> 1 -> 2 -> 3 -> 4 -> 5 -> ... -> 0"),
        (9, "0 -> 1 -> 2 -> 3 -> 4 -> 5 -> ... -> 0"),
    ],
)
def test_cycle_of_more_than_seven_nodes_is_shortened(size, shown):
    refused(lambda: Tree((np.arange(size) + 1) % size, np.ones(size)), shown)


def test_labels_too_many_or_too_few_are_refused():
    for count in (2, 4):
        with pytest.raises(ValueError, match="labels"):
            Tree([-1, 0, 0], np.ones(3), labels=["x"] * count)


def test_ring_of_equal_but_longer_edges_says_so():
    assert repr(Ring(lengths=[2.0, 2.0])) != repr(Ring(2))


@pytest.mark.parametrize("n", range(1, 13))
def test_diameter_of_an_uneven_ring_is_the_largest_entry_of_cost_matrix(n):
    for lengths in np.random.default_rng(n).choice([0.0, 0.25, 0.5, 1.25, 3.0], size=(20, n)):
        ring = Ring(lengths=lengths)
        assert ring.diameter == ring.cost_matrix().max()


@pytest.mark.parametrize(
    "call",
    [
        lambda: Tree.from_paths(["a.b"], "."),
        lambda: Tree.from_edges([(0, 1)], [1.0], 0),
        lambda: Tree.from_sparse(np.eye(1), 0),
        lambda: Tree.from_linkage([[0, 1, 2.0, 2]], ["a", "b"]),
        lambda: Ring(3, [1.0, 1.0, 1.0]),
        lambda: Chain(2, [0.0, 1.0]),
    ],
)
def test_options_are_keywords(call):
    with pytest.raises(TypeError, match="positional"):
        call()


@pytest.mark.parametrize("count", [1, 2, np.int64(3)])
def test_thread_count_takes_whole_numbers_from_1(count):
    assert thread_count(count) == count


@pytest.mark.parametrize("count", [True, np.True_, 1.0, "2", None])
def test_thread_count_refuses_what_is_no_whole_number(count):
    with pytest.raises(TypeError, match=type(count).__name__):
        thread_count(count)


@pytest.mark.parametrize("count", [0, -1])
def test_thread_count_refuses_less_than_1(count):
    refused(lambda: thread_count(count), f"count is {count}", "at least 1")

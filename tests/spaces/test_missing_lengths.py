"""Edges in frames, and edges without a length."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fastemd import Tree
from tests.support.errors import rejects

PAIRS, LENGTHS = [("r", "a"), ("r", "b"), ("b", "c")], [1.0, 2.0, 0.5]
TREE = Tree.from_edges(PAIRS, LENGTHS)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_edges_come_from_a_frame_by_the_names_of_its_columns_or_by_position(frame):
    parents, children = (list(side) for side in zip(*PAIRS, strict=True))
    columns = {"length": LENGTHS, "child": children, "parent": parents}
    assert Tree.from_edges(frame(columns)) == TREE
    assert Tree.from_edges(frame({"parent": parents, "child": children, "weight": LENGTHS})) == TREE
    assert Tree.from_edges(frame({"from": parents, "to": children, "weight": LENGTHS})) == TREE
    assert Tree.from_edges(frame({"from": parents, "to": children})) == Tree.from_edges(PAIRS)
    assert Tree.from_edges(frame({**columns, "note": ["x", "y", "z"]})) == TREE
    assert Tree.from_edges(frame({"child": [1, 2], "parent": [0, 0]}), root=0) == Tree([-1, 0, 0], [0, 1, 1])
    rejects(ValueError, lambda: Tree.from_edges(frame({"a": [1]})), "frame of columns ['a']", "parent and child")
    rejects(ValueError, lambda: Tree.from_edges(frame(columns), LENGTHS), "an argument lengths", "lengths=None")


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA], ids=str)
def test_edges_without_a_length_are_counted_and_named(nothing):
    lengths = [0.0, nothing, 1.0, nothing]
    names = ["r", "a", "b", "c"]
    text = "2 of 4 nodes have no length, 1 ('a'), 3 ('c')"
    rejects(ValueError, lambda: Tree([-1, 0, 0, 2], lengths, labels=names), text, "length[1] is", "such as 0 or 1")
    rejects(ValueError, lambda: Tree([-1, 0, 0, 2], lengths), "2 of 4 nodes have no length, 1, 3")
    rejects(ValueError, lambda: Tree.from_edges(PAIRS, [1.0, nothing, 2.0]), "1 of 3 edges have no length, 1 ('r - b')")
    frame = pd.DataFrame(PAIRS, columns=["parent", "child"]).assign(length=pd.array([1, 2, None], "Float64"))
    rejects(ValueError, lambda: Tree.from_edges(frame), "1 of 3 edges have no length, 2 ('b - c')")
    many = [0.0] + [nothing] * 9
    rejects(ValueError, lambda: Tree([-1] + [0] * 9, many), "9 of 10 nodes have no length, 1, 2, 3, 4, 5, ...")


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA], ids=str)
def test_the_root_needs_no_length(nothing):
    assert Tree([-1, 0, 0, 2], [nothing, 1.0, 2.0, 0.5]) == Tree([-1, 0, 0, 2], [0.0, 1.0, 2.0, 0.5])

"""Error texts advise what works: each is provoked, its advice is read out of the text and taken literally."""

import re

import numpy as np
import pandas as pd
import polars
import pytest
import scipy
import torch

import fastemd as fe
from fastemd.spaces.builders import from_edges, from_sparse
from fastemd.torch import emd_loss

C = fe.Chain(3)
ONE = np.array([1.0, 0.0, 0.0])
NAMES = {"numpy": np, "torch": torch, "scipy": scipy, "fastemd": fe, "polars": polars, "fe": fe}
TREE = fe.Tree([-1, 0, 0, 0], np.ones(4), bins=[1, 2, 3], labels=["r", "x", "y", "z"])


def emd(a, b=ONE, space=C, **options):
    return fe.emd(a, b, space, **options)


def logits(logits, target, **options):
    return fe.emd_with_logits(logits, target, C, **options)


def loss(input, target, **options):
    return emd_loss(input, target, C, **options)


def sinkhorn(cost_or_space, a=ONE, b=ONE, **options):
    return fe.sinkhorn(a, b, cost_or_space, **{"reg": 0.1, **options})


def frame(columns, index=("u", "v")):
    return pd.DataFrame(np.eye(3)[:2], index=list(index), columns=list(columns))


Z = torch.zeros(4, 3)
Y = torch.tensor([0, 1, 2, 0])
SOFT = torch.eye(3)[Y]

# A call, its arguments, and the argument that the advice replaces: "try EXPRESSION" is evaluated with the arguments by
# name, and the call is made again with it.
REPLACED = {
    "strings that are numbers": (emd, {"a": ["1", "0", "0"]}, "a"),
    "array of strings": (emd, {"a": np.array(["1", "0", "0"])}, "a"),
    "array of objects": (emd, {"a": np.array([1.0, 0, "0"], dtype=object)}, "a"),
    "list of complex numbers": (emd, {"a": [1 + 0j, 0, 0]}, "a"),
    "complex array": (emd, {"a": ONE.astype(complex)}, "a"),
    "complex tensor": (emd, {"a": torch.tensor([1 + 0j, 0, 0])}, "a"),
    "long double": (emd, {"a": ONE.astype(np.longdouble)}, "a"),
    "dates": (emd, {"a": np.array([1, 0, 0], "m8[s]")}, "a"),
    "masked array": (emd, {"a": np.ma.array(ONE)}, "a"),
    "sparse array": (fe.flow, {"a": scipy.sparse.csr_array(ONE[None]), "b": ONE, "space": C}, "a"),
    "sparse matrix": (fe.potential, {"a": scipy.sparse.coo_matrix(ONE[None]), "b": ONE, "space": C}, "a"),
    "tensor with gradient": (emd, {"a": torch.tensor(ONE, requires_grad=True)}, "a"),
    "list of tensors with gradient": (emd, {"a": [torch.tensor(ONE, requires_grad=True)] * 2}, "a"),
    "sparse tensor": (emd, {"a": torch.tensor(ONE).to_sparse()}, "a"),
    "NaN in a list": (emd, {"a": [np.nan, 1.0, 0.0]}, "a"),
    "NaN in an array": (emd, {"a": np.array([[1.0, 0.0, np.nan]])}, "a"),
    "NaN in a tensor": (emd, {"a": torch.tensor([np.nan, 1.0, 0.0])}, "a"),
    "negative in a list": (emd, {"a": [1.0, 0.0, -1e-9]}, "a"),
    "negative in a tensor": (emd, {"a": torch.tensor([1.0, 0.0, -1e-9])}, "a"),
    "negative in a frame": (emd, {"a": pd.DataFrame([[1.0, 0.0, -1e-9]])}, "a"),
    "frame with names": (emd, {"a": frame("xyz").assign(name="q")}, "a"),
    "integer logits in a list": (logits, {"logits": [1, 2, 3], "target": 0}, "logits"),
    "integer logits": (logits, {"logits": np.array([1, 2, 3]), "target": 0}, "logits"),
    "integer logits in a tensor": (logits, {"logits": torch.tensor([1, 2, 3]), "target": 0}, "logits"),
    "one-hot integers": (logits, {"logits": np.zeros((2, 3)), "target": np.eye(3, dtype=int)[:2]}, "target"),
    "one-hot integers in a list": (logits, {"logits": np.zeros((1, 3)), "target": [[0, 1, 0]]}, "target"),
    "float classes": (logits, {"logits": np.zeros((4, 3)), "target": np.array([0.0, 1, 2, 0])}, "target"),
    "float classes in a list": (logits, {"logits": np.zeros((3, 3)), "target": [0.0, 1.0, 2.0]}, "target"),
    "float classes in a tensor": (logits, {"logits": Z, "target": Y.float()}, "target"),
    "complex cost": (sinkhorn, {"cost_or_space": C.cost_matrix() + 0j}, "cost_or_space"),
    "cost of strings": (sinkhorn, {"cost_or_space": [["0", "1", "2"]] * 3}, "cost_or_space"),
    "rho with gradient": (emd, {"a": ONE, "rho": torch.tensor(2.0, requires_grad=True)}, "rho"),
    "columns in another order": (emd, {"a": frame("xyz"), "b": frame("zyx")}, "b"),
    "rows in another order": (emd, {"a": frame("xyz"), "b": frame("xyz", "vu")}, "b"),
    "float target of the loss": (loss, {"input": Z, "target": Y.float()}, "target"),
    "int32 target of the loss": (loss, {"input": Z, "target": Y.int()}, "target"),
    "integer histograms of the loss": (loss, {"input": Z, "target": SOFT.long()}, "target"),
    "integer input of the loss": (loss, {"input": Z.long(), "target": Y}, "input"),
    "numpy target of the loss": (loss, {"input": Z, "target": Y.numpy()}, "target"),
    "read-only out": (fe.flow, {"a": ONE, "b": ONE, "space": C, "out": np.broadcast_to(0.0, 2)}, "out"),
    "lengths with an axis too many": (fe.Ring, {"lengths": np.ones((1, 3))}, "lengths"),
}


@pytest.mark.parametrize(("call", "arguments", "name"), REPLACED.values(), ids=REPLACED)
def test_the_advised_expression_is_accepted_in_place_of_the_argument(call, arguments, name):
    with pytest.raises((TypeError, ValueError, RuntimeError, NotImplementedError)) as error:
        call(**arguments)
    advised = _expression(str(error.value))
    assert name in advised, str(error.value)
    call(**{**arguments, name: eval(advised, {**NAMES, **arguments})})


def _expression(text):
    """Return the expression that follows "try", up to where its brackets are closed and a sentence or clause ends."""
    found = re.search(r"\btry (?!.*\btry )?", text)
    assert found, text
    rest = text[text.index("try ") + 4 :]
    depth, end = 0, len(rest)
    for k, letter in enumerate(rest):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and (letter in ",;" or (letter == "." and not rest[k + 1 : k + 2].isalpha())):
            end = k
            break
    return rest[:end]


# A call, its arguments, a part of the text, and what that part says to do.
FOLLOWED = {
    "unequal masses, normalised": (emd, {"a": 2 * ONE}, "mass='normalize'", {"mass": "normalize"}),
    "unequal masses, to the root": (emd, {"a": 2 * ONE}, "mass='root'", {"mass": "root"}),
    "any bad row, unchecked": (emd, {"a": ONE * np.nan}, "check=False", {"check": False}),
    "target of mass 2": (
        logits,
        {"logits": ONE, "target": 2 * ONE},
        "mass='normalize'",
        {"mass": "normalize"},
    ),
    "loss of mass 2": (loss, {"input": Z, "target": 2 * SOFT}, "mass='normalize'", {"mass": "normalize"}),
    "loss of mass 2, unchecked": (loss, {"input": Z, "target": 2 * SOFT}, "check=False", {"check": False}),
    "an empty row": (emd, {"a": 0 * ONE}, "fill a bin", {"a": ONE}),
    "an empty target": (logits, {"logits": ONE, "target": 0 * ONE}, "fill a bin", {"target": ONE}),
    "an empty row to divide": (
        emd,
        {"a": 0 * ONE, "mass": "normalize"},
        "add a little to each bin",
        {"a": 0 * ONE + 1e-9},
    ),
    "None in a list": (emd, {"a": [1, None, 0]}, "write a number in place of a[1], which is None", {"a": [1, 0, 0]}),
    "a word": (emd, {"a": ["x", "0", "1"]}, "write a number in place of a[0], which is 'x'", {"a": [0, 0, 1.0]}),
    "a forbidden cost": (
        sinkhorn,
        {"cost_or_space": -np.inf * np.ones((3, 3))},
        "inf for a pair",
        {"cost_or_space": np.where(np.eye(3) > 0, 0.0, np.inf)},
    ),
    "unequal masses of Sinkhorn": (sinkhorn, {"cost_or_space": C, "a": 2 * ONE}, "unbalanced=", {"unbalanced": 1.0}),
    "unequal masses of Sinkhorn, normalised": (
        sinkhorn,
        {"cost_or_space": C, "a": 2 * ONE},
        "mass='normalize'",
        {"mass": "normalize"},
    ),
    "negative tol": (sinkhorn, {"cost_or_space": C, "tol": -1}, "0 makes max_iter iterations", {"tol": 0}),
    "too small a reg": (sinkhorn, {"cost_or_space": C, "reg": 1e-20}, "1e-12 of that", {"reg": 2e-12, "max_iter": 1}),
    "columns in the order of no tree": (
        emd,
        {"a": frame("zyx"), "b": ONE, "space": TREE},
        "frame[list(space.bin_labels)]",
        {"a": frame("zyx")[list(TREE.bin_labels)]},
    ),
    "an edge without length": (
        from_edges,
        {"edges": [("r", "a"), ("r", "b")], "lengths": [1, None]},
        "such as 0 or 1",
        {"lengths": [1, 0]},
    ),
    "a loop in a graph": (
        from_sparse,
        {"graph": scipy.sparse.csr_array([[1.0, 1.0], [0.0, 0.0]])},
        "graph.setdiag(0)",
        {"graph": scipy.sparse.csr_array([[0.0, 1.0], [0.0, 0.0]])},
    ),
    "batches that do not fit": (emd, {"a": np.eye(3)[:2], "b": np.eye(3)}, "or 1, axis by axis", {"a": np.eye(3)[:1]}),
    "classes that share a row": (
        logits,
        {"logits": np.zeros((2, 3)), "target": np.array([[0, 1, 2], [2, 1, 0]])},
        "logits[..., None, :]",
        {"logits": np.zeros((2, 1, 3))},
    ),
    "a histogram for all rows": (
        logits,
        {"logits": np.zeros((3, 3)), "target": ONE},
        "target[None]",
        {"target": ONE[None]},
    ),
}


@pytest.mark.filterwarnings("ignore::fastemd.SinkhornWarning")
@pytest.mark.parametrize(("call", "arguments", "part", "change"), FOLLOWED.values(), ids=FOLLOWED)
def test_what_a_text_says_to_change_is_accepted(call, arguments, part, change):
    with pytest.raises((TypeError, ValueError)) as error:
        call(**arguments)
    assert part in str(error.value), str(error.value)
    call(**{**arguments, **change})


def test_no_text_advises_an_option_that_the_function_lacks():
    with pytest.raises(ValueError, match="mass is 'root'") as error:
        loss(Z, Y, mass="root")
    assert "'normalize'" in str(error.value)
    with pytest.raises(ValueError) as error:
        loss(Z, 2 * SOFT)
    assert "mass='root'" not in str(error.value)
    with pytest.raises(ValueError) as error:
        fe.emd(2 * ONE, ONE, fe.Ring(3))
    assert "mass='root'" not in str(error.value)

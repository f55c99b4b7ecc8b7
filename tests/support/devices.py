"""What tests on a CUDA device share: the libraries whose arrays lie there, and a deep tree."""

import numpy as np
import pytest

from fastemd.spaces import Tree


@pytest.fixture(scope="module")
def torch():
    """torch, if it was built for CUDA."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if not torch.cuda.is_available():
        pytest.skip("this torch was not built for CUDA")
    return torch


@pytest.fixture(scope="module")
def cupy():
    """The module cupy, if it is installed."""
    return pytest.importorskip("cupy", reason="cupy is not installed")


def caterpillar(nodes):
    """A tree as deep as half of its nodes, of which every second is a leaf."""
    v = np.arange(nodes)
    return Tree(np.maximum(np.where(v % 2, v - 1, v - 2), -1), np.ones(nodes))

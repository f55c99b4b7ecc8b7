"""`fastemd info` says which versions, threads and folders are in use."""

import re

import numpy as np

import fastemd as fe
from fastemd import cli, environment


def test_info_tells_versions_threads_and_folders(capsys):
    assert cli.app(["info"]) == 0
    facts = dict(re.split(" {2,}", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert {
        "python",
        *environment.PACKAGES,
        *environment.ARRAY_LIBRARIES,
        *environment.machine(),
        "kernels kept in",
        "cuda",
    } <= facts.keys()
    assert (facts["fastemd"], facts["numpy"]) == (fe.__version__, np.__version__)

"""The commands do what they say."""

import re

import numpy as np
import pytest

import fastemd as fe
from fastemd import cli


def test_info_tells_versions_threads_and_folders(capsys):
    assert cli.app(["info"]) == 0
    facts = dict(re.split(" {2,}", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert {"python", *cli.PACKAGES, *cli.ARRAY_LIBRARIES, *cli.machine(), "kernels kept in", "cuda"} <= facts.keys()
    assert (facts["fastemd"], facts["numpy"]) == (fe.__version__, np.__version__)


@pytest.mark.parametrize("arguments", [[], ["info", "--fast"], ["compare"], ["fly"]])
def test_a_wrong_command_is_refused_with_the_choices(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.app(arguments)
    assert exit_.value.code == 2
    assert "usage: fastemd" in capsys.readouterr().err

"""The commands do what they say."""

import pytest

from fastemd import cli


def test_info_tells_versions_threads_and_folders(capsys):
    assert cli.app(["info"]) == 0
    printed = capsys.readouterr().out
    for fact in ("python", *cli.PACKAGES, *cli.ARRAY_LIBRARIES, *cli.machine(), "kernels kept in", "cuda"):
        assert f"\n{fact} " in f"\n{printed}"
    for name, version in cli.versions_of({name: (name,) for name in cli.PACKAGES}).items():
        assert f"{version}\n" in printed.partition(f"\n{name} ")[2]


@pytest.mark.parametrize("arguments", [[], ["info", "--fast"], ["compare"], ["fly"]])
def test_a_wrong_command_is_refused_with_the_choices(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.app(arguments)
    assert exit_.value.code == 2
    assert "usage: fastemd" in capsys.readouterr().err

"""What is public: the names that load, their documentation, and the examples in it."""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import fastemd as fe
from tests.support import public_api

PACKAGE = Path(fe.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def module_name(path):
    """The full name of the module in a file."""
    return path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


ADAPTERS = ("jax", "torch")  # not in __all__: `from fastemd import *` must not need them


def test_public_names_are_those_that_are_loaded():
    assert sorted([*fe.__all__, *ADAPTERS]) == sorted(fe._HOMES) == dir(fe)
    for name in fe.__all__:
        assert getattr(fe, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'earth'"):
        _ = fe.earth


def test_public_names_and_signatures_are_those_that_are_promised():
    written = public_api.FILE.read_text(encoding="utf-8").splitlines()
    assert list(public_api.lines()) == written, (
        "python -m tests.support.public_api writes it anew; is it in the changelog?"
    )


@pytest.mark.parametrize(("file", "words"), [("CITATION.cff", "version: {}"), ("recipe/recipe.yaml", 'version: "{}"')])
def test_the_version_is_that_of_the_package_wherever_it_stands(file, words):
    assert words.format(fe.__version__) in (PACKAGE.parent / file).read_text(encoding="utf-8")


PUBLIC = [f"fastemd.{name}" for name in fe.__all__ if name not in ("cuda", "plot", "reference")]
PUBLIC += [f"fastemd.cuda.{name}" for name in fe.cuda.__all__]
PUBLIC += [f"fastemd.plot.{name}" for name in fe.plot.__all__]
PUBLIC += [f"fastemd.reference.{name}" for name in fe.reference.__all__]


def found(name):
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_tells_its_arguments_answer_and_errors_and_shows_an_example(name):
    thing = found(name)
    text = inspect.getdoc(thing)
    takes = [p for p in inspect.signature(thing).parameters if p != "self"]
    sections = ["Examples"]
    if takes:
        sections += ["Parameters", "Raises"]
    if not inspect.isclass(thing) and inspect.signature(thing).return_annotation not in ("None", None):
        sections.append("Returns")
    for section in sections:
        assert f"\n{section}\n{'-' * len(section)}\n" in text, f"{name} has no section {section}"
    assert ">>> " in text
    for parameter in takes:
        assert parameter in text.partition("Parameters\n")[2].partition("\nRaises")[0], (
            f"{name} does not tell {parameter}"
        )


@pytest.mark.parametrize("name", fe.reference.__all__)
def test_reference_has_the_names_and_arguments_of_the_api(name):
    fast = inspect.signature(getattr(fe, name)).parameters
    slow = inspect.signature(getattr(fe.reference, name)).parameters
    assert set(fast) - set(slow) <= {"out", "check", "empty"}  # the reference raises for rows without an answer
    assert set(slow) <= set(fast)
    for parameter in slow:
        assert slow[parameter].default == fast[parameter].default
        assert slow[parameter].kind == fast[parameter].kind


@pytest.mark.doctest
@pytest.mark.parametrize("path", [p for p in FILES if ">>> " in p.read_text()], ids=module_name)
def test_examples_print_what_they_say(path, monkeypatch):
    from fastemd import threads

    monkeypatch.setattr(threads, "_count", None)
    module = pytest.importorskip(module_name(path), exc_type=ImportError)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0

"""Models and venues are found by name, and a wrong name says what there is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rtre import names
from rtre.errors import UnknownNameError
from rtre.models.base import Model
from rtre.venues.base import Venue


def test_every_name_that_is_listed_is_found_and_knows_its_name() -> None:
    for kind, base in (("models", Model), ("venues", Venue)):
        listed = names.available(kind)
        assert listed == tuple(sorted(listed))
        assert len(listed) >= 3
        for name in listed:
            found = names.find(kind, name)
            assert issubclass(found, base)
            assert found.name == name


def test_a_file_may_give_itself_another_name_and_it_hides_nothing() -> None:
    assert names.find("models", "fhs") is names.find("models", "filtered")
    for kind in ("models", "venues"):
        others = names.aliases(kind)
        assert not set(others) & set(names.available(kind))
        assert set(others.values()) <= set(names.available(kind))


def test_a_class_of_ones_own_is_named_by_its_place() -> None:
    assert names.find("models", "rtre.models.historical:Historical").name == "historical"


@pytest.mark.parametrize("name", ["", "nosuch", "base", "../x", "os", "historical:", ":X", "a-b:X"])
def test_a_name_that_nothing_has_is_answered_with_those_there_are(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"there is .*historical"):
        names.find("models", name)


MINE = """
from rtre.models.base import Model
class Whole(Model):
    name = "whole"
    def estimate(self, pnl, confidences, fitted=None):
        return []
class Half(Model):
    name = "half"
class Nameless(Whole):
    name = None
"""


@pytest.mark.parametrize(
    ("source", "attribute", "wanted"),
    [
        ("import not_installed", "X", "cannot import 'mine_{n}': ModuleNotFoundError: No module "
         "named 'not_installed' (mine_{n}.py:1)"),
        ("def x(:", "X", "cannot import 'mine_{n}': SyntaxError: invalid syntax (mine_{n}.py, "
         "line 1)"),
        ("x = 1\nraise RuntimeError('oops')", "X", "cannot import 'mine_{n}': RuntimeError: oops "
         "(mine_{n}.py:2)"),
        (MINE, "Nope", "module 'mine_{n}' has no 'Nope'; it has Nameless, Whole"),
        ("", "Nope", "module 'mine_{n}' has no 'Nope'; it has no model"),
        (MINE, "Half", "'mine_{n}:Half' is abstract: it does not define estimate"),
        (MINE, "Model", "'mine_{n}:Model' is abstract: it does not define estimate"),
        (MINE, "Nameless", "'mine_{n}:Nameless' does not say its name"),
        ("import os.path as path", "path", "'mine_{n}:path' is not a model: it must be a class "
         "derived from rtre.models.base.Model"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_class_of_ones_own_is_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, attribute: str, wanted: str
) -> None:
    module = f"mine_{abs(hash((source, attribute)))}"
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnknownNameError) as caught:
        names.find("models", f"{module}:{attribute}")
    sys.modules.pop(module, None)
    assert str(caught.value).startswith(wanted.replace("mine_{n}", module))


def test_a_module_that_is_not_there_is_told_by_name_and_the_missing_half_of_it() -> None:
    for name, missing in (("nosuch.module:X", "nosuch"), ("rtre.nosuch:X", "rtre.nosuch")):
        with pytest.raises(UnknownNameError, match=f"^no module '{missing}' on Python's path$"):
            names.find("models", name)


def test_a_class_of_ones_own_is_found_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])  # as a script of pip's has it
    assert names.find("models", "only_here:Whole").name == "whole"
    sys.modules.pop("only_here")

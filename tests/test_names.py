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


@pytest.mark.parametrize(
    "name", ["", "nosuch", "base", "../x", "os", "historical:", "nosuch.module:X", "rtre.engine:X"]
)
def test_a_name_that_nothing_has_is_answered_with_those_there_are(name: str) -> None:
    if name == "historical:":
        with pytest.raises(UnknownNameError):
            names.find("models", name)
        return
    with pytest.raises(UnknownNameError, match=r"there is .*historical"):
        names.find("models", name)


def test_a_file_that_imports_what_is_not_installed_says_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_more.py").write_text("import not_installed_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        names.find("models", "needs_more:Mine")
    sys.modules.pop("needs_more", None)

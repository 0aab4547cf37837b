"""The public names: all there, all documented, and importing them touches nothing."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import rtre

CHECK_IMPORT = """
import socket, sys, threading
opened = []
class Watched(socket.socket):
    def __init__(self, *args, **kwargs):
        opened.append(args)
        super().__init__(*args, **kwargs)
socket.socket = Watched
import rtre
assert "trio" not in sys.modules, "names are imported when they are used"
for name in rtre.__all__:
    getattr(rtre, name)
assert "trio" in sys.modules
assert not opened, opened
assert threading.active_count() == 1, threading.enumerate()
"""


def test_every_public_name_exists_and_is_listed_once() -> None:
    assert len(set(rtre.__all__)) == len(rtre.__all__)
    for name in rtre.__all__:
        assert hasattr(rtre, name)


@pytest.mark.parametrize("name", rtre.__all__)
def test_every_public_name_has_a_docstring(name: str) -> None:
    assert inspect.getdoc(getattr(rtre, name))


def test_nothing_is_public_by_accident() -> None:
    defined = {
        name
        for name, value in (vars(rtre) | {n: getattr(rtre, n) for n in dir(rtre)}).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
    }
    assert defined <= set(rtre.__all__), "and no more, however many have been used"


def test_importing_rtre_opens_no_socket_and_starts_no_thread() -> None:
    subprocess.run([sys.executable, "-c", CHECK_IMPORT], check=True, timeout=60)


def test_every_error_descends_from_one_root() -> None:
    errors = [getattr(rtre, n) for n in rtre.__all__ if n.endswith("Error")]
    assert len(errors) >= 8
    assert all(issubclass(error, rtre.RtreError) for error in errors)

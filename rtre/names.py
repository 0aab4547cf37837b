"""Finding models, venues and sinks by name: one file each, found when asked for."""

from __future__ import annotations

import ast
import importlib
import re
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from rtre.errors import UnknownNameError

_MARKS = {"models": "MODEL", "venues": "VENUE"}
_ALIASES = re.compile(r"^ALIASES = (\(.*?\))$", re.MULTILINE | re.DOTALL)


def available(kind: str) -> tuple[str, ...]:
    """Names of all files of a kind (``models``, ``venues``) that ship with rtre.

    Read off the sources: importing every model to print a help text would cost half a second.

    >>> "historical" in available("models")
    True
    """
    mark = re.compile(rf"^{_MARKS[kind]}\b", re.MULTILINE)
    folder = resources.files("rtre") / kind
    found = [f for f in folder.iterdir() if f.name.endswith(".py") and mark.search(f.read_text())]
    return tuple(sorted(f.name.removesuffix(".py").replace("_", "-") for f in found))


def aliases(kind: str) -> dict[str, str]:
    """Other names that files of a kind give themselves, as ``ALIASES = ("other",)``, to theirs.

    >>> aliases("models")["fhs"]
    'filtered'
    """
    return {
        alias: name
        for name in available(kind)
        for match in [_ALIASES.search(_file(kind, name).read_text())]
        if match
        for alias in ast.literal_eval(match[1])
    }


def _file(kind: str, name: str) -> Traversable:
    return resources.files("rtre") / kind / f"{name.replace('-', '_')}.py"


def find(kind: str, name: str) -> Any:
    """Return the class that a name stands for.

    A plain name is a file of ``rtre/<kind>/``, or an alias that one gives itself;
    ``package.module:Class`` is a class of your own, anywhere Python can import it from.

    Raises
    ------
    UnknownNameError
        Saying what there is.
    """
    module_name, _, attribute = name.partition(":")
    if not attribute:
        module_name, attribute = f"rtre.{kind}.{name.replace('-', '_')}", _MARKS[kind]
        if not name.replace("-", "_").isidentifier():
            raise UnknownNameError(_unknown(kind, name))
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        if error.name is not None and not module_name.startswith(error.name):
            raise  # the file is there and something it imports is not: a different problem
        if ":" not in name and name in (others := aliases(kind)):
            return find(kind, others[name])
        raise UnknownNameError(_unknown(kind, name)) from None
    except AttributeError:
        raise UnknownNameError(_unknown(kind, name)) from None


def _unknown(kind: str, name: str) -> str:
    known = ", ".join(available(kind))
    return f"no {kind[:-1]} named {name!r}; there is {known}, or your own as package.module:Class"

"""Finding models, venues and sinks by name: one file each, found when asked for."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from rtre.errors import UnknownNameError

_MARKS = {"models": "MODEL", "venues": "VENUE"}


def available(kind: str) -> tuple[str, ...]:
    """Names of all files of a kind (``models``, ``venues``) that ship with rtre.

    >>> "historical" in available("models")
    True
    """
    package = importlib.import_module(f"rtre.{kind}")
    names = []
    for module in pkgutil.iter_modules(package.__path__):
        if hasattr(importlib.import_module(f"rtre.{kind}.{module.name}"), _MARKS[kind]):
            names.append(module.name.replace("_", "-"))
    return tuple(names)


def find(kind: str, name: str) -> Any:
    """Return the class that a name stands for.

    A plain name is a file of ``rtre/<kind>/``; ``package.module:Class`` is a class of your own,
    anywhere Python can import it from.

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
        raise UnknownNameError(_unknown(kind, name)) from None
    except AttributeError:
        raise UnknownNameError(_unknown(kind, name)) from None


def _unknown(kind: str, name: str) -> str:
    known = ", ".join(available(kind))
    return f"no {kind[:-1]} named {name!r}; there is {known}, or your own as package.module:Class"
